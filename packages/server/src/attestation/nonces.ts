/**
 * Nonces of attestation: each for one holder (a token or a certificate), once, for ten minutes. Kept in
 * memory: a restart forgets them, and a device that was about to use one asks again. Bounded for each
 * holder and as a whole; when the whole is reached, who waits with a few still gets his.
 */
import { hex } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import type { AttestationDoorErrorCode } from '../ports.ts'
import { type Rate, TokenBuckets } from '../rates.ts'
import { Recent } from '../recent.ts'

const nonceBytes = 32
export const nonceLifeMs = 600_000
/** A token may serve a whole line; a certificate is of one device. */
const outstandingMax = { token: 1_000, certificate: 8 } as const
const rates: Readonly<Record<keyof typeof outstandingMax, Rate>> = {
  token: { perSecond: 50, burst: 200 },
  certificate: { perSecond: 0.1, burst: 8 },
}
/** About 200 bytes each. Beyond it a holder gets what he needs for one device, and no more. */
const noncesMax = 100_000
const fewMax = 4
/** Used ones are remembered for their own word only: what is not known is refused as well. */
const usedMax = 10_000
const holdersMax = 100_000

/** What became of a nonce that somebody shows. */
export type NonceFate = 'good' | 'unknown' | 'used' | 'expired' | 'foreign'

interface Given {
  readonly holder: string
  readonly expires: Milliseconds
}

export class Nonces {
  readonly #clock: Clock
  readonly #random: Random
  readonly #rates: TokenBuckets
  /** Not used yet; in the order they were given, which is the order in which they expire. */
  readonly #given = new Map<string, Given>()
  readonly #used = new Recent<Given>(usedMax)
  readonly #outstanding = new Map<string, number>()

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock
    this.#random = random
    this.#rates = new TokenBuckets(clock, holdersMax)
  }

  /** Throws PeerError ERR_ATTESTATION_RATE. */
  give(holder: string): { readonly nonce: Uint8Array; readonly expires: Milliseconds } {
    this.#forgetExpired()
    const kind = holder.startsWith('token:') ? 'token' : 'certificate'
    const waiting = this.#outstanding.get(holder) ?? 0
    const max = this.#given.size < noncesMax ? outstandingMax[kind] : fewMax
    const isTooMany = waiting >= max
    if (isTooMany || this.#rates.take(holder, rates[kind]) > 0) throw tooOften(waiting)
    const nonce = this.#random.bytes(nonceBytes)
    const expires = this.#clock.now() + nonceLifeMs
    this.#given.set(hex(nonce), { holder, expires })
    this.#outstanding.set(holder, waiting + 1)
    return { nonce, expires }
  }

  /** Takes it out of use, whatever comes of the evidence. */
  take(nonce: Uint8Array, holder: string): NonceFate {
    const name = hex(nonce)
    const waiting = this.#given.get(name)
    const given = waiting ?? this.#used.get(name)
    if (given === undefined) return 'unknown'
    // Told apart only for its own holder: others learn nothing of it, and cannot spend it.
    if (given.holder !== holder) return 'foreign'
    if (given.expires <= this.#clock.now()) return 'expired'
    if (waiting === undefined) return 'used'
    this.#given.delete(name)
    this.#used.set(name, given)
    this.#settle(holder)
    return 'good'
  }

  #forgetExpired(): void {
    const now = this.#clock.now()
    for (const [nonce, { holder, expires }] of this.#given) {
      if (expires > now) return
      this.#given.delete(nonce)
      this.#settle(holder)
    }
  }

  #settle(holder: string): void {
    const left = (this.#outstanding.get(holder) ?? 1) - 1
    if (left > 0) this.#outstanding.set(holder, left)
    else this.#outstanding.delete(holder)
  }
}

function tooOften(waiting: number): PeerError<AttestationDoorErrorCode> {
  return new PeerError(
    'ERR_ATTESTATION_RATE',
    `too many nonces were asked for, and ${waiting} are not used yet`,
    {},
    { hint: 'Ask for one when the request is about to be sent, and use it.' },
  )
}
