/**
 * The library of a token as this driver sees it: the few calls of PKCS#11 v2.40 that it makes, with
 * plain values. Behind it stands pkcs11js (native.ts); tests put failures in between.
 *
 * Every call throws CryptokiError when the library did not return CKR_OK. Only what a token
 * computes can be awaited; the rest is quick and keeps the turn.
 */

/** Opaque, and of one run of the library only. */
export type Handle = Buffer

export type Value = Uint8Array | string | number | boolean

export interface Attribute {
  readonly type: number
  readonly value: Value
}

export interface LibraryInfo {
  readonly manufacturer: string
  readonly description: string
}

export interface TokenInfo {
  readonly label: string
  readonly manufacturer: string
  readonly model: string
  /** As text, as the token has it. */
  readonly serial: string
  /** CKF_ values, see constants.ts. */
  readonly flags: number
  /** Firmware. */
  readonly version: string
}

export interface Pair {
  readonly publicKey: Handle
  readonly privateKey: Handle
}

export interface Cryptoki {
  /** The file of the library. */
  readonly path: string
  /** C_Initialize with CKF_OS_LOCKING_OK. */
  initialize(): void
  finalize(): void
  /** C_GetInfo: what the library is called. */
  library(): LibraryInfo
  /** Slots with a token in them. */
  slots(): readonly Handle[]
  tokenInfo(slot: Handle): TokenInfo
  mechanisms(slot: Handle): readonly number[]
  openSession(slot: Handle, writable: boolean): Handle
  closeSession(session: Handle): void
  /** As the user; without a PIN when the token asks for it itself. */
  login(session: Handle, pin: string | undefined): void
  /** C_GetSessionInfo: the user is logged in. */
  isLoggedIn(session: Handle): boolean
  find(session: Handle, template: readonly Attribute[]): readonly Handle[]
  /** Undefined when the object has no such attribute or does not show it. */
  attribute(session: Handle, object: Handle, type: number): Uint8Array | undefined
  destroy(session: Handle, object: Handle): void
  random(session: Handle, length: number): Uint8Array
  generatePair(
    session: Handle,
    publicTemplate: readonly Attribute[],
    privateTemplate: readonly Attribute[],
  ): Promise<Pair>
  /** CKM_ECDSA over a digest; r || s of `length` bytes. `signNow` keeps the turn. */
  sign(session: Handle, key: Handle, digest: Uint8Array, length: number): Promise<Uint8Array>
  signNow(session: Handle, key: Handle, digest: Uint8Array, length: number): Uint8Array
  /** CKM_ECDH1_DERIVE without a KDF; `peer` is a point as this token wants it. */
  derive(
    session: Handle,
    key: Handle,
    peer: Uint8Array,
    template: readonly Attribute[],
  ): Promise<Handle>
}

/** Opens the library of a file; injected, so that tests can stand between. */
export type LoadCryptoki = (path: string) => Promise<Cryptoki>
