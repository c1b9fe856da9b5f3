/**
 * The ticket keys of one door, and a new ticket on every resumption (RFC 8446 §4.6.1). A client that
 * uses each ticket once (RFC 8446 §C.4) can so resume again and again; Node's own handling sends
 * none on a resumed connection, and such a client pays for every second handshake in full.
 *
 * Renewal needs a hook of Node's that is not documented (docs/decisions/0014). Where it is missing
 * the door goes on without renewal, with Node's own keys.
 *
 * Keys live in this process only and change by the clock: a ticket serves for 12 to 24 hours, and
 * a chain of tickets, each got with the one before, for a week at most. Sharing keys between
 * processes is left out.
 */
import type { Server } from 'node:tls'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import type { Log } from '../ports.ts'

/** The keys change this often, and those before are still taken until the next change. */
const rotationMs: Milliseconds = 12 * 3_600_000
/**
 * At every so many changes none of the older keys is taken. A resumption proves the ticket and not
 * the device's key: who has stolen a ticket must not renew it for ever (RFC 8446 §4.6.1).
 */
const chainRotationsMax = 14
/**
 * What clients are told, in seconds: the longest that a ticket can serve. Node's own is 300; ours
 * may be long, since every resumption is judged anew.
 */
export const ticketLifeSeconds: number = (2 * rotationMs) / 1000

/** Given by what Node builds around the keys: AES-128-CBC, HMAC-SHA-256, a name (RFC 5077 §4). */
const keyBytes = 16

interface Keys {
  readonly period: number
  readonly name: Uint8Array
  readonly hmac: Uint8Array
  readonly aes: Uint8Array
}

/** As OpenSSL reads it: SSL_CTX_set_tlsext_ticket_key_cb(3). */
const verdict = { unknown: 0, good: 1, goodAndRenew: 2 } as const

type Answer = readonly [
  verdict: number,
  hmac: Uint8Array,
  aes: Uint8Array,
  name: Uint8Array,
  iv: Uint8Array,
]

/** What Node hangs on a secure context and does not document. */
interface Hook {
  enableTicketKeyCallback(): void
  onticketkeycallback: (name: Uint8Array, iv: Uint8Array, sealing: boolean) => Answer
}

export interface TicketKeysParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export class TicketKeys {
  readonly #parts: TicketKeysParts
  readonly #since: Milliseconds
  #current: Keys
  #previous: Keys | undefined
  #warned = false

  constructor(parts: TicketKeysParts) {
    this.#parts = parts
    this.#since = parts.clock.now()
    this.#current = this.#draw(0)
  }

  /** Once when the server is made, and again after each `setSecureContext`: the hook goes with it. */
  install(server: Server): void {
    const hook = hookOf(server)
    if (hook === undefined) return this.#warn()
    hook.enableTicketKeyCallback()
    hook.onticketkeycallback = (name, iv, sealing) =>
      sealing ? this.#seal() : this.#open(name, iv)
  }

  #seal(): Answer {
    this.#turn()
    const { hmac, aes, name } = this.#current
    return [verdict.good, hmac, aes, name, this.#parts.random.bytes(keyBytes)]
  }

  /** A ticket of nobody's keys is no error: the handshake goes on in full. */
  #open(name: Uint8Array, iv: Uint8Array): Answer {
    this.#turn()
    const keys = [this.#current, this.#previous].find(
      (one) => one !== undefined && names(one, name),
    )
    const { hmac, aes } = keys ?? this.#current
    return [keys === undefined ? verdict.unknown : verdict.goodAndRenew, hmac, aes, name, iv]
  }

  /** No timer: keys are old when somebody needs them, or never. */
  #turn(): void {
    const { period } = this.#current
    const now = Math.floor((this.#parts.clock.now() - this.#since) / rotationMs)
    // A clock that is set back keeps the keys it has.
    if (now <= period) return
    const chained = now === period + 1 && now % chainRotationsMax !== 0
    if (this.#previous !== undefined) wipe(this.#previous)
    if (!chained) wipe(this.#current)
    this.#previous = chained ? this.#current : undefined
    this.#current = this.#draw(now)
  }

  #draw(period: number): Keys {
    const { random } = this.#parts
    const [name, hmac, aes] = [
      random.bytes(keyBytes),
      random.bytes(keyBytes),
      random.bytes(keyBytes),
    ]
    return { period, name, hmac, aes }
  }

  #warn(): void {
    if (this.#warned) return
    this.#warned = true
    this.#parts.log.warn(
      { node: process.version },
      'this Node cannot renew TLS tickets: a device that uses each ticket once resumes every second time only',
    )
  }
}

/** Looked for and not taken for granted: it is no part of Node's contract. */
function hookOf(server: Server): Hook | undefined {
  const shared: unknown = Reflect.get(server, '_sharedCreds')
  const context: unknown = isObject(shared) ? Reflect.get(shared, 'context') : undefined
  return isObject(context) && isHook(context) ? context : undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isHook(context: object): context is Hook {
  return typeof Reflect.get(context, 'enableTicketKeyCallback') === 'function'
}

function names(keys: Keys, name: Uint8Array): boolean {
  return Buffer.compare(keys.name, name) === 0
}

/** OpenSSL has copied what it needed; ours is the last. */
function wipe({ hmac, aes }: Keys): void {
  hmac.fill(0)
  aes.fill(0)
}
