/**
 * What the chip remembers until it sleeps: TempKey with its flags, the message digest buffer, the
 * alternate key buffer, the context of SHA, and which key was authorized. Idle keeps all of it (but SHA, by the wake that ends it), sleep and the watchdog lose
 * all but the latch and the pin.
 * Unconfirmed on silicon (U31, U33, U44).
 */
import type { Sha256State } from './sha256State.ts'

/** Where the value of TempKey came from: a nonce with the chip's own randomness, or only a host. */
export const tempKeySource = { random: 0, fixed: 1 } as const

export class TempKey {
  /** 32 bytes, or 64 after a pass-through of 64 or a KDF into both halves. */
  value: Uint8Array = new Uint8Array(0)
  valid = false
  source: 0 | 1 = tempKeySource.random
  /** The slot that GenDig or GenKey put into it. */
  keyId = 0
  genDig = false
  genKey = false
  noMac = false
  /** GenDig or GenKey made it, of whatever: only then it is the begin of an internal message. */
  madeInside = false
  /** An ephemeral private key by GenKey with slot FFFF: usable by ECDH only. */
  isPrivateKey = false

  clear(): void {
    Object.assign(this, new TempKey())
  }

  /** A new value; all flags but the source start again. */
  set(value: Uint8Array, source: 0 | 1): void {
    this.clear()
    this.value = value
    this.source = source
    this.valid = true
  }

  /** Bits 0-3 slot, 4 source, 5 GenDig, 6 GenKey, 7 NoMac. */
  get flags(): number {
    return (
      this.keyId |
      (this.source << 4) |
      (Number(this.genDig) << 5) |
      (Number(this.genKey) << 6) |
      (Number(this.noMac) << 7)
    )
  }

  /** The lower 32 bytes. */
  get lower(): Uint8Array {
    return this.value.subarray(0, 32)
  }
}

/** A digest under way, or an HMAC, which has the outer digest ready. */
export interface ShaContext {
  readonly inner: Sha256State
  readonly outer?: Sha256State
}

export class Registers {
  readonly tempKey: TempKey = new TempKey()
  /** 32 bytes of message, and the 32 of the system nonce behind it when 64 were loaded. */
  messageDigest: Uint8Array | undefined
  alternateKey: Uint8Array | undefined
  sha: ShaContext | undefined
  /** The slot whose key was shown to be known, by CheckMac or Verify. */
  authorized: number | undefined
  /** The key of UseLock was authorized. */
  useUnlocked = false
  /** SecureBoot is not possible before the next power cycle. Survives sleep, as the latch does. */
  secureBootProhibited = false
  /** The persistent latch: only the loss of power clears it. */
  latch = false
  /** Of a part for the single wire; as the latch. */
  pin = false
  /** Self-tests that failed, as bits of SelfTest's mode: until they pass, or the next wake. */
  failedTests = 0

  /** Also from idle. A digest under way does not survive it, and TempKey does. */
  wake(): void {
    this.sha = undefined
    this.failedTests = 0
  }

  sleep(): void {
    this.tempKey.clear()
    this.messageDigest = undefined
    this.alternateKey = undefined
    this.sha = undefined
    this.authorized = undefined
    this.useUnlocked = false
  }
}
