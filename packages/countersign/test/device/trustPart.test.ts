/**
 * A part that its factory has configured and locked, from the reel to the house: its key is taken as
 * it is, its own attestation key speaks for it, a manifest says whose that is, and renewals keep to
 * the keys of that part.
 */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { pem } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificate,
  encodeExtKeyUsage,
  encodeName,
  encodeSubjectKeyId,
  purposes,
} from '@countersign/core/credential'
import { enroll, renew, send, textSample } from '@countersign/device'
import { openElement } from '@countersign/element/compose'
import { serveEmulatedChip } from '@countersign/element/emulator'
import { lockWords, type SecureElement } from '@countersign/element/ports'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { openTestHouse, type TestHouse } from './house.ts'

/** Who makes such emulated parts, and says so of each. */
interface Factory {
  /** DER, with the purpose of an emulator's works. */
  readonly certificate: Uint8Array
  manifest(serial: string, points: ReadonlyMap<number, Uint8Array>): string
}

const b64u = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url')

/** The JWS of the Trust Platform's manifests: see vectors/make/manifest.py. */
async function openFactory(): Promise<Factory> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = softwareSigner(privateKey)
  const name = encodeName([{ type: attributeOid.commonName, value: 'emulated factory' }])
  const keyId = new Uint8Array(randomBytes(20))
  const certificate = await createCertificate(
    {
      serial: Uint8Array.of(0x40, 1),
      issuer: name,
      subject: name,
      notBefore: Date.UTC(2026, 0, 1),
      notAfter: Date.UTC(2126, 0, 1),
      spki: signer.spki,
      extensions: [encodeExtKeyUsage([purposes.emulatorAttestation]), encodeSubjectKeyId(keyId)],
    },
    signer,
  )
  const protectedHeader = b64u(
    JSON.stringify({
      typ: 'JWT',
      alg: 'ES256',
      kid: b64u(keyId),
      'x5t#S256': b64u(createHash('sha256').update(certificate).digest()),
    }),
  )
  return {
    certificate,
    manifest(serial, points) {
      const keys = [...points].map(([slot, point]) => ({
        kid: `${slot}`,
        kty: 'EC',
        crv: 'P-256',
        x: b64u(point.subarray(0, 32)),
        y: b64u(point.subarray(32)),
      }))
      const made = { organizationName: 'Emulated Factory', organizationalUnitName: 'Parts' }
      const payload = b64u(
        JSON.stringify({
          version: 3,
          model: 'ATECC608B',
          partNumber: 'ATECC608B-TFLXTLSU',
          manufacturer: made,
          provisioner: made,
          distributor: made,
          groupId: 'EMULATED00000001',
          provisioningTimestamp: '2026-06-01T12:30:00.123Z',
          uniqueId: serial,
          publicKeySet: { keys },
        }),
      )
      const text = Buffer.from(`${protectedHeader}.${payload}`)
      const signature = b64u(sign('sha256', text, { key: privateKey, dsaEncoding: 'ieee-p1363' }))
      return JSON.stringify([
        { payload, protected: protectedHeader, header: { uniqueId: serial }, signature },
      ])
    },
  }
}

const factory = await openFactory()

async function believingHouse(demo: boolean): Promise<TestHouse> {
  const house = await openTestHouse({ demo })
  await house.call('anchor.add', {
    role: 'manifest',
    certificate: Buffer.from(pem('CERTIFICATE', factory.certificate)).toString('base64'),
  })
  return house
}

async function importManifest(house: TestHouse, serial: string, points: Part['points']) {
  const file = join(house.root, `${serial}.manifest.json`)
  await writeFile(file, factory.manifest(serial, points))
  return house.call('factory.import', { file })
}

interface Part {
  readonly url: string
  readonly serial: string
  /** Of slots 0 and 1, as the factory reads them when it makes the manifest. */
  readonly points: ReadonlyMap<number, Uint8Array>
  use<T>(act: (element: SecureElement) => Promise<T>): Promise<T>
  close(): Promise<void>
}

let parts = 0

async function newPart(house: TestHouse): Promise<Part> {
  const folder = join(house.root, 'parts')
  await mkdir(folder, { recursive: true })
  const name = `part-${parts++}`
  const [file, socket] = [join(folder, `${name}.json`), join(folder, `${name}.sock`)]
  const served = await serveEmulatedChip({
    file,
    socket,
    times: 'none',
    blank: false,
    trustPart: true,
  })
  assert.equal(served.address, 0x36)
  const use: Part['use'] = async (act) => {
    const element = await openElement(served.url, { folder, mustExist: true })
    try {
      return await act(element)
    } finally {
      await element.close()
    }
  }
  const points = await use(
    async (element) =>
      new Map([
        [0, await element.publicKey(0)],
        [1, await element.publicKey(1)],
      ]),
  )
  return { url: served.url, serial: served.serial, points, use, close: () => served.close() }
}

