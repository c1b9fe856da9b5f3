/**
 * A level counts while whoever stood behind it is an anchor: what becomes of keys when one goes, comes
 * back, or gives less.
 */
import assert from 'node:assert/strict'
import { afterEach, suite, test } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Assurance } from '../../src/ports.ts'
import type { WorthyKey } from '../../src/registry/registry.ts'
import { ask, enrolled, refusal } from '../authority/estClient.ts'
import { type House, verified } from '../authority/house.ts'
import {
  type AttestedHouse,
  askNonce,
  attestedHouse,
  attestedRequest,
  certificate,
  enrolAttested,
  keyOf,
  manifests,
  nextKey,
  request,
  serial,
  vectors,
} from './world.ts'

let open: AttestedHouse | undefined
async function begin(...args: Parameters<typeof attestedHouse>): Promise<House> {
  open = await attestedHouse(...args)
  return open.house
}
afterEach(async () => {
  await open?.close()
  open = undefined
})

const root = { role: 'attestation', der: certificate('root') } as const

/** A device of level 3, and that it has come. */
async function attestedDevice(house: House): Promise<VerifiedPeer> {
  const leaf = enrolled(await enrolAttested(house, attestedRequest(vectors.evidence)))
  const peer = await verified(house, leaf.der, 'owner')
  assert.equal((await house.registry.admit(peer, 'https')).device.assurance, 3)
  return peer
}

async function removeAll(house: House, role: 'attestation' | 'manifest' | 'maker'): Promise<void> {
  for (const { fingerprint, origin } of await house.registry.allAnchors(role)) {
    if (origin === 'foreign') await house.registry.removeAnchor(fingerprint)
  }
}

async function keyOfDevice(house: House): Promise<WorthyKey> {
  const [key] = await house.registry.keysOf((await house.registry.find(serial)).id)
  assert.ok(key)
  return key
}

/** At the door, in each list, and of the key. */
async function levels(house: House, peer: VerifiedPeer): Promise<readonly Assurance[]> {
  const { registry } = house
  const { device } = await registry.admit(peer, 'mqtts')
  const [listed] = await registry.list({ limit: 1 })
  const { assurance } = await keyOfDevice(house)
  return [
    device.assurance,
    (await registry.find(serial)).assurance,
    listed?.assurance ?? 4,
    assurance,
  ]
}

