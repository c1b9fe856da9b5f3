/** Manifests in the house: imported whole or not at all, and what they make of a key that enrols. */
import assert from 'node:assert/strict'
import { afterEach, suite, test } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import { enrolled, refusal } from '../authority/estClient.ts'
import type { House } from '../authority/house.ts'
import {
  type AttestedHouse,
  attestedHouse,
  attestedRequest,
  certificate,
  deviceKey,
  enrolAttested,
  keyOf,
  manifests as vectors,
  nextKey,
  request,
  serial,
  vectors as chip,
} from './world.ts'

const [a, b, c] = vectors.serials
let open: AttestedHouse | undefined

async function begin(
  signer: 'signer' | 'emulatorSigner' = 'signer',
  isDemo = false,
): Promise<AttestedHouse> {
  open = await attestedHouse([], { isDemo })
  await open.house.registry.addAnchor({ role: 'manifest', der: fromHex(vectors[signer]) })
  return open
}
afterEach(async () => {
  await open?.close()
  open = undefined
})

function file(name: string): string {
  return vectors.files[name] ?? ''
}

async function count(house: House): Promise<readonly number[]> {
  const rows = await house.store.scan('manifest', { limit: 100 })
  const keys = await house.store.scan('manifestKey', { limit: 100 })
  return [rows.length, keys.length]
}

const ownKey = keyOf(vectors.privateKeys['0'])

suite('an import', () => {
  test('brings elements and their keys, and says how many; the log names them', async () => {
    const { manifests, house } = await begin()
    const counts = await manifests.add(file('three'))
    assert.deepEqual(counts, { elements: 3, imported: 3, known: 0, keys: 15 })
    assert.deepEqual(await count(house), [3, 15])
    const events = await house.store.find('event', 'subject', 'manifest')
    assert.deepEqual(
      events.map(({ data }) => JSON.parse(data) as unknown),
      [{ elements: 3, serials: [a, b, c] }],
    )
  })

  test('twice changes nothing, also when the same payload was signed in the other form', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('three'))
    for (const again of ['three', 'general', 'one alone']) {
      const counts = await manifests.add(file(again))
      assert.equal(counts.imported, 0)
      assert.equal(counts.known, counts.elements)
    }
    assert.deepEqual(await count(house), [3, 15])
  })

  test('of other content for the same element is refused, and brings nothing else either', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('general'))
    const other = file('the same element signed of another content').slice(1, -1)
    const fresh = file('version 3').slice(1, -1)
    await assert.rejects(manifests.add(`[${fresh},${other}]`), {
      code: 'ERR_MANIFEST_CONFLICT',
      where: a,
    })
    assert.deepEqual(await count(house), [1, 5])
  })

  test('takes the place of what somebody signed who is no more believed', async () => {
    const { manifests, house } = await begin('emulatorSigner')
    await manifests.add(file('an emulator'))
    const [old] = await house.registry.allAnchors('manifest')
    const before = await house.store.scan('manifest', { limit: 100 })
    assert.deepEqual(
      before.map(({ signer }) => signer),
      [old?.fingerprint],
    )
    const der = fromHex(vectors.signer)
    const fresh = await house.registry.addAnchor({ role: 'manifest', der })
    await house.registry.removeAnchor(old?.fingerprint ?? '')
    const counts = await manifests.add(file('three'))
    assert.deepEqual(counts, { elements: 3, imported: 3, known: 0, keys: 15 })
    assert.deepEqual(await count(house), [3, 15])
    const rows = await house.store.scan('manifest', { limit: 100 })
    assert.ok(rows.every(({ signer }) => signer === fresh.fingerprint))
    enrolled(await enrolAttested(house, request(ownKey)))
    assert.equal((await house.registry.find(serial)).assurance, 3)
  })

  test('of other content takes its place too, and is refused as long as he is believed', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('the same element signed of another content'))
    await assert.rejects(manifests.add(file('three')), { code: 'ERR_MANIFEST_CONFLICT' })
    // As if another had signed it, who was removed since.
    const [row] = await house.store.scan('manifest', { limit: 1 })
    assert.ok(row)
    const set = { signer: '00'.repeat(32) }
    await house.store.apply({ writes: [{ kind: 'update', table: 'manifest', key: a, set }] })
    const counts = await manifests.add(file('three'))
    assert.deepEqual(counts, { elements: 3, imported: 3, known: 0, keys: 15 })
    const events = await house.store.find('event', 'subject', 'manifest')
    const [gone] = events.filter(({ type }) => type === 'manifest.removed')
    assert.deepEqual(JSON.parse(gone?.data ?? ''), { elements: 1, serials: [a], ...set })
    assert.deepEqual(await count(house), [3, 15])
  })

  test('takes the place of what an emulator’s works signed, and not the other way round', async () => {
    const { manifests, house } = await begin('emulatorSigner')
    await manifests.add(file('an emulator'))
    enrolled(await enrolAttested(house, request(ownKey)))
    assert.equal((await house.registry.find(serial)).assurance, 1)
    const der = fromHex(vectors.signer)
    const maker = await house.registry.addAnchor({ role: 'manifest', der })
    const counts = await manifests.add(file('general'))
    assert.deepEqual(counts, { elements: 1, imported: 1, known: 0, keys: 5 })
    const again = await manifests.add(file('an emulator'))
    assert.deepEqual(again, { elements: 1, imported: 0, known: 1, keys: 0 })
    const rows = await house.store.scan('manifest', { limit: 100 })
    assert.deepEqual(
      rows.map(({ signer }) => signer),
      [maker.fingerprint],
    )
    const events = await house.store.find('event', 'subject', 'manifest')
    const types = ['manifest.imported', 'manifest.removed', 'manifest.imported']
    assert.deepEqual(
      events.map(({ type }) => type),
      types,
    )
  })

  test('takes the place of what a signer with a lower cap said, also of other content', async () => {
    open = await attestedHouse([])
    const { manifests, house } = open
    const { registry } = house
    await registry.addAnchor({
      role: 'manifest',
      der: fromHex(vectors.signer),
      assuranceCap: 1,
    })
    await registry.addAnchor({ role: 'manifest', der: fromHex(vectors.emulatorSigner) })
    // One says as much as the other: neither goes.
    await manifests.add(file('the same element signed of another content'))
    await assert.rejects(manifests.add(file('an emulator')), { code: 'ERR_MANIFEST_CONFLICT' })
    const [weak] = await house.store.scan('manifest', { limit: 1 })
    await registry.removeAnchor(weak?.signer ?? '')
    await registry.addAnchor({
      role: 'manifest',
      der: fromHex(vectors.signer),
      assuranceCap: 0,
    })
    assert.equal((await manifests.add(file('an emulator'))).imported, 1)
    await assert.rejects(manifests.add(file('the same element signed of another content')), {
      code: 'ERR_MANIFEST_CONFLICT',
    })
  })

  test('without a signer that is configured is refused', async () => {
    open = await attestedHouse([])
    await assert.rejects(open.manifests.add(file('three')), { code: 'ERR_MANIFEST_SIGNER' })
    await open.house.registry.addAnchor({ role: 'attestation', der: certificate('root') })
    await assert.rejects(open.manifests.add(file('three')), { code: 'ERR_MANIFEST_SIGNER' })
  })

  test('of anything hostile brings nothing', async () => {
    const { manifests, house } = await begin()
    for (const [name, { code, file: text }] of Object.entries(vectors.hostile)) {
      await assert.rejects(manifests.add(text), { code }, name)
    }
    assert.deepEqual(await count(house), [0, 0])
  })
})

