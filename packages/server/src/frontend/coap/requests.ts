/**
 * What an admitted device asks for by requests that were verified:
 *
 * - `POST /m/<topic>?n=<number>`: a message, answered 2.04 when it is durable;
 * - `POST /r/<id>`, `POST /r/<id>/refused`: what came of a command;
 * - `?t` in either, or in `POST /`: the answer says what time it is.
 *
 * Whatever was carried out, the answer says when the device is to make a new context.
 *
 * A refusal has the code of its problem; the words are the operator's.
 */
import {
  BlockAssembler,
  type CoapMessage,
  coapCode,
  contentFormatIn,
  isCritical,
  mediaTypeOf,
  optionNumber,
  pathOf,
  queriesOf,
} from '@countersign/core/coap'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import { commandId, commandResultBytesMax } from '../../commandDocument.ts'
import { type MediaType, parseMediaType, payload } from '../../payload.ts'
import type { Admitted, Log } from '../../ports.ts'
import { TokenBuckets } from '../../rates.ts'
import type { CommandsAtDoor } from '../commandReader.ts'
import { takeWord, type WordOutcome, wordOf } from '../commandWords.ts'
import { type Intake, messageNumber } from '../intake.ts'
import type { Refusals } from '../refusals.ts'
import { reasonOf } from '../roleJudge.ts'
import { topicOf } from '../topic.ts'
import { type Answer, answer, done, later } from './answers.ts'
import type { Contexts } from './contexts.ts'
import type { CoapLimits } from './limits.ts'
import type { LiveContext } from './liveContext.ts'
import { hostOf } from './udpAddress.ts'

export interface RequestsParts {
  readonly intake: Intake
  readonly contexts: Contexts
  readonly commands: CommandsAtDoor
  readonly refusals: Refusals
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly limits: CoapLimits
}

/** What the device asked, in one piece. */
interface Asked {
  readonly context: LiveContext
  readonly admitted: Admitted
  readonly request: CoapMessage
  /** Behind the first segment of the path. */
  readonly rest: readonly string[]
  readonly queries: ReadonlyMap<string, string | undefined>
}

/** A full store is emptied by people; a busy one by itself. */
const fullRetrySeconds = 60
const busyRetrySeconds = 1
const longestRetrySeconds = 3600

/** Critical ones that are understood; blocks are put together before (RFC 7252 §5.4.1). */
const understood: ReadonlySet<number> = new Set([
  optionNumber.uriHost,
  optionNumber.uriPort,
  optionNumber.uriPath,
  optionNumber.uriQuery,
])
const queryNames: ReadonlySet<string> = new Set(['n', 't'])

/** Codes of ours that have one of CoAP's own; the others are bad requests. */
const codes: ReadonlyMap<string, number> = new Map([
  ['ERR_MESSAGE_TYPE', coapCode.unsupportedContentFormat],
  ['ERR_MESSAGE_SIZE', coapCode.requestEntityTooLarge],
  ['ERR_CONTEXT_ENDED', coapCode.unauthorized],
])

export class Requests {
  readonly #parts: RequestsParts
  readonly #blocks: BlockAssembler
  /** Of requests that are no messages: each may cost a look into the store. */
  readonly #rates: TokenBuckets

  constructor(parts: RequestsParts) {
    this.#parts = parts
    this.#blocks = new BlockAssembler({ clock: parts.clock, random: parts.random })
    this.#rates = new TokenBuckets(parts.clock, parts.limits.ratesRememberedMax)
  }

  get blockBytes(): number {
    return this.#blocks.bytes
  }

  /** This device may not come in any more. */
  forget(device: string): void {
    this.#blocks.forget(device)
  }

  /** Never rejects. */
  async answer(context: LiveContext, admitted: Admitted, part: CoapMessage): Promise<Answer> {
    // By the device, which can have many contexts: they share what it may take of everybody's
    // memory.
    const taken = this.#blocks.take(context.device, part, context.security.recipient.id)
    if (taken.kind === 'answer') return taken.response
    return taken.answer(await this.#whole(context, admitted, taken.request))
  }

  async #whole(context: LiveContext, admitted: Admitted, request: CoapMessage): Promise<Answer> {
    const unknown = request.options.find(
      ({ number }) => isCritical(number) && !understood.has(number),
    )
    // RFC 7252 §5.4.1.
    if (unknown !== undefined) return answer(coapCode.badOption)
    try {
      const [first, ...rest] = pathOf(request)
      if (first !== undefined && first !== 'm' && first !== 'r') return answer(coapCode.notFound)
      if (request.code !== coapCode.post) return answer(coapCode.methodNotAllowed)
      const asked = { context, admitted, request, rest, queries: argumentsOf(request) }
      if (first === undefined) return this.#time(asked)
      return await (first === 'm' ? this.#message(asked) : this.#word(asked))
    } catch (error) {
      return this.#refuse(context, error)
    }
  }

  async #message({ context, admitted, request, rest, queries }: Asked): Promise<Answer> {
    const { intake, contexts, limits } = this.#parts
    if (intake.isFull) return later(coapCode.serviceUnavailable, busyRetrySeconds)
    const wait = intake.wait(admitted)
    if (wait > 0) return tooFast(wait)
    const topic = topicOf(rest)
    const number = numberOf(queries)
    const type = typeOf(request)
    requireSize(request, limits.messageBytesMax)
    const data = payload(type, bufferOf(request))
    const draft = intake.draft(admitted, { topic, number, data })
    await contexts.commit(context, (beside) => intake.store(draft, beside))
    return this.#done(context, queries)
  }

