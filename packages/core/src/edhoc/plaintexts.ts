/**
 * PLAINTEXT_2, PLAINTEXT_3 and PLAINTEXT_4 (RFC 9528 §5.3.2, §5.4.2, §5.5.2) between bytes and
 * values, as strict as the messages around them. CIPHERTEXT_2 has no tag: whatever an attacker
 * makes of it arrives here.
 */
import { CborReader, cbor, concat } from '../codec/index.ts'
import {
  type CredentialReference,
  encodeByteIdentifier,
  encodeCompactReference,
  readByteIdentifier,
  readCompactReference,
} from '../cose/index.ts'
import { type EadItem, encodeEad, parseEad } from './ead.ts'
import { edhocError } from './edhocError.ts'
import { edhocLimits } from './limits.ts'
import { type Authentication, type Method, proofLength } from './methods.ts'
import type { Suite } from './suites.ts'

export interface Plaintext3 {
  /** ID_CRED_x. Its map travels, or a kid alone without one (§3.5.3.2). */
  readonly reference: CredentialReference
  /** Signature_or_MAC_x. */
  readonly proof: Uint8Array
  readonly ead: readonly EadItem[]
}

export interface Plaintext2 extends Plaintext3 {
  readonly cR: Uint8Array
}

export function encodePlaintext2(plaintext: Plaintext2): Uint8Array {
  return concat(encodeByteIdentifier(plaintext.cR), encodePlaintext3(plaintext))
}

export function parsePlaintext2(
  bytes: Uint8Array,
  suite: Suite,
  { responder }: Method,
): Plaintext2 {
  const reader = new CborReader(bytes, 'PLAINTEXT_2', edhocLimits.messageBytesMax)
  const cR = readByteIdentifier(reader, 'C_R', edhocLimits.identifierBytesMax)
  return { cR, ...parseRest(reader, suite, responder, '2') }
}

export function encodePlaintext3({ reference, proof, ead }: Plaintext3): Uint8Array {
  return concat(encodeCompactReference(reference), cbor.byteString(proof), encodeEad(ead))
}

export function parsePlaintext3(
  bytes: Uint8Array,
  suite: Suite,
  { initiator }: Method,
): Plaintext3 {
  const reader = new CborReader(bytes, 'PLAINTEXT_3', edhocLimits.messageBytesMax)
  return parseRest(reader, suite, initiator, '3')
}

/** PLAINTEXT_4 is EAD_4, or nothing; `encodeEad` makes it. */
export function parsePlaintext4(bytes: Uint8Array): readonly EadItem[] {
  return parseEad(new CborReader(bytes, 'PLAINTEXT_4', edhocLimits.messageBytesMax), 'EAD_4')
}

function parseRest(
  reader: CborReader,
  suite: Suite,
  by: Authentication,
  number: '2' | '3',
): Plaintext3 {
  const name = number === '2' ? 'ID_CRED_R' : 'ID_CRED_I'
  const reference = readCompactReference(reader, name, `PLAINTEXT_${number}`)
  const field = `Signature_or_MAC_${number}`
  const proof = reader.byteString(field)
  const expected = proofLength(suite, by)
  if (proof.length !== expected) {
    throw edhocError('ERR_EDHOC_MESSAGE', `${field} has ${proof.length} bytes and not ${expected}`)
  }
  return { reference, proof, ead: parseEad(reader, `EAD_${number}`) }
}
