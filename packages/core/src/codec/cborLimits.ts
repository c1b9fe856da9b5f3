/** Limits of the CBOR layer and its error codes. */
export type CborErrorCode =
  | 'ERR_CBOR_TRUNCATED'
  | 'ERR_CBOR_KIND'
  | 'ERR_CBOR_MINIMAL'
  | 'ERR_CBOR_ORDER'
  | 'ERR_CBOR_TRAILING'
  | 'ERR_CBOR_DEPTH'
  | 'ERR_CBOR_SIZE'
  | 'ERR_CBOR_VALUE'

export interface CborLimits {
  readonly depthMax: number
  readonly sizeMax: number
}

export const cborLimits: CborLimits = {
  /** Of what is stepped over unread; what is read nests by its own grammar. */
  depthMax: 8,
  /**
   * Of one input: an EDHOC message with a chain of certificates by value. Parsers have smaller
   * ones.
   */
  sizeMax: 65_536,
}

/** What whoever sent the bytes can do about it. */
export const cborHints: Readonly<Record<CborErrorCode, string>> = {
  ERR_CBOR_TRUNCATED: 'Send the whole of it.',
  ERR_CBOR_KIND: 'Encode it as its standard says: another kind of item stands there.',
  ERR_CBOR_MINIMAL:
    'Encode it deterministically (RFC 8949 §4.2.1): heads as short as they can be, definite lengths.',
  ERR_CBOR_ORDER:
    'Encode maps deterministically (RFC 8949 §4.2.1): keys in bytewise order, none twice.',
  ERR_CBOR_TRAILING: 'Remove what follows.',
  ERR_CBOR_DEPTH: 'No message here nests as deep; find out who sent it.',
  ERR_CBOR_SIZE: 'No message here is as large; find out who sent it.',
  ERR_CBOR_VALUE: 'Encode the named field as its standard says; nothing is guessed here.',
}
