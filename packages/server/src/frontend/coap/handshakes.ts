/**
 * EDHOC with devices, this side as the responder (RFC 9528 §5, Appendix A.2.1):
 *
 * message_1 → message_2, by `start`; message_3 → a context, by `finish`.
 *
 * What was sent is kept and sent again, never made again: an element signs with random numbers.
 * Under load, and before anything long, a stranger has to show by Echo that its address is its own.
 */
import {
  coldStartLabel,
  contextParameters,
  edhocContentFormat,
  wantedByValue,
} from '@countersign/core/channel'
import { type CoapMessage, coapCode } from '@countersign/core/coap'
import { concat, equalBytes, hex, utf8 } from '@countersign/core/codec'
import {
  answerTo,
  answerToMessage1,
  type Authenticated,
  type ComposeMessage2,
  encodeError,
  type ErrorMessage,
  Responder,
  suitesOf,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { ChannelCrypto, Clock } from '@countersign/core/ports'
import type { EdhocCredentials, Gatekeeper, Log } from '../../ports.ts'
import { TokenBuckets } from '../../rates.ts'
import { fingerprintOf } from '../peerChain.ts'
import type { Refusals } from '../refusals.ts'
import { type Answer, later, withBody } from './answers.ts'
import { authenticate, TurnedOut } from './authenticate.ts'
import type { CoapLives } from './coapLives.ts'
import type { Contexts } from './contexts.ts'
import type { DeviceJudge } from './deviceJudge.ts'
import { Finished } from './finished.ts'
import { type HalfOpen, HalfOpens } from './halfOpen.ts'
import type { CoapLimits } from './limits.ts'
import { serverCredential } from './serverCredential.ts'
import type { Strangers } from './strangers.ts'
import { hostKey, hostOf } from './udpAddress.ts'

export interface HandshakesParts {
  readonly crypto: ChannelCrypto
  readonly credentials: EdhocCredentials
  readonly devices: DeviceJudge
  readonly registry: Pick<Gatekeeper, 'admit'>
  readonly contexts: Contexts
  readonly strangers: Strangers
  readonly lives: Pick<CoapLives, 'placeOfHandshake'>
  readonly refusals: Refusals
  readonly clock: Clock
  readonly log: Log
  readonly limits: CoapLimits
}

export type Ending =
  /** By its name: it may leave memory before its handshake is forgotten. */
  | { readonly kind: 'context'; readonly id: string; readonly message4: () => Answer }
  | { readonly kind: 'answer'; readonly answer: Answer }

/** What is known of a handshake when its message_1 comes. */
type Began = Pick<HalfOpen, 'key' | 'host' | 'isProven' | 'begun'>

/** Both sides of RFC 9528 §3.2 are taken as their certificates allow. */
const methods = [0, 1, 2, 3] as const
/** The profile `countersign-edhoc-1`. */
const suiteNumbers: readonly number[] = [2, 3]
const eadLabels: ReadonlySet<number> = new Set([coldStartLabel])
const retrySeconds = 2
/** An identifier of OSCORE, where the nonce has 13 bytes (RFC 8613 §3.3). */
const identifierBytesMax = 7
const longIdentifier: ErrorMessage = { kind: 'unspecified', text: 'C_I has more than 7 bytes' }

export class Handshakes {
  readonly #parts: HandshakesParts
  readonly #suites: readonly UsableSuite[]
  readonly #halfOpen: HalfOpens
  readonly #finished: Finished
  readonly #rates: TokenBuckets
  readonly #provenRates: TokenBuckets
  /** Of the whole door. */
  readonly #all: TokenBuckets
  readonly #unproven: TokenBuckets
  /** message_1 whose answers are being made. */
  readonly #composing: Map<string, Promise<Answer | 'unproven'>> = new Map()
  /** How many of them each address has. */
  readonly #composingOf: Map<string, number> = new Map()
  /** C_R of those. */
  readonly #drawn: Set<string> = new Set()

  constructor(parts: HandshakesParts) {
    const { crypto, clock, limits } = parts
    this.#parts = parts
    this.#suites = suitesOf(crypto).filter(({ number }) => suiteNumbers.includes(number))
    this.#halfOpen = new HalfOpens(limits)
    this.#finished = new Finished(limits)
    this.#rates = new TokenBuckets(clock, limits.ratesRememberedMax)
    this.#provenRates = new TokenBuckets(clock, limits.ratesRememberedMax)
    this.#all = new TokenBuckets(clock, 1)
    this.#unproven = new TokenBuckets(clock, 1)
  }

  /** Those that wait for message_3. */
  get size(): number {
    return this.#halfOpen.size
  }

  /** message_1. Undefined: nothing is answered. */
  async start(
    request: CoapMessage,
    message1: Uint8Array,
    from: string,
  ): Promise<Answer | undefined> {
    const { strangers, lives } = this.#parts
    const isProven = strangers.isProven(request, from)
    const host = hostKey(from)
    const wait = this.#wait(host, isProven)
    if (!isProven && (wait > 0 || this.#isBusy(host))) return strangers.challenge(request, from)
    if (wait > 0) {
      const answer = later(coapCode.serviceUnavailable, Math.ceil(wait / 1000))
      return strangers.may(request, from, answer)
    }
    const key = fingerprintOf(concat(utf8(`${from} `), message1))
    const made = this.#halfOpen.answering(key)?.answer ?? this.#composing.get(key)
    const begun = lives.placeOfHandshake()
    const answer = await (made ?? this.#begin({ key, host, isProven, begun }, message1))
    if (answer === 'unproven') return strangers.challenge(request, from)
    return isProven || strangers.fits(request, answer) ? answer : strangers.challenge(request, from)
  }

  /**
   * message_3, alone or in a combined request; `id` is C_R. Undefined: nothing is known of it.
   * Where it comes from does not matter: a device may have moved since message_1.
   */
  async finish(id: string, message3: Uint8Array, from: string): Promise<Ending | undefined> {
    const finished = this.#finished.get(id)
    if (finished !== undefined) {
      return equalBytes(finished.message3, message3) ? await finished.ending : undefined
    }
    const open = this.#halfOpen.get(id)
    if (open === undefined) return undefined
    const foreign = this.#foreign(open, message3)
    if (foreign !== undefined) return foreign
    this.#halfOpen.remove(open)
    const ending = this.#finish(open, message3, from)
    this.#finished.add({ id, message3, endedAt: this.#parts.clock.now(), ending })
    return await ending
  }

  /** Whether there is one that waits, or has ended lately. */
  knows(id: string): boolean {
    if (this.#drawn.has(id)) return true
    return this.#halfOpen.get(id) !== undefined || this.#finished.get(id) !== undefined
  }

  sweep(): void {
    const now = this.#parts.clock.now()
    this.#halfOpen.sweep(now)
    this.#finished.sweep(now)
  }

  #wait(host: string, isProven: boolean): number {
    const { limits } = this.#parts
    return isProven
      ? this.#provenRates.take(host, {
          perSecond: limits.provenHandshakesPerAddressPerSecond,
          burst: limits.provenHandshakesPerAddressBurst,
        })
      : this.#rates.take(host, {
          perSecond: limits.handshakesPerAddressPerSecond,
          burst: limits.handshakesPerAddressBurst,
        })
  }

  /** Just before what costs something. Those of proven addresses do not wait behind the others. */
  #waitOfAll(isProven: boolean): number {
    const { handshakes, unprovenHandshakes } = this.#parts.limits
    const wait = isProven ? 0 : this.#unproven.take('', unprovenHandshakes)
    return wait > 0 ? wait : this.#all.take('', handshakes)
  }

  #isBusy(host: string): boolean {
    const { halfOpenUnprovenMax, halfOpenUnprovenPerAddressMax } = this.#parts.limits
    return (
      this.#halfOpen.size + this.#composing.size >= halfOpenUnprovenMax ||
      this.#halfOpen.sizeOf(host) + (this.#composingOf.get(host) ?? 0) >=
        halfOpenUnprovenPerAddressMax
    )
  }

  /** The same message_1 twice at once is one handshake. */
  #begin(about: Began, message1: Uint8Array): Promise<Answer | 'unproven'> {
    const { key, host } = about
    this.#composes(host, 1)
    const answer = this.#answer(about, message1).finally(() => {
      this.#composing.delete(key)
      this.#composes(host, -1)
    })
    this.#composing.set(key, answer)
    return answer
  }

  #composes(host: string, more: 1 | -1): void {
    const count = (this.#composingOf.get(host) ?? 0) + more
    if (count === 0) this.#composingOf.delete(host)
    else this.#composingOf.set(host, count)
  }

  /** 'unproven': the answer is long, and the address has to be shown first. */
  async #answer(about: Began, message1: Uint8Array): Promise<Answer | 'unproven'> {
    const { crypto } = this.#parts
    try {
      const responder = new Responder({ crypto, methods, suites: this.#suites, eadLabels })
      const compose = responder.receive(message1)
      if (compose.cI.length > identifierBytesMax) return refusal(longIdentifier)
      const isLong = wantedByValue(compose.ead) !== undefined
      if (isLong && !about.isProven) return 'unproven'
      if (this.#waitOfAll(about.isProven) > 0) {
        return about.isProven ? later(coapCode.serviceUnavailable, retrySeconds) : 'unproven'
      }
      return await this.#compose(about, compose)
    } catch (error) {
      if (!(error instanceof PeerError)) return this.#failed(error)
      return refusal(answerToMessage1(error, message1, this.#suites))
    }
  }

  async #compose({ key, host, isProven, begun }: Began, compose: ComposeMessage2): Promise<Answer> {
    const { crypto, credentials, clock } = this.#parts
    const { method, suite, ead, cI } = compose
    const byValue = wantedByValue(ead)
    const own = serverCredential(crypto, credentials, method, byValue)
    const cR = await this.#drawId(cI)
    const id = hex(cR)
    try {
      const { message2, next: wait } = await compose.send({ own, cR })
      const answer = withBody(coapCode.changed, edhocContentFormat.message, message2)
      const startedAt = clock.now()
      const agreed = { method, suite, knowsServer: byValue === undefined }
      const about = { id, key, host, isProven, begun, startedAt, foreign: 0 }
      this.#halfOpen.add({ ...about, wait, agreed, answer })
      return answer
    } finally {
      this.#drawn.delete(id)
    }
  }

  /** Taken until the handshake is there: of many that begin at once two may have drawn the same. */
  async #drawId(cI: Uint8Array): Promise<Uint8Array> {
    for (;;) {
      const drawn = await this.#parts.contexts.drawId((id) => id === hex(cI) || this.knows(id))
      const id = hex(drawn)
      if (this.knows(id)) continue
      this.#drawn.add(id)
      return drawn
    }
  }

  /**
   * The answer to a message_3 that does not open. RFC 9528 §5.4.3 ends the session with it; here it
   * stays for a few of them. C_R is all that ties a datagram to a handshake, and whoever reads it
   * on the way, or guesses it, would end handshakes of others with one datagram each.
   */
  #foreign(open: HalfOpen, message3: Uint8Array): Ending | undefined {
    try {
      open.wait.requireOpens(message3)
      return undefined
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      open.foreign++
      if (open.foreign >= this.#parts.limits.foreignMessages3Max) this.#halfOpen.remove(open)
      return { kind: 'answer', answer: refusal(answerTo(error)) }
    }
  }

  /** Never rejects: what went wrong is an answer. */
  async #finish(open: HalfOpen, message3: Uint8Array, from: string): Promise<Ending> {
    try {
      return await this.#context(open.wait.receive(message3), open, from)
    } catch (error) {
      return { kind: 'answer', answer: this.#refused(error, from) }
    }
  }

  async #context(
    initiator: Parameters<typeof authenticate>[2],
    { agreed, begun }: HalfOpen,
    from: string,
  ): Promise<Ending> {
    const { contexts } = this.#parts
    const { generation } = contexts.standings
    const { authenticated, peer, admitted } = await authenticate(this.#parts, agreed, initiator)
    const context = contexts.add({
      parameters: contextParameters(authenticated.session, 'responder'),
      begun,
      fingerprint: peer.fingerprint,
      standing: { kind: 'admitted', peer, admitted },
      generation,
      serverKind: agreed.method.responder,
      suite: agreed.suite.number,
      knowsServer: agreed.knowsServer,
      from,
    })
    return { kind: 'context', id: context.id, message4: onceMade(authenticated) }
  }

  /** The peer learns the minimum, the operator the reason. */
  #refused(error: unknown, from: string): Answer {
    if (error instanceof TurnedOut) {
      const { fingerprint, isNamedOnly, refusal: reason } = error
      this.#parts.refusals.tell({ address: hostOf(from), fingerprint, isNamedOnly }, reason)
      return refusal(error.isUnknown ? { kind: 'unknown credential' } : answerTo(error.cause))
    }
    // Not of this handshake, or no message at all: there are too many of these to tell of.
    if (error instanceof PeerError) return refusal(answerTo(error))
    return this.#failed(error)
  }

  #failed(error: unknown): Answer {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `a handshake on coap failed here: ${String(error)}`)
    return later(coapCode.serviceUnavailable, retrySeconds)
  }
}

/** RFC 9528 Appendix A.2.3. */
function refusal(error: ErrorMessage): Answer {
  return withBody(coapCode.badRequest, edhocContentFormat.message, encodeError(error))
}

/** The bytes of message_4 are made when they are first asked for, and once. */
function onceMade(authenticated: Authenticated): () => Answer {
  let made: Answer | undefined
  return () => {
    made ??= withBody(coapCode.changed, edhocContentFormat.message, authenticated.message4())
    return made
  }
}
