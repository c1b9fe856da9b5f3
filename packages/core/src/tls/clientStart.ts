/**
 * The first states of the client (RFC 8446 §A.1): what is offered, and what the server made of it.
 *
 * Start → WaitServerHello → [SecondOffer → WaitSecondServerHello] → WaitEncryptedExtensions
 */
import { concat } from '../codec/index.ts'
import { InvariantError, PeerError } from '../errors.ts'
import type { EphemeralKey, GroupName } from '../ports.ts'
import { askedExtensions, encodeClientHello, type HelloParts } from './clientHello.ts'
import { WaitEncryptedExtensions } from './clientStates.ts'
import { EarlySecrets, messageHash } from './keySchedule.ts'
import { type HandshakeMessage, requireMessage } from './messageReader.ts'
import type { HandshakeOptions, Negotiation, Resuming } from './negotiation.ts'
import { OneShot } from './oneShot.ts'
import { RecordProtection } from './recordProtection.ts'
import { type Suite, suites } from './registry.ts'
import { belongsTo, isFresh, type ResumableSession } from './resumable.ts'
import {
  type Offer,
  parseServerHello,
  type RetryRequest,
  type ServerChoice,
} from './serverHello.ts'
import { tlsError } from './tlsError.ts'
import { Transcript } from './transcript.ts'

/** One ClientHello and what belongs to it. */
interface Offered {
  readonly options: HandshakeOptions
  readonly parts: HelloParts
  readonly message: Uint8Array
  readonly resuming: Resuming | undefined
  /** Undefined for the first hello. */
  readonly retried: Suite | undefined
  /** The transcript up to this hello, when one was retried; else it begins with the suite. */
  readonly before: Uint8Array
}

const randomLength = 32

export class Start extends OneShot {
  readonly #options: HandshakeOptions

  constructor(options: HandshakeOptions) {
    super()
    this.#options = options
  }

