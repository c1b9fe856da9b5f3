/**
 * ID_CRED_x in a plaintext (RFC 9528 §3.5.3.2): a map with a kid alone gives way to the kid, which
 * travels as a connection identifier does. What is hashed and signed is the map in both cases.
 */
import { CborReader } from '../codec/index.ts'
import {
  encodeByteIdentifier,
  encodeCredentialReference,
  readByteIdentifier,
} from '../cose/index.ts'
import { edhocError } from './edhocError.ts'
import { edhocLimits } from './limits.ts'

export function encodeCredentialId(idCred: Uint8Array): Uint8Array {
  if (!isMapOfKid(idCred)) return idCred
  return encodeByteIdentifier(new CborReader(idCred.subarray(2), 'ID_CRED').byteString('kid'))
}

/** The encoded map, also of a bare kid. */
export function parseCredentialId(reader: CborReader, field: string): Uint8Array {
  if (reader.peek() !== 'map') {
    const kid = readByteIdentifier(reader, field, edhocLimits.identifierBytesMax)
    return encodeCredentialReference({ kid })
  }
  const idCred = reader.raw(field)
  if (!isMapOfKid(idCred)) return idCred
  throw edhocError('ERR_EDHOC_MESSAGE', `${field} is a map around a kid that has to travel bare`)
}

/** Of one pair whose key is kid (RFC 9052 §3.1). The encoding is known to be deterministic. */
function isMapOfKid(idCred: Uint8Array): boolean {
  return idCred[0] === 0xa1 && idCred[1] === 4
}