suite('a key whose voucher', () => {
  test('is no anchor any more is worth nothing, and what it was judged once the anchor is back', async () => {
    const house = await begin()
    const peer = await attestedDevice(house)
    await removeAll(house, 'attestation')
    assert.deepEqual(await levels(house, peer), [0, 0, 0, 0])
    const { lowered, verdict } = await keyOfDevice(house)
    assert.equal(lowered, 'its voucher is no anchor any more')
    assert.match(verdict ?? '', /"level":3/)
    const why = await house.registry.why(serial)
    assert.equal(why.device?.assurance, 0)
    assert.match(why.keys[0]?.reasons[0] ?? '', /less than it was judged: its voucher is no anchor/)
    await house.registry.addAnchor(root)
    assert.deepEqual(await levels(house, peer), [3, 3, 3, 3])
    assert.equal((await keyOfDevice(house)).lowered, null)
  })

  test('gives less than it did is worth that much', async () => {
    const house = await begin()
    const peer = await attestedDevice(house)
    await removeAll(house, 'attestation')
    await house.registry.addAnchor({ ...root, assuranceCap: 1 })
    assert.deepEqual(await levels(house, peer), [1, 1, 1, 1])
    assert.equal(
      (await keyOfDevice(house)).lowered,
      'the anchor of its voucher gives 1 at most now',
    )
    // More than it was judged it is never worth.
    await removeAll(house, 'attestation')
    await house.registry.addAnchor({ ...root, assuranceCap: 4 })
    assert.deepEqual(await levels(house, peer), [3, 3, 3, 3])
  })

  test('is an anchor of another role is worth nothing', async () => {
    const house = await begin()
    const peer = await attestedDevice(house)
    await removeAll(house, 'attestation')
    await house.registry.addAnchor({ role: 'maker', der: root.der, assuranceCap: 4 })
    assert.deepEqual(await levels(house, peer), [0, 0, 0, 0])
  })

  test('signed a manifest is worth nothing without that signer', async () => {
    const house = await begin([])
    const signer = { role: 'manifest', der: fromHex(manifests.signer) } as const
    await house.registry.addAnchor(signer)
    await open?.manifests.add(manifests.files['general'] ?? '')
    const csr = request(keyOf(manifests.privateKeys['0']))
    const leaf = enrolled(await enrolAttested(house, csr))
    const peer = await verified(house, leaf.der, 'owner')
    assert.deepEqual(await levels(house, peer), [3, 3, 3, 3])
    await removeAll(house, 'manifest')
    assert.deepEqual(await levels(house, peer), [0, 0, 0, 0])
    await house.registry.addAnchor(signer)
    assert.deepEqual(await levels(house, peer), [3, 3, 3, 3])
  })

  test('is gone meets no demand, neither at a door nor at the renewal of the same key', async () => {
    const house = await begin()
    const peer = await attestedDevice(house)
    await removeAll(house, 'attestation')
    await house.registry.setProduct('default', { assuranceMin: 1 })
    const expected = { code: 'ERR_ASSURANCE_TOO_LOW', message: /no anchor any more/ }
    await assert.rejects(house.registry.admit(peer, 'https'), expected)
    const renewal = await ask(house, 'simplereenroll', { csr: await request(), peer })
    assert.equal(refusal(renewal), '403 ERR_ASSURANCE_TOO_LOW')
    assert.equal(refusal(await askNonce(house, { peer })), '403 ERR_ASSURANCE_TOO_LOW')
    await house.registry.addAnchor(root)
    await house.registry.admit(peer, 'https')
  })

  test('is gone is not renewed without evidence where a level is demanded meanwhile', async () => {
    const house = await begin()
    const peer = await attestedDevice(house)
    await house.registry.setProduct('default', { assuranceMin: 3 })
    // Between the door and the reservation: the door still had the anchor.
    const admitToRenew = house.registry.admitToRenew.bind(house.registry)
    house.registry.admitToRenew = async (asked) => {
      const admitted = await admitToRenew(asked)
      await removeAll(house, 'attestation')
      return admitted
    }
    const renewal = await ask(house, 'simplereenroll', { csr: await request(), peer })
    assert.equal(refusal(renewal), '403 ERR_ASSURANCE_TOO_LOW')
  })

  test('is gone keeps what it was judged when the same key shows what is worth nothing', async () => {
    const house = await begin()
    const peer = await attestedDevice(house)
    await removeAll(house, 'attestation')
    const csr = await attestedRequest(vectors.evidence, { type: '2.23.133.20.1' })
    const renewed = enrolled(await ask(house, 'simplereenroll', { csr, peer }))
    await house.registry.addAnchor(root)
    const next = await verified(house, renewed.der, 'owner')
    assert.deepEqual(await levels(house, next), [3, 3, 3, 3])
  })

  test('is gone leaves the other keys of its device as they are', async () => {
    const house = await begin()
    const peer = await attestedDevice(house)
    house.clock.time += 1_000
    const next = enrolled(await ask(house, 'simplereenroll', { csr: await request(nextKey), peer }))
    await removeAll(house, 'attestation')
    assert.equal((await house.registry.admit(peer, 'https')).device.assurance, 0)
    const plain = await house.registry.admit(await verified(house, next.der, 'owner'), 'https')
    assert.equal(plain.device.assurance, 0)
    assert.equal((await keyOfDevice(house)).lowered, null)
  })
})

test('applications hear what a device is worth now', async () => {
  const house = await begin()
  await attestedDevice(house)
  await removeAll(house, 'attestation')
  await house.registry.suspend((await house.registry.find(serial)).id, 'for a look')
  const messages = await house.store.scan('message', { limit: 100 })
  assert.match(messages.at(-1)?.body ?? '', /"assurance":0/)
})

test('a known device costs no look-up of anchors', async (t) => {
  const house = await begin()
  const peer = await attestedDevice(house)
  await house.registry.admit(peer, 'https')
  const find = t.mock.method(house.store, 'find')
  for (let n = 0; n < 3; n++) await house.registry.admit(peer, 'https')
  assert.equal(find.mock.callCount(), 0)
})

test('anchors that could not be read are asked for again', async (t) => {
  const house = await begin()
  const peer = await attestedDevice(house)
  const [{ fingerprint } = { fingerprint: '' }] = await house.registry.allAnchors('attestation')
  await house.registry.removeAnchor(fingerprint)
  const find = t.mock.method(house.store, 'find', () => Promise.reject(new Error('disk')))
  await assert.rejects(house.registry.admit(peer, 'https'), /disk/)
  find.mock.restore()
  assert.equal((await house.registry.admit(peer, 'https')).device.assurance, 0)
})
