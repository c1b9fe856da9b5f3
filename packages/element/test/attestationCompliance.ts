/**
 * What an element that attests must say of its keys. The statement is composed here anew from the
 * public description of the chip, and its signature verified by OpenSSL, through Node.
 */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto'
import { parseAtecc608Evidence } from '@countersign/core/attestation'
import { hex } from '@countersign/core/codec'
import type { Attestation, SecureElement } from '../src/ports.ts'
import { spkiOfPoint } from '../src/signer.ts'

/** That it is about this key, over this nonce, and by a key of the element that attests. */
export async function assertAttested(
  element: SecureElement,
  slot: number,
  nonce: Uint8Array,
  { format, evidence, chain }: Attestation,
): Promise<void> {
  assert.equal(format, 'atecc608-internal-sign')
  const told = parseAtecc608Evidence(evidence)
  const point = await element.publicKey(slot)
  assert.deepEqual([hex(told.nonce), told.slot], [hex(nonce), slot])
  assert.deepEqual(told.publicKey, point)
  const attesting = (await element.slots()).find((each) => each.slot === told.attestationSlot)
  assert.ok(attesting?.uses.includes('attest') === true)
  assert.ok(!attesting.uses.includes('sign'), 'it would sign a statement of anyone')
  const key = await attestingKey(element, told.attestationSlot, chain)
  const signed = { key, dsaEncoding: 'ieee-p1363' } as const
  assert.ok(verify('sha256', told.message, signed, told.signature))
  const { serial } = await element.info()
  const digest = genKeyDigest({ ...told, serial: Buffer.from(serial, 'hex') })
  assert.deepEqual(Buffer.from(told.message.subarray(0, 32)), digest)
}

async function attestingKey(
  element: SecureElement,
  slot: number,
  [leaf]: readonly Uint8Array[],
): Promise<KeyObject> {
  const spki = Buffer.from(spkiOfPoint(await element.publicKey(slot)))
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  if (leaf !== undefined) assert.ok(new X509Certificate(leaf).publicKey.equals(key))
  return key
}

interface Told {
  readonly nonce: Uint8Array
  readonly slot: number
  readonly publicKey: Uint8Array
  readonly serial: Uint8Array
  readonly randOut?: Uint8Array | undefined
}

/**
 * TempKey || 40 || 08 || slot || SN8 SN0 SN1 || 25 zeros || X || Y. TempKey is the nonce, or what the
 * chip drew, 20 bytes of the nonce and 16 00 00.
 */
function genKeyDigest({ nonce, slot, publicKey, serial, randOut }: Told): Buffer {
  const tempKey =
    randOut === undefined
      ? nonce
      : sha256(Buffer.concat([randOut, nonce.subarray(0, 20), Buffer.from('160000', 'hex')]))
  const [sn0 = 0, sn1 = 0] = serial
  const head = Uint8Array.of(0x40, 0x08, slot, 0, serial[8] ?? 0, sn0, sn1)
  return sha256(Buffer.concat([tempKey, head, Buffer.alloc(25), publicKey]))
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
