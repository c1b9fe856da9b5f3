/**
 * From chip to house: an emulated part attests its key by its own driver, over a real connection, and
 * the house knows what that is worth. Nothing here is a stand-in but the part.
 */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pem } from '@countersign/core/codec'
import {
  enroll,
  renew,
  roadNames,
  send,
  systemWorld,
  textSample,
  type World,
} from '@countersign/device'
import { openWorks } from '@countersign/element/emulatorWorks'
import { openTestHouse } from './house.ts'
import { quickWorld } from './quick.ts'

const house = await openTestHouse()
const parts = join(house.root, 'parts')
await mkdir(parts)
let states = 0
const freshState = (): string => join(house.root, `device-${states++}`)
const chip = (name: string): string => `atecc608:emulator:${join(parts, name)}.json?times=none`

async function believeWorks(): Promise<string> {
  const works = await openWorks(join(parts, 'emulator-works.json'))
  const added = await house.call('anchor.add', {
    role: 'attestation',
    certificate: Buffer.from(pem('CERTIFICATE', works.root)).toString('base64'),
  })
  return added.fingerprint
}

test('an emulated part is level 0 as long as its works are unknown, 1 when they are, on every renewal', async () => {
  const state = freshState()
  const { id } = await enroll({
    ...(await house.invite()),
    serial: 'ATT-1',
    state,
    element: chip('one'),
  })
  const before = await house.call('identity.show', { id })
  assert.equal(before.assurance, 0)
  assert.equal(before.keys[0]?.evidenceFormat, 'atecc608-internal-sign')
  assert.match(JSON.stringify(before.keys[0]?.verdict), /not known here/)
  const root = await believeWorks()
  await renew({ state })
  await send({ state, topic: 'room', sample: textSample('1') })
  const after = await house.call('identity.show', { id })
  assert.equal(after.assurance, 1)
  const renewed = after.keys.find(({ assurance }) => assurance === 1)
  assert.equal(renewed?.elementKind, 'atecc608')
  assert.match(renewed.elementSerial ?? '', /^0123[0-9a-f]{12}(?:ee|01)$/)
  assert.match(JSON.stringify(renewed.verdict), /It is an emulator/)
  assert.ok(JSON.stringify(renewed.verdict).includes(root))
  const events = await house.events(id)
  assert.equal(events.at(-1)?.['assurance'], 1)
  const why = await house.call('identity.why', { id: 'ATT-1' })
  assert.match(JSON.stringify(why['keys']), /"assurance":1/)
})

test('a product that demands 1 takes the part and refuses the twin, which stays out on every road', async () => {
  const twin = freshState()
  const { id } = await enroll({ ...(await house.invite()), serial: 'TWIN', state: twin })
  await house.call('product.set', { name: 'default', assuranceMin: 1 })
  await enroll({
    ...(await house.invite()),
    serial: 'ATT-2',
    state: freshState(),
    element: chip('two'),
  })
  const another = { ...(await house.invite()), serial: 'TWIN-2', state: freshState() }
  await assert.rejects(enroll(another), { code: 'ERR_ENROLL_REFUSED' })
  // It never became a device; the books know it by the serial number that it asked for.
  const why = await house.call('identity.why', { id: 'twin-2' })
  assert.equal(why['device'], null)
  assert.match(JSON.stringify(why['refusals']), /ERR_ASSURANCE_TOO_LOW/)
  for (const road of roadNames) {
    // On coap nobody authenticates the refusal: it tries again.
    const sent = { state: twin, road, topic: 'room', sample: textSample('1'), world: quickWorld() }
    await assert.rejects(send(sent))
  }
  const { refusals } = await house.call('identity.why', { id })
  const reason = { code: 'ERR_ASSURANCE_TOO_LOW' }
  const expected = roadNames.map((road) => ({ ...reason, road })).toReversed()
  assert.partialDeepStrictEqual(refusals, expected)
  assert.deepEqual(await house.events(id), [])
  await house.call('product.set', { name: 'default', assuranceMin: 0 })
})

/** By what a host does with the chip's statement on slot 2, when the request carries slot 0's key. */
const ofAnotherSlot = [
  ['is sent as it is', 'ERR_ATTESTATION_KEY', 'publicKey', () => undefined],
  [
    'has the key of the request put in',
    'ERR_ATTESTATION_STATEMENT',
    'message: TempKey',
    (evidence: Buffer, { at, asked }: Told) => evidence.set(asked, at),
  ],
  [
    'has the key of the request and its slot put in',
    'ERR_ATTESTATION_STATEMENT',
    // The flags of TempKey have the slot in them.
    'message: byte 40',
    (evidence: Buffer, { at, asked }: Told) => {
      evidence.set(asked, at)
      // docs/element/attestation.md: INTEGER of the slot, then 04 40 and the key.
      assert.deepEqual([...evidence.subarray(at - 5, at)], [0x02, 0x01, 2, 0x04, 0x40])
      evidence[at - 3] = 0
    },
  ],
] as const

interface Told {
  /** Where in the evidence the key of slot 2 stands. */
  readonly at: number
  readonly asked: Uint8Array
}

for (const [what, code, field, bend] of ofAnotherSlot)
  test(`a statement of a live chip on another slot that ${what} is refused, and the books say why`, async () => {
    const serial = `SLOT-${states}`
    const system = systemWorld()
    const world: World = {
      ...system,
      async openElement(...how) {
        const element = await system.openElement(...how)
        const attest = element.attest?.bind(element) ?? assert.fail('it does not attest')
        element.attest = async (slot, nonce) => {
          assert.equal(slot, 0)
          const other = Buffer.from(await element.generateKey(2))
          const attestation = await attest(2, nonce)
          const evidence = Buffer.from(attestation.evidence)
          const at = evidence.indexOf(other)
          assert.ok(at > 0)
          bend(evidence, { at, asked: await element.publicKey(0) })
          return { ...attestation, evidence }
        }
        return element
      },
    }
    const enrolling = enroll({
      ...(await house.invite()),
      serial,
      state: freshState(),
      element: chip(serial),
      world,
    })
    await assert.rejects(enrolling, { code: 'ERR_ENROLL_REFUSED' })
    const why = await house.call('identity.why', { id: serial })
    assert.equal(why['device'], null)
    assert.partialDeepStrictEqual(why['refusals'], [{ code, where: field }])
  })

test('what is no manifest is refused by the command that imports, and a good one needs its signer', async () => {
  const vectors = new URL('../../../../vectors/manifest.json', import.meta.url)
  const { files, signer } = JSON.parse(await readFile(vectors, 'utf8')) as {
    files: Record<string, string>
    signer: string
  }
  const file = join(house.root, 'manifest.json')
  await writeFile(file, files['three'] ?? '')
  await assert.rejects(house.call('factory.import', { file }), { code: 'ERR_MANIFEST_SIGNER' })
  const certificate = Buffer.from(pem('CERTIFICATE', Buffer.from(signer, 'hex')))
  await house.call('anchor.add', {
    role: 'manifest',
    certificate: certificate.toString('base64'),
  })
  const done = await house.call('factory.import', { file })
  assert.deepEqual(done, { file, elements: 3, imported: 3, known: 0, keys: 15 })
  const again = await house.call('factory.import', { file })
  assert.deepEqual([again.imported, again.known], [0, 3])
  await assert.rejects(house.call('factory.import', { file: 'manifest.json' }), {
    code: 'ERR_PARAMETER',
  })
  await assert.rejects(house.call('factory.import', { file: `${file}.gone` }), {
    code: 'ERR_MANIFEST_FILE',
  })
})
