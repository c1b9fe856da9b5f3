/**
 * Byte strings that name something: C_I, C_R, and a kid that travels bare (RFC 9528 §3.3.2, §3.5.3.2).
 * One byte that is itself the encoding of an integer (00 to 17, 20 to 37) travels as that integer,
 * every other one as a byte string: each has one form, and no other is taken.
 */
import { cbor, CborReader } from '../codec/index.ts'
import { edhocError } from './edhocError.ts'
import { edhocLimits } from './limits.ts'

export function encodeIdentifier(identifier: Uint8Array): Uint8Array {
  return isOneByteInt(identifier) ? identifier.slice() : cbor.byteString(identifier)
}

/** What it names: always bytes. */
export function parseIdentifier(reader: CborReader, field: string): Uint8Array {
  if (reader.peek() === 'bytes') {
    const identifier = reader.byteString(field, edhocLimits.identifierBytesMax)
    if (!isOneByteInt(identifier)) return identifier
    throw edhocError('ERR_EDHOC_MESSAGE', `${field} is a byte string and has to be an integer`)
  }
  const value = reader.int(field)
  const encoded = cbor.int(value)
  if (encoded.length === 1) return encoded
  throw edhocError('ERR_EDHOC_MESSAGE', `${field} is an integer that no identifier travels as`, {
    value,
  })
}

function isOneByteInt(identifier: Uint8Array): boolean {
  const [byte = 0xff] = identifier
  // Major types 0 and 1 with their argument in the head.
  return identifier.length === 1 && byte < 0x40 && (byte & 0x1f) < 24
}

/** COSE header parameter (RFC 9052 §3.1). */
const kid = 4

/** ID_CRED_x in a plaintext: a map with a kid alone gives way to the kid (RFC 9528 §3.5.3.2). */
export function encodeCredentialId(idCred: Uint8Array): Uint8Array {
  const bare = onlyKid(idCred)
  return bare === undefined ? idCred : encodeIdentifier(bare)
}

/** ID_CRED_x as it is hashed and signed: the encoded map, also of a bare kid. */
export function parseCredentialId(reader: CborReader, field: string): Uint8Array {
  if (reader.peek() !== 'map') return mapOfKid(parseIdentifier(reader, field))
  const idCred = reader.raw(field)
  if (!beginsWithOnlyKid(idCred)) return idCred
  throw edhocError('ERR_EDHOC_MESSAGE', `${field} is a map around a kid that has to travel bare`)
}

function mapOfKid(identifier: Uint8Array): Uint8Array {
  return cbor.map([cbor.int(kid), cbor.byteString(identifier)])
}

function onlyKid(idCred: Uint8Array): Uint8Array | undefined {
  if (!beginsWithOnlyKid(idCred)) return undefined
  return new CborReader(idCred.subarray(2), 'ID_CRED').byteString('kid')
}

/** A map of one pair whose key is kid. Its encoding is known to be deterministic. */
function beginsWithOnlyKid(idCred: Uint8Array): boolean {
  return idCred[0] === 0xa1 && idCred[1] === kid
}
