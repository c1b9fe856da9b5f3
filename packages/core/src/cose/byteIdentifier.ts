/**
 * Identifiers that are byte strings, as EDHOC has them on the wire (RFC 9528 §3.3.2): one byte that
 * is the encoding of an integer by itself (hex 00 to 17, 20 to 37) travels as that integer,
 * everything else as a byte string. So do connection identifiers, and a kid that stands for its
 * whole map.
 */
import { type CborReader, cbor } from '../codec/index.ts'
import { coseLimits } from './errors.ts'

export function encodeByteIdentifier(identifier: Uint8Array): Uint8Array {
  return isInteger(identifier) ? Uint8Array.from(identifier) : cbor.byteString(identifier)
}

/**
 * Throws PeerError ERR_CBOR_VALUE for the longer encoding of an identifier that has a short one.
 */
export function readByteIdentifier(
  reader: CborReader,
  field: string,
  lengthMax: number = coseLimits.identifierBytesMax,
): Uint8Array {
  const kind = reader.peek()
  if (kind !== 'unsigned' && kind !== 'negative') {
    const identifier = reader.byteString(field, lengthMax)
    if (isInteger(identifier)) throw reader.bad('it has to travel as an integer', field)
    return identifier
  }
  const start = reader.offset
  reader.int(field)
  const encoded = reader.bytes.subarray(start, reader.offset)
  if (encoded.length !== 1) throw reader.bad('an integer of more than one byte', field)
  return encoded
}

/** One byte whose major type is 0 or 1 and which is a whole item (RFC 8949 §3). */
function isInteger(identifier: Uint8Array): boolean {
  const [first = 0xff] = identifier
  return identifier.length === 1 && first < 0x40 && (first & 0x1f) < 24
}