suite('a key that a manifest names', () => {
  test('is level 3 when its device shows that it has it, and the JWS is the evidence', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('general'))
    enrolled(await enrolAttested(house, request(ownKey)))
    const device = await house.registry.find(serial)
    assert.equal(device.assurance, 3)
    const [key] = await house.registry.keysOf(device.id)
    assert.deepEqual(
      [key?.evidenceFormat, key?.elementSerial, key?.slot, key?.origin],
      ['trust-platform-manifest', a, 0, 'element'],
    )
    assert.equal(Buffer.from(key?.evidence ?? []).toString(), file('general').slice(1, -1))
  })

  test('is worth nothing before the import, and nothing once its signer is no more believed', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('general'))
    const [anchor] = await house.registry.allAnchors('manifest')
    await house.registry.removeAnchor(anchor?.fingerprint ?? '')
    enrolled(await enrolAttested(house, request(ownKey)))
    assert.equal((await house.registry.find(serial)).assurance, 0)
  })

  test('is no word for another key of the same device', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('general'))
    enrolled(await enrolAttested(house, request(deviceKey)))
    assert.equal((await house.registry.find(serial)).assurance, 0)
  })

  test('is of one device: its other key does not enrol a second one', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('general'))
    enrolled(await enrolAttested(house, request(ownKey)))
    const second = request(keyOf(vectors.privateKeys['1']), undefined, 'TH-2')
    assert.equal(refusal(await enrolAttested(house, second)), '409 ERR_ELEMENT_USED')
  })

  test('of an emulator is level 1, and 3 in a house of the demo', async () => {
    for (const isDemo of [false, true]) {
      const { manifests, house } = await begin('emulatorSigner', isDemo)
      await manifests.add(file('an emulator'))
      enrolled(await enrolAttested(house, request(ownKey)))
      assert.equal((await house.registry.find(serial)).assurance, isDemo ? 3 : 1)
      await open?.close()
    }
    open = undefined
  })

  test('of whom the operator lets give less than a root does, makes no forger of a chip', async () => {
    const { house } = await begin()
    const { registry, store } = house
    const [signer] = await registry.allAnchors('manifest')
    assert.ok(signer)
    // As if it had signed that the chip's attestation key is another.
    const said = { serial: chip.serial, signer: signer.fingerprint, digest: '', jws: '' }
    const row = { ...said, partNumber: 'ATECC608B-TNGTLSU-B', isEmulated: 0, createdAt: 0 }
    const point = Uint8Array.from(fromHex(chip.otherPublicKey))
    const key = { spkiHash: 'ab'.repeat(32), serial: chip.serial, slot: 1, point }
    await store.apply({
      writes: [
        { kind: 'insert', table: 'manifest', row },
        { kind: 'insert', table: 'manifestKey', row: key },
      ],
    })
    await registry.addAnchor({ role: 'attestation', der: certificate('root') })
    const forged = await enrolAttested(house, attestedRequest(chip.evidence))
    assert.equal(refusal(forged), '403 ERR_ATTESTATION_SIGNATURE')
    await registry.removeAnchor(signer.fingerprint)
    const der = fromHex(vectors.signer)
    await registry.addAnchor({ role: 'manifest', der, assuranceCap: 2 })
    const next = attestedRequest(chip.next.evidence, { key: nextKey })
    enrolled(await enrolAttested(house, next))
    assert.equal((await registry.find(serial)).assurance, 3)
  })

  test('does not excuse evidence that is wrong', async () => {
    const { manifests, house } = await begin()
    await manifests.add(file('general'))
    const answer = await enrolAttested(house, attestedRequest(chip.evidence, { key: ownKey }))
    assert.equal(refusal(answer), '403 ERR_ATTESTATION_KEY')
  })
})
