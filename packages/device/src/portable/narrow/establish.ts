/**
 * From nothing to a context that is in use: handshakes within their budget, message_3 with the
 * first request (RFC 9668) or alone, the candidate confirmed by what comes back. When nothing comes
 * back the same message_3 goes out once more with the next request: the server may have had it, and
 * ended the context before.
 */
import {
  combine,
  contextParameters,
  encodeContinued,
  fitsCombined,
} from '@countersign/core/channel'
import {
  type Cancellation,
  type CoapMessage,
  coapCode,
  type OutgoingRequest,
} from '@countersign/core/coap'
import { isErrorMessage } from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { protectRequest } from '@countersign/core/oscore'
import type { Clock } from '@countersign/core/ports'
import type { HandshakeBudget } from './budget.ts'
import { type Contexts, hasEnded, type LiveContext } from './contexts.ts'
import { notYet, refused } from './errors.ts'
import {
  type Agreed,
  agree,
  edhocRequest,
  type HandshakeParts,
  heed,
  type Wishes,
  x5tOf,
} from './handshake.ts'
import { roundsMax } from './limits.ts'
import type { DeviceCredential, NarrowRequest } from './parts.ts'
import { protectable, verifiedBy } from './exchange.ts'
import type { Answer, Wire } from './wire.ts'

/** Handed in once; who the device is may change. */
export interface EstablisherParts extends Omit<HandshakeParts, 'taken' | 'signal' | 'credential'> {
  readonly credential: () => DeviceCredential
  readonly demandMessage4?: boolean
  readonly contexts: Contexts
  readonly budget: HandshakeBudget
  readonly time: Clock
  readonly wire: Wire
}

/** The verified response, when the request went along with message_3. */
export interface Established {
  readonly response: CoapMessage | undefined
}

interface Pending {
  readonly live: LiveContext
  readonly agreed: Agreed
}

export class Establisher {
  readonly #parts: EstablisherParts
  /** message_3 went out and nothing came back. */
  #pending: Pending | undefined

  constructor(parts: EstablisherParts) {
    this.#parts = parts
  }

  /** One that is not finished goes on, whatever the budget says. */
  get isPending(): boolean {
    return this.#pending !== undefined
  }

  /**
   * Throws AdapterError ERR_NARROW_BUDGET, ERR_NARROW_TIMEOUT, and PeerError for a server that is
   * not the right one, or refuses.
   */
  async establish(
    first: NarrowRequest | undefined,
    signal: Cancellation | undefined,
  ): Promise<Established> {
    const before = this.#pending
    const wishes: Wishes = {}
    this.#pending = undefined
    if (before !== undefined && !hasEnded(before.live, this.#parts.time)) {
      const done = await this.#complete(before, first, wishes, signal)
      if (done !== undefined) return done
    } else {
      await this.#begin()
    }
    for (let round = 0; round < roundsMax; round++) {
      const done = await this.#round(first, wishes, signal)
      if (done !== undefined) return done
    }
    throw refused('too many rounds', {})
  }

  async #begin(): Promise<void> {
    const { budget } = this.#parts
    const waitMs = budget.waitMs()
    if (waitMs > 0) throw notYet(waitMs)
    await budget.begin()
  }

  async #round(
    first: NarrowRequest | undefined,
    wishes: Wishes,
    signal: Cancellation | undefined,
  ): Promise<Established | undefined> {
    const { contexts, budget, crypto, time } = this.#parts
    const credential = this.#parts.credential()
    const taken = contexts.current === undefined ? [] : [contexts.current.context.recipient.id]
    const agreed = await agree({ ...this.#parts, credential, taken, signal }, wishes)
    if (agreed === undefined) return undefined
    const parameters = contextParameters(agreed.session, 'initiator')
    const { change, until } = agreed.learned
    const made = { deviceX5t: x5tOf(crypto, credential.leaf), since: time.now(), until }
    const live = contexts.propose(made, parameters, (record) => budget.succeeded(change(record)))
    const pending = { live, agreed }
    this.#pending = pending
    const done = await this.#complete(pending, first, wishes, signal)
    this.#pending = undefined
    return done
  }

  /** Undefined: another round. Throws ERR_NARROW_TIMEOUT when nothing came back. */
  async #complete(
    { live, agreed }: Pending,
    first: NarrowRequest | undefined,
    wishes: Wishes,
    signal: Cancellation | undefined,
  ): Promise<Established | undefined> {
    const { contexts } = this.#parts
    const answer = await this.#sendMessage3(live, agreed, first, signal)
    if (answer.kind === 'hint') {
      this.#pending = undefined
      if (await contexts.abandon(live)) {
        heed(answer.response, wishes)
        return undefined
      }
      return { response: undefined }
    }
    await contexts.confirm(live)
    return answer.value
  }

  async #sendMessage3(
    live: LiveContext,
    agreed: Agreed,
    first: NarrowRequest | undefined,
    signal: Cancellation | undefined,
  ): Promise<Answer<Established>> {
    const { wire, contexts, demandMessage4 } = this.#parts
    const { message3, session } = agreed
    const what = 'message_3'
    // A request of the server may have brought it into use meanwhile.
    while (contexts.needsNumbers(live)) await contexts.reserve(live)
    const { next, reserved } = live.context.sender.sequence
    // One whose first numbers are used up gets no more before it is confirmed.
    if (first !== undefined && demandMessage4 !== true && next < reserved) {
      const { message, exchange } = protectRequest(live.context, protectable(first))
      if (fitsCombined(message3, message)) {
        const { code, options, payload } = combine(message3, message)
        const open = verifiedBy(exchange)
        const verify = (outer: CoapMessage): Established | undefined => {
          const response = open(outer)
          return response && { response }
        }
        return await wire.ask({ what, request: { code, options, payload }, verify, signal })
      }
    }
    const request: OutgoingRequest = edhocRequest(encodeContinued(session.cR, message3))
    return await wire.ask({ what, request, verify: confirmedBy(agreed), signal })
  }
}

/** By message_4. The first that does not open ends the handshake (RFC 9528 §5.5.3). */
function confirmedBy({ unconfirmed }: Agreed): (answer: CoapMessage) => Established | undefined {
  let isOver = false
  return ({ code, payload }) => {
    const isMessage = code === coapCode.changed && payload.length > 0 && !isErrorMessage(payload)
    if (isOver || !isMessage) return undefined
    isOver = true
    try {
      unconfirmed.receive(payload)
      return { response: undefined }
    } catch (error) {
      if (error instanceof PeerError) return undefined
      throw error
    }
  }
}