  async #word({ context, admitted, request, rest, queries }: Asked): Promise<Answer> {
    const { commands } = this.#parts
    const { device, messagesPerMinute } = admitted
    const rate = { perSecond: messagesPerMinute / 60, burst: messagesPerMinute }
    const wait = this.#rates.take(device.id, rate)
    if (wait > 0) return tooFast(wait)
    const [id = '', verb, ...more] = rest
    const isSound = commandId.test(id) && more.length === 0 && !queries.has('n')
    if (!isSound || (verb !== undefined && verb !== 'refused')) return answer(coapCode.notFound)
    requireSize(request, commandResultBytesMax)
    const word = wordOf(typeOf(request), bufferOf(request), verb === 'refused')
    const outcome = await takeWord(commands, device.id, id, word)
    return this.#afterWord(context, outcome, queries)
  }

  /** A device that has nothing to say keeps the way to it open by asking for the time. */
  #time({ context, queries }: Asked): Answer {
    return queries.has('t') ? this.#done(context, queries) : answer(coapCode.notFound)
  }

  #afterWord(context: LiveContext, outcome: WordOutcome, queries: Asked['queries']): Answer {
    switch (outcome.kind) {
      case 'taken':
        return this.#done(context, queries)
      case 'unknown':
        return answer(coapCode.notFound)
      case 'ended':
        return answer(coapCode.badRequest, 'ERR_COMMAND_ENDED')
    }
  }

  #done(context: LiveContext, queries: Asked['queries']): Answer {
    const now = this.#parts.clock.now()
    return done({
      ...(queries.has('t') && { time: now }),
      wantsKeys: this.#wantsKeys(context, now),
    })
  }

  /** Said again and again until it is done: an answer can be lost. */
  #wantsKeys({ security, createdAt }: LiveContext, now: Milliseconds): boolean {
    return security.wantsRekey && now - createdAt >= this.#parts.limits.keysWantedAfterMs
  }

  #refuse({ address, fingerprint, device }: LiveContext, error: unknown): Answer {
    if (error instanceof PeerError) {
      this.#parts.refusals.tell({ address: hostOf(address), fingerprint, device }, reasonOf(error))
      return answer(codes.get(error.code) ?? coapCode.badRequest, error.code)
    }
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    // Its row has changed its state while the message was on the way to it.
    if (code === 'ERR_CONFLICT') return answer(coapCode.unauthorized, 'ERR_CONTEXT_ENDED')
    this.#parts.log.error({ code, device }, `a request on coap was not served: ${String(error)}`)
    const seconds = code === 'ERR_STORE_FULL' ? fullRetrySeconds : busyRetrySeconds
    return later(coapCode.serviceUnavailable, seconds)
  }
}

/**
 * Throws PeerError for one that is not known, or there twice: a misspelt number must not pass as
 * none.
 */
function argumentsOf(request: CoapMessage): Asked['queries'] {
  const found = new Map<string, string | undefined>()
  for (const query of queriesOf(request)) {
    const at = query.indexOf('=')
    const name = at < 0 ? query : query.slice(0, at)
    if (!queryNames.has(name) || found.has(name)) {
      throw refusal('ERR_COAP_QUERY', 'an argument is not known here, or is there twice')
    }
    found.set(name, at < 0 ? undefined : query.slice(at + 1))
  }
  return found
}

function numberOf(queries: Asked['queries']): string | undefined {
  if (!queries.has('n')) return undefined
  const number = queries.get('n') ?? ''
  if (messageNumber.test(number)) return number
  throw refusal('ERR_MESSAGE_NUMBER', 'the message number is no decimal of at most 16 digits')
}

/** Without a Content-Format it is octets (RFC 7252 §5.5.1 leaves it to the application). */
function typeOf(request: CoapMessage): MediaType {
  const format = contentFormatIn(request)
  const name = format === undefined ? undefined : mediaTypeOf(format)
  if (format === undefined || name !== undefined) return parseMediaType(name)
  throw refusal('ERR_MESSAGE_TYPE', `Content-Format ${format} is not known here`)
}

function requireSize({ payload: body }: CoapMessage, bytesMax: number): void {
  if (body.length <= bytesMax) return
  throw refusal('ERR_MESSAGE_SIZE', `${body.length} bytes, ${bytesMax} at most`)
}

function bufferOf({ payload: body }: CoapMessage): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

function tooFast(wait: number): Answer {
  const seconds = Number.isFinite(wait) ? Math.ceil(wait / 1000) : longestRetrySeconds
  return later(coapCode.tooManyRequests, seconds, 'ERR_MESSAGE_RATE')
}

function refusal(code: RequestErrorCode, message: string): PeerError<RequestErrorCode> {
  return new PeerError(code, message, {}, { where: 'request' })
}

type RequestErrorCode =
  | 'ERR_COAP_QUERY'
  | 'ERR_MESSAGE_NUMBER'
  | 'ERR_MESSAGE_TYPE'
  | 'ERR_MESSAGE_SIZE'
