/**
 * The secure element: a device's passport. Keys are made inside and never come out; a slot is named
 * by its number. Drivers (software twin, ATECC608, PKCS#11, TPM) stand behind this port; everything
 * is asynchronous because a chip is slow.
 *
 * Values are those of the chips: points are X || Y (64 bytes, big-endian), signatures r || s (64
 * bytes). DER exists only at the edge to X.509 and TLS. What an element cannot do is absent: a
 * member that is there works.
 */
export type ElementKind = 'software' | 'atecc608' | 'pkcs11' | 'tpm'

export type ElementCapability = 'ecdh' | 'ephemeral' | 'data' | 'counters' | 'attestation' | 'lock'

export interface ElementInfo {
  readonly kind: ElementKind
  readonly vendor: string
  readonly model: string
  /** As the element tells it; for an ATECC608 the four bytes of Info, in hex. */
  readonly revision: string
  /** What the element itself says it is called; a software twin draws it once. Lower-case hex. */
  readonly serial: string
  readonly capabilities: readonly ElementCapability[]
}

/** What the key of a slot may be used for. */
export type SlotUse = 'sign' | 'ecdh' | 'attest'

/** A slot that holds a private key, or may. Slots of data are behind `data`. */
export interface SlotInfo {
  readonly slot: number
  readonly curve: 'P-256'
  /** `unknown`: the element does not tell as long as it is not locked. */
  readonly state: 'empty' | 'key' | 'unknown'
  readonly uses: readonly SlotUse[]
  /** `generateKey` is allowed here now. */
  readonly canGenerate: boolean
  /** What is in it stays in it for ever. */
  readonly locked: boolean
}

export interface ElementState {
  /** The configuration: open, it can still be changed, and keys are not protected yet. */
  readonly config: 'open' | 'locked'
  /** Data and one-time zones, and with them the rules of the slots. */
  readonly data: 'open' | 'locked'
}

export interface DataSlotInfo {
  readonly slot: number
  /** Bytes. */
  readonly size: number
  readonly writable: boolean
}

/** Room for certificates and the like; nothing secret belongs here. */
export interface ElementData {
  slots(): Promise<readonly DataSlotInfo[]>
  read(slot: number, offset: number, length: number): Promise<Uint8Array>
  /** Durable when it resolves. */
  write(slot: number, offset: number, bytes: Uint8Array): Promise<void>
}

/** Counters that only go up, and never back. */
export interface ElementCounters {
  readonly count: number
  /** The highest value; an increment there is ERR_ELEMENT_COUNTER_LIMIT. */
  readonly valueMax: number
  read(counter: number): Promise<number>
  /** Never repeated by a driver: after a broken answer the value is read first. The new value. */
  increment(counter: number): Promise<number>
}

/** A key pair that the element made for one handshake; it is gone after that. */
export interface ElementEphemeral {
  /** X || Y. */
  readonly point: Uint8Array
  /**
   * As `ecdh`, and as often as it was made for: a try counts, also one that fails. Then
   * ERR_ELEMENT_ARGUMENT. A key that the element could not keep so long is an error that may be
   * tried again, with a new key.
   */
  agree(peer: Uint8Array): Promise<Uint8Array>
}

export type AttestationFormat = 'atecc608-internal-sign'

/** What an element says of one of its keys, signed inside it. */
export interface Attestation {
  readonly format: AttestationFormat
  /** The statement, in the encoding of its format; see core/attestation. */
  readonly evidence: Uint8Array
  /**
   * DER certificates of the key that signed it, leaf first; empty when the maker's word about that
   * key comes another way (a manifest).
   */
  readonly chain: readonly Uint8Array[]
}

export type LockTarget =
  | { readonly kind: 'config' }
  | { readonly kind: 'data' }
  | { readonly kind: 'slot'; readonly slot: number }

/** No lock can be undone, so the caller says so in words, and says what it believes is locked. */
export interface LockConfirmation {
  readonly confirm: typeof lockWords
  /**
   * The digest or checksum of what will be locked, as `lockDigest` of the same target answers it:
   * the lock happens only if the element holds exactly that.
   */
  readonly expected: Uint8Array
}

export const lockWords = 'yes-permanently'

export interface SecureElement {
  info(): Promise<ElementInfo>
  state(): Promise<ElementState>
  /** Ordered by number. */
  slots(): Promise<readonly SlotInfo[]>
  /**
   * Makes a new P-256 key in the slot, durable when it resolves; a key that was there is gone.
   * Answers as `publicKey`.
   */
  generateKey(slot: number): Promise<Uint8Array>
  /** X || Y. ERR_ELEMENT_SLOT_EMPTY when there is no key. */
  publicKey(slot: number): Promise<Uint8Array>
  /** ECDSA over a SHA-256 digest of exactly 32 bytes; r || s, 64 bytes, as chips give it. */
  sign(slot: number, digest: Uint8Array): Promise<Uint8Array>
  /**
   * Bytes from the element's own generator. ERR_ELEMENT_NOT_LOCKED from a chip that would answer
   * its fixed pattern.
   */
  random(length: number): Promise<Uint8Array>
  /**
   * The x-coordinate of the shared point (SEC 1 §3.3.1), 32 bytes, for a key schedule to import at
   * once; the caller wipes it. ERR_ELEMENT_ECC for a point that is not on the curve.
   */
  ecdh?(slot: number, peer: Uint8Array): Promise<Uint8Array>
  /**
   * A key for so many agreements, one where nothing is said; ERR_ELEMENT_UNSUPPORTED for more than
   * this element's can. It keeps one of them: the next, and other work too, may end it.
   */
  ephemeral?(agreements?: number): Promise<ElementEphemeral>
  readonly data?: ElementData
  readonly counters?: ElementCounters
  /**
   * A statement about the key of `slot`, with the verifier's nonce of 32 bytes inside what is
   * signed.
   */
  attest?(slot: number, nonce: Uint8Array): Promise<Attestation>
  /** What `lock` would lock, in the form that it wants as `expected`. Changes nothing. */
  lockDigest?(target: LockTarget): Promise<Uint8Array>
  lock?(target: LockTarget, confirmation: LockConfirmation): Promise<void>
  /** What is under way ends first; whatever is called after it is ERR_ELEMENT_GONE. */
  close(): Promise<void>
}
