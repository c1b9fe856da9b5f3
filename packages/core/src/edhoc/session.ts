/** What both sides of a handshake share: options, the sealed messages, and what is left of it. */
import { encStructure, noBytes } from '../cose/index.ts'
import type { ChannelCrypto, SecretKey } from '../ports.ts'
import { type EadItem, knownEad } from './ead.ts'
import type { MessageKey, PrkOut } from './keySchedule.ts'
import { edhocLimits } from './limits.ts'
import type { Authentication, Method } from './methods.ts'
import type { OwnCredential, TrustedCredential } from './proof.ts'
import type { UsableSuite } from './suites.ts'

/** A finished handshake. Secrets of OSCORE come from `oscoreSecrets`. */
export interface Session {
  readonly method: Method
  readonly suite: UsableSuite
  /** C_I: in OSCORE the responder's Sender ID, the initiator's Recipient ID (Appendix A.1). */
  readonly cI: Uint8Array
  /** C_R: the initiator's Sender ID, the responder's Recipient ID. */
  readonly cR: Uint8Array
  readonly peer: TrustedCredential
  readonly prkOut: PrkOut
}

export interface SideOptions {
  readonly crypto: ChannelCrypto
  readonly own: OwnCredential
  /**
   * Labels of authorization data that the application knows; none where nothing is said. Items with
   * others are passed over, or end the handshake when they are critical (RFC 9528 §3.8).
   */
  readonly eadLabels?: ReadonlySet<number>
}

/** An ephemeral key pair, in this process or in an element. */
export interface HandshakeKey {
  /** As `EphemeralKey` has it. */
  readonly share: Uint8Array
  agree(peerShare: Uint8Array): SecretKey | Promise<SecretKey>
}

/** What the application gets of them. Throws PeerError ERR_EDHOC_EAD. */
export function understood(
  { eadLabels = new Set() }: Pick<SideOptions, 'eadLabels'>,
  items: readonly EadItem[],
): readonly EadItem[] {
  return knownEad(items, eadLabels)
}

/**
 * How often the ephemeral key of a side agrees at most: once, and where the peer has a static key,
 * once more for each credential that its reference may mean.
 */
export function agreementsOf(peer: Authentication): number {
  return peer === 'static key' ? 1 + edhocLimits.candidatesMax : 1
}

/** CIPHERTEXT_3 and CIPHERTEXT_4 (RFC 9528 §5.4.2, §5.5.2). */
export function seal(
  crypto: ChannelCrypto,
  { aead }: UsableSuite,
  { key, iv }: MessageKey,
  transcriptHash: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return crypto.seal(aead.name, key, iv, aadOf(transcriptHash), plaintext)
}

/** Throws PeerError ERR_AEAD_OPEN. */
export function open(
  crypto: ChannelCrypto,
  { aead }: UsableSuite,
  { key, iv }: MessageKey,
  transcriptHash: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  return crypto.open(aead.name, key, iv, aadOf(transcriptHash), ciphertext)
}

function aadOf(transcriptHash: Uint8Array): Uint8Array {
  return encStructure({ protectedMap: noBytes, externalAad: transcriptHash })
}
