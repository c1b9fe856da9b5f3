/** Limits of the DER layer and its error codes. */
export type DerErrorCode =
  | 'ERR_DER_TRUNCATED'
  | 'ERR_DER_TAG'
  | 'ERR_DER_LENGTH'
  | 'ERR_DER_TRAILING'
  | 'ERR_DER_DEPTH'
  | 'ERR_DER_SIZE'
  | 'ERR_DER_VALUE'

export interface DerLimits {
  readonly depthMax: number
  readonly sizeMax: number
  readonly oidOctetsMax: number
  readonly arcOctetsMax: number
}

export const derLimits: DerLimits = {
  /**
   * The deepest grammar here, a directory name in a distribution point asked for in a CSR, needs
   * exactly these.
   */
  depthMax: 16,
  /** Of one input: the largest CRL that we take. Each parser has its own, smaller one. */
  sizeMax: 64 * 1024 * 1024,
  /** Of an OBJECT IDENTIFIER. The longest in use (2.25.<UUID>.n) has 22. */
  oidOctetsMax: 64,
  /** Of one arc: 19 hold the 128 bits of a UUID. */
  arcOctetsMax: 19,
}

/** What whoever sent the bytes, or holds them, can do about it. */
export const derHints: Readonly<Record<DerErrorCode, string>> = {
  ERR_DER_TRUNCATED:
    'Send the whole of it, in DER; `openssl asn1parse -inform DER` shows where it ends.',
  ERR_DER_TAG:
    'Encode it by its standard, in DER; `openssl asn1parse -inform DER` shows what stands there.',
  ERR_DER_LENGTH: 'Encode it in DER, not BER: every length is definite and as short as it can be.',
  ERR_DER_TRAILING: 'Remove what follows: one value, and nothing behind it.',
  ERR_DER_DEPTH: 'Nothing that is used in earnest nests like this; look at who sent it.',
  ERR_DER_SIZE: 'Nothing that is used in earnest is as large; look at who sent it.',
  ERR_DER_VALUE:
    'Encode the named field by its standard, in DER; nothing here is repaired by guessing.',
}
