/**
 * The secure element: a device's passport. Keys are made inside and never come out; a slot is named
 * by its number. Drivers (software twin, ATECC608, PKCS#11, TPM) stand behind this port; everything
 * is asynchronous because a chip is slow.
 */
import type { SignatureScheme, Signer } from '@countersign/core/ports'

export type ElementKind = 'software' | 'atecc608' | 'pkcs11' | 'tpm'

export interface ElementInfo {
  readonly kind: ElementKind
  /** What the element itself says it is called; a software twin draws it once. Lower-case hex. */
  readonly serial: string
  readonly slotCount: number
}

export interface SlotInfo {
  readonly slot: number
  readonly curve: 'P-256'
  readonly state: 'empty' | 'key'
}

export interface SecureElement {
  info(): Promise<ElementInfo>
  slots(): Promise<readonly SlotInfo[]>
  /**
   * Makes a new P-256 key in the slot, durable when it resolves; a key that was there is gone.
   * Answers as `publicKey`.
   */
  generateKey(slot: number): Promise<Uint8Array>
  /** DER of the SubjectPublicKeyInfo (RFC 5480 §2). ERR_ELEMENT_SLOT_EMPTY when there is no key. */
  publicKey(slot: number): Promise<Uint8Array>
  /** ECDSA over a SHA-256 digest of exactly 32 bytes; r || s, 64 bytes, as chips give it. */
  sign(slot: number, digest: Uint8Array): Promise<Uint8Array>
  /** Bytes from the element's own generator. */
  random(length: number): Promise<Uint8Array>
  close(): Promise<void>
}

export type ElementErrorCode =
  | 'ERR_ELEMENT_URL'
  | 'ERR_ELEMENT_SLOT'
  | 'ERR_ELEMENT_SLOT_EMPTY'
  | 'ERR_ELEMENT_DIGEST'
  | 'ERR_ELEMENT_DAMAGED'
  | 'ERR_ELEMENT_MODE'

/**
 * What a certificate request or a certificate is signed with: same key, same element, other
 * encoding.
 */
export type ElementSigner = Signer & { readonly scheme: SignatureScheme & { kind: 'ecdsa' } }
