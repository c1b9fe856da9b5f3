/**
 * Requests of the server to one device on one context, one at a time (RFC 8613 §3.1 with the roles
 * swapped, RFC 7252 §4.7: NSTART). Each goes to where the device's newest verified message came
 * from. What nobody has answered is sent anew, under a new number, when the device is heard
 * meanwhile: from another address at once, from the same one when an answer would have been there
 * by now.
 */
import {
  type CoapEndpoint,
  type CoapMessage,
  coapCode,
  type OutgoingRequest,
  sendInBlocks,
} from '@countersign/core/coap'
import { InvariantError, isCountersignError } from '@countersign/core/errors'
import { protectRequest, repeatedWithEcho } from '@countersign/core/oscore'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import type { Contexts } from './contexts.ts'
import type { LiveContext } from './liveContext.ts'
import type { Patience } from './patience.ts'

export interface ErrandParts {
  readonly contexts: Pick<Contexts, 'reserve'>
  readonly request: CoapEndpoint['request']
  readonly patience: Patience
  readonly clock: Clock
  readonly random: Random
}

/** A request that is under way. */
interface Attempt {
  readonly address: string
  readonly since: Milliseconds
  readonly abort: AbortController
}

/** Why an attempt was given up: it is made again, or all is over. */
const anew = Symbol('anew')
const ended = Symbol('ended')

const noBytes = new Uint8Array()
/** A body whose blocks the device does not have any more is begun anew so often. */
const beginningsMax = 3

export class Errand {
  readonly context: LiveContext
  readonly #parts: ErrandParts
  /** The device has spoken, or answered, since this began. */
  isThere = false
  #attempt: Attempt | undefined
  #isOver = false

  constructor(parts: ErrandParts, context: LiveContext) {
    this.#parts = parts
    this.context = context
  }

  get isOver(): boolean {
    return this.#isOver || this.context.state !== 'live'
  }

  /** The device was heard. */
  heard(): void {
    this.isThere = true
    const attempt = this.#attempt
    if (attempt === undefined) return
    const { patience, clock } = this.#parts
    const hasMoved = attempt.address !== this.context.address
    const isLate = clock.now() - attempt.since >= patience.pause(this.context)
    if (isLate) patience.silent(this.context)
    if (hasMoved || isLate) attempt.abort.abort(anew)
  }

  end(): void {
    this.#isOver = true
    this.#attempt?.abort.abort(ended)
  }

  /**
   * The verified response; undefined: nobody has answered, or the device may have nothing more.
   * Throws PeerError ERR_COAP_BLOCK for a device that answers blocks against the rules.
   */
  async ask(request: OutgoingRequest): Promise<CoapMessage | undefined> {
    try {
      return await this.#ask(request)
    } catch (error) {
      if (error === ended) return undefined
      const code = isCountersignError(error) ? error.code : ''
      if (this.isOver && endings.has(code)) return undefined
      if (!silences.has(code)) throw error
      if (code === 'ERR_COAP_TIMEOUT') this.#parts.patience.silent(this.context)
      return undefined
    }
  }

  /** A device without a clock has it sent again with an Echo (RFC 9175 §2.3). */
  async #ask(request: OutgoingRequest): Promise<CoapMessage> {
    let asked = request
    let response = await this.#whole(asked)
    for (let round = 1; round < beginningsMax; round++) {
      const again = repeatedWithEcho(asked, response)
      // RFC 7959 §2.9.2: it has lost the blocks before, or has had this one already.
      if (again === undefined && response.code !== coapCode.requestEntityIncomplete) break
      asked = again ?? asked
      response = await this.#whole(asked)
    }
    return response
  }

  async #whole(request: OutgoingRequest): Promise<CoapMessage> {
    const { random } = this.#parts
    return await sendInBlocks(request, (part) => this.#exchange(part), { random })
  }

  async #exchange(part: OutgoingRequest): Promise<CoapMessage> {
    for (;;) {
      const response = await this.#attemptOf(part)
      if (response === undefined) continue
      this.isThere = true
      this.#parts.patience.answered(this.context)
      return response
    }
  }

  /** Undefined: it is to be made again. */
  async #attemptOf(part: OutgoingRequest): Promise<CoapMessage | undefined> {
    const { contexts, request, clock } = this.#parts
    const { context } = this
    const { sequence } = context.security.sender
    while (!this.isOver && sequence.next >= sequence.reserved) await contexts.reserve(context)
    if (this.isOver) throw ended
    const inner: CoapMessage = { ...part, type: 'CON', messageId: 0, token: noBytes }
    const { message, exchange } = protectRequest(context.security, inner)
    const { address } = context
    const attempt = { address, since: clock.now(), abort: new AbortController() }
    this.#attempt = attempt
    let verified: CoapMessage | undefined
    const accept = (response: CoapMessage): boolean => {
      try {
        verified = exchange.unprotectResponse(response)
        return true
      } catch (error) {
        // Not the device's: waiting goes on.
        if (isCountersignError(error)) return false
        throw error
      }
    }
    try {
      await request({ ...message, type: 'CON' }, address, { signal: attempt.abort.signal, accept })
    } catch (error) {
      if (error === anew) return undefined
      throw error
    } finally {
      this.#attempt = undefined
    }
    if (verified !== undefined) return verified
    throw new InvariantError('ERR_COAP_ANSWERED', 'no response is there')
  }
}

/** Its row is gone, or a tombstone: numbers cannot be reserved any more. */
const endings: ReadonlySet<string> = new Set(['ERR_CONFLICT', 'ERR_CONTEXT_ENDED'])

/** What was to be brought stays where it is until the device speaks. */
const silences: ReadonlySet<string> = new Set([
  'ERR_COAP_TIMEOUT',
  'ERR_COAP_CLOSED',
  'ERR_COAP_BUSY',
  /** The keys of this context are used up: the device makes new ones. */
  'ERR_OSCORE_EXHAUSTED',
])
