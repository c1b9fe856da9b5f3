/**
 * What COSE signs, encrypts with and authenticates (RFC 9052 §4.4, §5.3, §6.3), encoded: of
 * messages with one signer or one recipient. `protectedMap` is the encoded map of protected headers
 * as it travels, or no bytes where the map is empty. EDHOC and OSCORE fill these structures with
 * what is theirs (RFC 9528 §5.3, RFC 8613 §5.4).
 *
 * @example encStructure({ protectedMap: noBytes, externalAad: th3 })
 */
import { cbor } from '../codec/index.ts'

/** The defaults of both fields (RFC 9052 §4.3). */
export const noBytes: Uint8Array = new Uint8Array()

export interface EncStructureFields {
  readonly protectedMap: Uint8Array
  /** What both sides know and the message does not carry. */
  readonly externalAad: Uint8Array
}

export interface SigStructureFields extends EncStructureFields {
  readonly payload: Uint8Array
}

/** Of COSE_Sign1. The signature covers these bytes (RFC 9052 §4.4). */
export function sigStructure(fields: SigStructureFields): Uint8Array {
  return withPayload('Signature1', fields)
}

/** Of COSE_Encrypt0. These bytes are the AAD of the AEAD (RFC 9052 §5.3). */
export function encStructure({ protectedMap, externalAad }: EncStructureFields): Uint8Array {
  return cbor.array(encrypt0, cbor.byteString(protectedMap), cbor.byteString(externalAad))
}

const encrypt0 = cbor.textString('Encrypt0')

/** Of COSE_Mac0. The tag covers these bytes (RFC 9052 §6.3). */
export function macStructure(fields: SigStructureFields): Uint8Array {
  return withPayload('MAC0', fields)
}

function withPayload(
  context: 'Signature1' | 'MAC0',
  { protectedMap, externalAad, payload }: SigStructureFields,
): Uint8Array {
  return cbor.array(
    cbor.textString(context),
    cbor.byteString(protectedMap),
    cbor.byteString(externalAad),
    cbor.byteString(payload),
  )
}