  offer(): { readonly message: Uint8Array; readonly next: WaitServerHello } {
    this.spend()
    const { crypto, random, policy, serverName } = this.#options
    const resuming = resumingOf(this.#options)
    const parts: HelloParts = {
      policy,
      random: random.bytes(randomLength),
      // RFC 8446 §D.4: not empty is what looks like an older version resumed.
      sessionId: policy.compatibility ? random.bytes(randomLength) : empty,
      serverName,
      shares: policy.shares.map((group) => crypto.generateEphemeral(group)),
      cookie: undefined,
      resuming: offering(resuming, this.#options),
    }
    return WaitServerHello.for(this.#options, parts, resuming)
  }
}

export class WaitServerHello extends OneShot {
  readonly #offered: Offered

  constructor(offered: Offered) {
    super()
    this.#offered = offered
  }

  static for(
    options: HandshakeOptions,
    parts: HelloParts,
    resuming: Resuming | undefined,
  ): { readonly message: Uint8Array; readonly next: WaitServerHello } {
    const message = encodeClientHello(parts, binderOf(options, resuming, empty))
    const offered = { options, parts, message, resuming, retried: undefined, before: empty }
    return { message, next: new WaitServerHello(offered) }
  }

  receive(message: HandshakeMessage): SecondOffer | Negotiated {
    this.spend()
    const { body, whole } = requireMessage(message, 'serverHello')
    const answer = parseServerHello(body, offerOf(this.#offered))
    if (answer.kind === 'retry') return new SecondOffer(this.#offered, answer, whole)
    return negotiated(this.#offered, answer, whole)
  }
}

/** After a HelloRetryRequest: the hello again, with what it asked for (RFC 8446 §4.1.2). */
export class SecondOffer extends OneShot {
  readonly kind = 'retry'
  readonly #first: Offered
  readonly #request: RetryRequest
  readonly #requestMessage: Uint8Array

  constructor(first: Offered, request: RetryRequest, requestMessage: Uint8Array) {
    super()
    this.#first = first
    this.#request = request
    this.#requestMessage = requestMessage
  }

  offer(): { readonly message: Uint8Array; readonly next: WaitSecondServerHello } {
    this.spend()
    const { options, parts, message: firstMessage } = this.#first
    const { suite, group, cookie } = this.#request
    const { crypto } = options
    const resuming = sameHash(this.#first.resuming, suite)
    const again: HelloParts = {
      ...parts,
      shares: group === undefined ? parts.shares : [crypto.generateEphemeral(group)],
      cookie,
      resuming: offering(resuming, options),
    }
    const before = concat(messageHash(crypto.hash(suite.hash, firstMessage)), this.#requestMessage)
    const message = encodeClientHello(again, binderOf(options, resuming, before))
    const offered = { options, parts: again, message, resuming, retried: suite, before }
    return { message, next: new WaitSecondServerHello(offered) }
  }
}

export class WaitSecondServerHello extends OneShot {
  readonly #offered: Offered

  constructor(offered: Offered) {
    super()
    this.#offered = offered
  }

  receive(message: HandshakeMessage): Negotiated {
    this.spend()
    const { body, whole } = requireMessage(message, 'serverHello')
    const answer = parseServerHello(body, offerOf(this.#offered))
    // A second request was refused while it was parsed.
    if (answer.kind === 'retry') throw new InvariantError('ERR_TLS_RETRY', 'retried twice')
    return negotiated(this.#offered, answer, whole)
  }
}

/** Both sides have a secret; from here on everything is encrypted. */
export interface Negotiated {
  readonly kind: 'negotiated'
  readonly read: RecordProtection
  readonly write: RecordProtection
  readonly next: WaitEncryptedExtensions
}

function negotiated(offered: Offered, choice: ServerChoice, serverHello: Uint8Array): Negotiated {
  const { options, resuming } = offered
  const { crypto } = options
  const { suite, group } = choice
  if (choice.isResumed) requireHashOf(resuming, suite)
  const resumed = choice.isResumed ? resuming : undefined
  const shared = shareOf(offered.parts.shares, group).agree(choice.share)
  const early = resumed?.early ?? EarlySecrets.from(crypto, suite, undefined)
  const secrets = early.handshake(shared)
  const transcript = new Transcript(crypto, suite)
  transcript.add(offered.before, offered.message, serverHello)
  const traffic = secrets.traffic(transcript.digest())
  const negotiation: Negotiation = {
    options,
    suite,
    group,
    transcript,
    secrets,
    traffic,
    asked: askedExtensions(offered.parts),
    resumed,
  }
  return {
    kind: 'negotiated',
    read: new RecordProtection(crypto, suite, traffic.server),
    write: new RecordProtection(crypto, suite, traffic.client),
    next: new WaitEncryptedExtensions(negotiation),
  }
}

/**
 * The server of a ticket is judged before the ticket is offered. One that is no longer trusted, or
 * not yet, is not resumed: the full handshake that takes its place judges what the server shows now,
 * and says why.
 */
function resumingOf(options: HandshakeOptions): Resuming | undefined {
  const { crypto, session, trust } = options
  if (session === undefined || !isAllowed(session, options)) return undefined
  try {
    const peer = trust(session.server)
    return { session, peer, early: EarlySecrets.from(crypto, suites[session.suite], session.psk) }
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}

/** By a policy that may have changed since the ticket came. */
function isAllowed(session: ResumableSession, options: HandshakeOptions): boolean {
  const { policy, clock, credential, serverName } = options
  if (!belongsTo(session, credential?.chain[0], serverName)) return false
  if (!policy.resumption || !isFresh(session, clock.now())) return false
  // The judge would excuse that server from a staple which this policy asks for.
  if (policy.staple && !session.server.isStapleAsked) return false
  return policy.suites.some(({ name }) => name === session.suite)
}

function offering(
  resuming: Resuming | undefined,
  { clock }: HandshakeOptions,
): HelloParts['resuming'] {
  return resuming && { session: resuming.session, now: clock.now() }
}

/** RFC 8446 §4.1.4: a ticket of another hash cannot be used with the suite that was chosen. */
function sameHash(resuming: Resuming | undefined, suite: Suite): Resuming | undefined {
  return resuming && suites[resuming.session.suite].hash === suite.hash ? resuming : undefined
}

function requireHashOf(resuming: Resuming | undefined, suite: Suite): void {
  if (sameHash(resuming, suite) !== undefined) return
  throw tlsError('ERR_TLS_ILLEGAL_PARAMETER', 'the server resumes with a suite of another hash')
}

function binderOf(
  { crypto }: HandshakeOptions,
  resuming: Resuming | undefined,
  before: Uint8Array,
): (truncated: Uint8Array) => Uint8Array {
  return (truncated) => {
    if (resuming === undefined) throw new InvariantError('ERR_TLS_BINDER', 'no ticket to bind')
    const { hash } = suites[resuming.session.suite]
    return resuming.early.binder(crypto.hash(hash, concat(before, truncated)))
  }
}

function offerOf({ options, parts, retried }: Offered): Offer {
  return {
    suites: options.policy.suites,
    groups: options.policy.groups,
    shares: parts.shares.map(({ group }) => group),
    sessionId: parts.sessionId,
    asked: askedExtensions(parts),
    retried,
  }
}

function shareOf(shares: readonly EphemeralKey[], group: GroupName): EphemeralKey {
  const share = shares.find((one) => one.group === group)
  if (share === undefined) throw new InvariantError('ERR_TLS_SHARE', 'no share of the chosen group')
  return share
}

const empty = new Uint8Array()
