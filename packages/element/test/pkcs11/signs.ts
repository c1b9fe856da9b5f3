/** What tests of tokens let sign. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import type { Pkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { spkiOfPoint } from '../../src/signer.ts'

export const message = Buffer.from('a reading')
export const digest = createHash('sha256').update(message).digest()

export async function assertSigns(element: Pkcs11Element, slot = 0): Promise<void> {
  const spki = Buffer.from(spkiOfPoint(await element.publicKey(slot)))
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  const signature = await element.sign(slot, digest)
  assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
}