/** Slots 2 to 4 are locked as they are: the key of slot 0 is the only one that serves. */
async function lockSpareSlots(part: Part): Promise<void> {
  await part.use(async (element) => {
    for (const slot of [2, 3, 4]) {
      const target = { kind: 'slot', slot } as const
      const expected = (await element.lockDigest?.(target)) ?? new Uint8Array()
      await element.lock?.(target, { confirm: lockWords, expected })
    }
  })
}

const keysOf = async (house: TestHouse, id: string) =>
  (await house.call('identity.show', { id })).keys

for (const demo of [false, true]) {
  const level = demo ? 3 : 1
  const house = await believingHouse(demo)
  let states = 0
  const enrolled = async (part: Part, serial: string) => {
    const state = join(house.root, `device-${states++}`)
    const { id } = await enroll({ ...(await house.invite()), serial, state, element: part.url })
    return { id, state }
  }

  suite(demo ? 'in a folder of the demo' : 'in another folder', () => {
    test('its key is taken as it is, and its word is worth nothing without a manifest', async () => {
      const part = await newPart(house)
      try {
        const { id } = await enrolled(part, 'TRUST-0')
        const shown = await house.call('identity.show', { id })
        assert.equal(shown.assurance, 0)
        assert.equal(shown.keys[0]?.evidenceFormat, 'atecc608-internal-sign')
        assert.match(JSON.stringify(shown.keys[0]?.verdict), /No certificate and no manifest/)
        assert.deepEqual(await part.use((element) => element.publicKey(0)), part.points.get(0))
        await assert.rejects(
          part.use((element) => element.generateKey(0)),
          { code: 'ERR_ELEMENT_POLICY' },
        )
      } finally {
        await part.close()
      }
    })

    test(`with its manifest it is ${level}, also with the next key that it makes`, async () => {
      const part = await newPart(house)
      try {
        await importManifest(house, part.serial, part.points)
        const { id, state } = await enrolled(part, 'TRUST-1')
        const first = await keysOf(house, id)
        assert.deepEqual(
          first.map(({ assurance, elementSerial }) => [assurance, elementSerial]),
          [[level, part.serial]],
        )
        await renew({ state })
        await send({ state, topic: 'room', sample: textSample('"renewed"') })
        const after = await keysOf(house, id)
        // No manifest names the key of slot 2: the key of slot 1 that it does name speaks for it.
        const renewed = after.filter(
          ({ evidenceFormat }) => evidenceFormat === 'atecc608-internal-sign',
        )
        assert.ok(renewed.length > 0)
        for (const { assurance, elementSerial } of renewed) {
          assert.deepEqual([assurance, elementSerial], [level, part.serial])
        }
        assert.deepEqual(await part.use((element) => element.publicKey(0)), part.points.get(0))
        assert.equal((await house.events(id)).at(-1)?.['assurance'], level)
      } finally {
        await part.close()
      }
    })

    test('with no slot left for another key it renews with the same one, and again', async () => {
      const part = await newPart(house)
      try {
        await lockSpareSlots(part)
        await importManifest(house, part.serial, part.points)
        const { id, state } = await enrolled(part, 'TRUST-2')
        const serials = new Set<string>()
        for (let times = 0; times < 2; times++) {
          serials.add((await renew({ state })).certificate.serial)
          await send({ state, topic: 'room', sample: textSample(`${times}`) })
        }
        assert.equal(serials.size, 2, 'a new certificate each time')
        const keys = await keysOf(house, id)
        assert.equal(keys.length, 1, 'one key')
        assert.equal(keys[0]?.assurance, level)
        assert.deepEqual(await part.use((element) => element.publicKey(0)), part.points.get(0))
      } finally {
        await part.close()
      }
    })
  })
}

test('a manifest that names another key for slot 1 makes the part a forgery', async () => {
  const house = await believingHouse(false)
  const part = await newPart(house)
  const other = await newPart(house)
  try {
    const points = new Map([[1, other.points.get(1) ?? new Uint8Array()]])
    await importManifest(house, part.serial, points)
    const state = join(house.root, 'forged')
    const attempt = enroll({ ...(await house.invite()), serial: 'F', state, element: part.url })
    await assert.rejects(attempt, { code: 'ERR_ENROLL_REFUSED' })
  } finally {
    await part.close()
    await other.close()
  }
})
