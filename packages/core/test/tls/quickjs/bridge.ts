/**
 * What passes between the engine's host and the program inside: numbers, strings and bytes. Keys,
 * secrets and running hashes stay with the host; inside they are numbers.
 */
import type { AeadName, GroupName, HashName, SignatureScheme } from '@countersign/core/ports'

/** A row of the host's table. */
export type Row = number

/** What the host does for the program inside: the ports of core, flattened. */
export interface HostPorts {
  now(): number
  random(length: number): Uint8Array
  hash(name: HashName, data: Uint8Array): Uint8Array
  hasher(name: HashName): Row
  update(hasher: Row, data: Uint8Array): void
  digest(hasher: Row): Uint8Array
  pointOfX(x: Uint8Array): Uint8Array | undefined
  importSecret(bytes: Uint8Array): Row
  exportSecret(secret: Row): Uint8Array
  hkdfExtract(hash: HashName, salt: Row, inputKey: Row): Row
  hkdfExpand(hash: HashName, key: Row, info: Uint8Array, length: number): Row
  hmac(hash: HashName, key: Row, data: Uint8Array): Uint8Array
  /** The key pair's row with the share. */
  generateEphemeral(group: GroupName): { readonly row: Row; readonly share: Uint8Array }
  /** Undefined for a share that is no good. */
  agree(ephemeral: Row, peerShare: Uint8Array): Row | undefined
  /** Undefined for a key that is no good. */
  importPublicKey(spki: Uint8Array): Row | undefined
  verify(key: Row, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean
  seal(
    aead: AeadName,
    key: Row,
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): Uint8Array
  /** Undefined when the tag does not fit. */
  open(
    aead: AeadName,
    key: Row,
    nonce: Uint8Array,
    aad: Uint8Array,
    ciphertext: Uint8Array,
  ): Uint8Array | undefined
}

/** What the program inside tells its host. */
export interface HostEvents {
  send(bytes: Uint8Array): void
  /** The element's work; answered later with `signed`. */
  sign(message: Uint8Array): void
  secured(suite: string, isResumed: boolean, isAuthenticated: boolean): void
  data(bytes: Uint8Array): void
  resumable(): void
  ended(): void
  failed(code: string, message: string): void
}

/** What the host may call inside. */
export interface GuestProgram {
  /** Of the device, given once. */
  install(host: string, anchor: string, leaf: Uint8Array, spki: Uint8Array): void
  /** Resumes when a ticket has come and was not used. */
  connect(): void
  receive(bytes: Uint8Array): void
  write(bytes: Uint8Array): void
  end(): void
  endOfStream(): void
  signed(signature: Uint8Array): void
}

/** The key of the element is of P-256, so is everything here. */
export const p256Scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'der' } as const

/** The global names inside by which both sides find each other. */
declare global {
  var ports: HostPorts
  var events: HostEvents
  var guest: GuestProgram | undefined
}
