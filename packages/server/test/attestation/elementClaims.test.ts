/** One chip is in one device, and what only an emulator says of a serial number stands in no chip's way. */
import assert from 'node:assert/strict'
import { afterEach, suite, test } from 'node:test'
import type { EstResponse } from '../../src/ports.ts'
import { ask, enrolled, invite, refusal } from '../authority/estClient.ts'
import { type House, verified } from '../authority/house.ts'
import {
  type AttestedHouse,
  askNonce,
  attestedHouse,
  attestedRequest,
  certificate,
  enrolAttested,
  nextKey,
  request,
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

const both = ['root', 'emulatorRoot']
const used = '409 ERR_ELEMENT_USED'

/** Both are of the same serial number; the leaf says who vouches for it. */
function first(house: House, leaf: string): Promise<EstResponse> {
  const chain = [leaf]
  return enrolAttested(house, attestedRequest(vectors.evidence, { chain, name: 'TH-1' }))
}

function second(house: House, leaf: string): Promise<EstResponse> {
  const asked = { chain: [leaf], key: nextKey, name: 'TH-2' }
  return enrolAttested(house, attestedRequest(vectors.next.evidence, asked))
}

function level(leaf: string): number {
  return leaf === 'leaf' ? 3 : 1
}

/** Level and element of a device's newest key. */
async function worth(house: House, name: string): Promise<readonly unknown[]> {
  const [key] = await house.registry.keysOf((await house.registry.find(name)).id)
  return [key?.assurance, key?.elementSerial]
}

async function claims(house: House): Promise<number> {
  return (await house.store.scan('element', { limit: 10 })).length
}

suite('a serial number', () => {
  test('that an emulator has shown is still the chip’s, in either order', async () => {
    for (const [one, other] of [
      ['emulatorLeaf', 'leaf'],
      ['leaf', 'emulatorLeaf'],
    ] as const) {
      const house = await begin(both)
      enrolled(await first(house, one))
      enrolled(await second(house, other))
      assert.deepEqual(await worth(house, 'TH-1'), [level(one), vectors.serial])
      assert.deepEqual(await worth(house, 'TH-2'), [level(other), vectors.serial])
      await open?.close()
      open = undefined
    }
  })

  test('is of one device among emulators of the same works, as among chips', async () => {
    for (const leaf of ['emulatorLeaf', 'leaf']) {
      const house = await begin(both)
      enrolled(await first(house, leaf))
      assert.equal(refusal(await second(house, leaf)), used)
      assert.equal(await claims(house), 1)
      await open?.close()
      open = undefined
    }
  })

  test('is of one device in a demo, where emulators are chips', async () => {
    const house = await begin(both, { isDemo: true })
    enrolled(await first(house, 'emulatorLeaf'))
    assert.equal(refusal(await second(house, 'leaf')), used)
  })

  test('under a root that the operator caps is taken from that root’s parts alone', async () => {
    const house = await begin(['emulatorRoot'])
    const der = certificate('root')
    await house.registry.addAnchor({ role: 'attestation', der, assuranceCap: 2 })
    enrolled(await first(house, 'leaf'))
    enrolled(await second(house, 'emulatorLeaf'))
    assert.equal((await worth(house, 'TH-1'))[0], 2)
  })

  test('is claimed anew by the chip of a device that was an emulator before', async () => {
    const house = await begin(both)
    const peer = await verified(house, enrolled(await first(house, 'emulatorLeaf')).der, 'owner')
    await house.registry.admit(peer, 'https')
    assert.equal((await askNonce(house, { peer })).status, 200)
    const csr = await attestedRequest(vectors.next.evidence, { key: nextKey, name: 'TH-1' })
    enrolled(await ask(house, 'simplereenroll', { csr, peer }))
    assert.equal(await claims(house), 2)
    assert.ok(await house.store.get('element', vectors.serial))
  })
})

suite('what was claimed under a root', () => {
  // A root of its own: the leaf below it comes without what is above.
  const other = { role: 'attestation', der: certificate('middle') } as const

  async function claimed(): Promise<{ house: House; remove: () => Promise<void> }> {
    const house = await begin()
    const { fingerprint } = await house.registry.addAnchor(other)
    enrolled(await first(house, 'leafUnderMiddle'))
    assert.deepEqual(await worth(house, 'TH-1'), [3, vectors.serial])
    return { house, remove: () => house.registry.removeAnchor(fingerprint) }
  }

  test('stays while that is an anchor of level 3', async () => {
    const { house } = await claimed()
    assert.equal(refusal(await second(house, 'leaf')), used)
  })

  test('gives way once it is none any more, and the log says so', async () => {
    const { house, remove } = await claimed()
    await remove()
    enrolled(await second(house, 'leaf'))
    assert.deepEqual(await worth(house, 'TH-2'), [3, vectors.serial])
    const { id } = await house.registry.find('TH-2')
    assert.equal((await house.store.get('element', vectors.serial))?.device, id)
    const events = await house.store.find('event', 'subject', id)
    const moved = events.find(({ type }) => type === 'element.moved')
    const data = JSON.parse(moved?.data ?? '{}') as { from?: string; element?: string }
    assert.equal(data.from, (await house.registry.find('TH-1')).id)
    assert.equal(data.element, vectors.serial)
  })

  test('gives way once that gives less, also to a device that exists', async () => {
    const { house, remove } = await claimed()
    await remove()
    await house.registry.addAnchor({ ...other, assuranceCap: 1 })
    const plain = { csr: await request(nextKey, undefined, 'TH-2'), token: await invite(house) }
    const leaf = enrolled(await ask(house, 'simpleenroll', plain))
    const peer = await verified(house, leaf.der, 'owner')
    await house.registry.admit(peer, 'https')
    assert.equal((await askNonce(house, { peer })).status, 200)
    const csr = await attestedRequest(vectors.next.evidence, { key: nextKey, name: 'TH-2' })
    enrolled(await ask(house, 'simplereenroll', { csr, peer }))
    assert.deepEqual(await worth(house, 'TH-2'), [3, vectors.serial])
    assert.equal(await claims(house), 1)
  })
})
