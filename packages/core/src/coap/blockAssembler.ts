/**
 * Bodies in blocks at the server (RFC 7959 §2.4, §2.5, §2.7): requests are put together in strict
 * order and acted on as a whole, responses are cut and given out block by block. One body is under
 * way per key and direction, each bounded in size and time, all of them in memory. What `key` names
 * is the caller's: whoever may have one body. Under OSCORE the blocks of a body come under one
 * security context, which `within` names. Leaves out: several at a time for one key.
 *
 * @example
 * const taken = assembler.take(key, request)
 * if (taken.kind === 'answer') return taken.response
 * return taken.answer(await serve(taken.request))
 */
import { concat } from '../codec/index.ts'
import { PeerError } from '../errors.ts'
import type { Clock, Random } from '../ports.ts'
import { Bodies, Body, type BodyLimits, bodyLimits } from './blockBodies.ts'
import {
  type Block,
  blockBytes,
  blockIn,
  blockOption,
  hasItsSize,
  largestSzx,
  startOf,
  without,
} from './blockOption.ts'
import type { OutgoingResponse } from './endpointParts.ts'
import { useError } from './errors.ts'
import { coapCode, optionNumber } from './numbers.ts'
import { type CoapBody, type CoapOption, encodeBody, sortedOptions, uintValue } from './options.ts'

export interface BlockRequest extends CoapBody {
  readonly code: number
}

export type Taken<Request> =
  | {
      readonly kind: 'whole'
      /** As it would have come in one message. */
      readonly request: Request
      /** What is sent as the response: its first block, when it is large. */
      readonly answer: (response: OutgoingResponse) => OutgoingResponse
    }
  | { readonly kind: 'answer'; readonly response: OutgoingResponse }

/** Max-Age of a 5.03: by then a body that takes the room may be gone. */
const busyMaxAgeSeconds = 60
const etagBytes = 4

export class BlockAssembler {
  readonly #random: Random
  readonly #limits: BodyLimits
  readonly #requests: Bodies
  readonly #responses: Bodies

  constructor({ clock, random, limits }: AssemblerParts) {
    this.#random = random
    this.#limits = { ...bodyLimits, ...limits }
    this.#requests = new Bodies(clock, this.#limits)
    this.#responses = new Bodies(clock, this.#limits)
  }

  /** Never throws for what came. Blocks `within` different things are never of one body. */
  take<Request extends BlockRequest>(
    key: string,
    request: Request,
    within: Uint8Array = nothing,
  ): Taken<Request> {
    try {
      const part = { key, within, request }
      const block1 = blockIn(request, 'block1')
      const block2 = blockIn(request, 'block2')
      if (block2 !== undefined && block2.number > 0) {
        return answerWith(this.#more(part, block2))
      }
      return block1 === undefined
        ? this.#whole(part, request.payload, block1, block2)
        : this.#block(part, block1, block2)
    } catch (error) {
      if (error instanceof PeerError) return answerWith(refusal(coapCode.badRequest))
      throw error
    }
  }

  /** Drops what is under way for a key whose owner is gone. */
  forget(key: string): void {
    this.#requests.delete(key)
    this.#responses.delete(key)
  }

  get bytes(): number {
    return this.#requests.bytes + this.#responses.bytes
  }

  #block<Request extends BlockRequest>(
    part: Part<Request>,
    block: Block,
    block2: Block | undefined,
  ): Taken<Request> {
    const { key } = part
    const { payload } = part.request
    if (!hasItsSize(block, payload)) return answerWith(refusal(coapCode.badRequest))
    const start = startOf(block)
    // RFC 7959 §2.5: the first block begins anew, whatever was there.
    if (start === 0) this.#requests.delete(key)
    const body = start === 0 ? new Body(nameOf(part)) : this.#requests.find(key, nameOf(part))
    if (start + payload.length > this.#limits.bodyBytesMax) {
      if (body?.length === start) this.#requests.delete(key)
      return answerWith(this.#tooLarge())
    }
    if (start === 0 && !block.more) return this.#whole(part, payload, block, block2)
    if (body?.length !== start) return answerWith(refusal(coapCode.requestEntityIncomplete))
    if (!this.#requests.append(key, body, payload)) return answerWith(busy())
    if (block.more) return answerWith(withBlock1(continued, block))
    this.#requests.delete(key)
    return this.#whole(part, body.bytes(), block, block2)
  }

  #whole<Request extends BlockRequest>(
    part: Part<Request>,
    payload: Uint8Array,
    block1: Block | undefined,
    block2: Block | undefined,
  ): Taken<Request> {
    const { request } = part
    const options = without(request.options, 'block1', 'block2', 'size1', 'requestTag')
    const answer = (response: OutgoingResponse): OutgoingResponse => {
      const first = this.#first(part, response, block2?.szx)
      return block1 === undefined ? first : withBlock1(first, block1)
    }
    return { kind: 'whole', request: { ...request, options, payload }, answer }
  }

  /** A response that fits goes as it is; of a larger one the rest is kept. */
  #first(
    part: Part<BlockRequest>,
    response: OutgoingResponse,
    szxWanted?: number,
  ): OutgoingResponse {
    const { key } = part
    this.#responses.delete(key)
    const { options, payload } = response
    if (payload.length <= blockBytes(0)) return response
    const szx = largestSzx([...options, ...roomForBlocks], szxWanted)
    if (payload.length <= blockBytes(szx)) return response
    if (payload.length > this.#limits.bodyBytesMax) {
      const hint = `Answer with ${this.#limits.bodyBytesMax} bytes at most.`
      throw useError('ERR_COAP_SIZE', `${payload.length} bytes in a body`, hint)
    }
    const etag = { number: optionNumber.etag, value: this.#random.bytes(etagBytes) }
    const head = { ...response, options: [...without(options, 'etag'), etag] }
    const body = new Body(nameOf(part), head)
    if (!this.#responses.append(key, body, payload)) return busy()
    return cut(head, payload, { number: 0, more: true, szx })
  }

  #more(part: Part<BlockRequest>, block: Block): OutgoingResponse {
    const { key } = part
    const body = this.#responses.find(key, nameOf(part))
    if (body?.head === undefined) return refusal(coapCode.requestEntityIncomplete)
    if (startOf(block) >= body.length) return refusal(coapCode.badRequest)
    const response = cut(body.head, body.bytes(), block)
    if (startOf(block) + response.payload.length === body.length) this.#responses.delete(key)
    return response
  }

  #tooLarge(): OutgoingResponse {
    const most = uintValue(this.#limits.bodyBytesMax)
    const options = [{ number: optionNumber.size1, value: most }]
    return { ...refusal(coapCode.requestEntityTooLarge), options }
  }
}

interface Part<Request> {
  readonly key: string
  readonly within: Uint8Array
  readonly request: Request
}

export interface AssemblerParts {
  readonly clock: Clock
  readonly random: Random
  readonly limits?: Partial<BodyLimits>
}

const nothing = new Uint8Array()
const continued: OutgoingResponse = { code: coapCode.continue, options: [], payload: nothing }
/** Each as long as it gets. */
const roomForBlocks: readonly CoapOption[] = [
  { number: optionNumber.block1, value: new Uint8Array(3) },
  { number: optionNumber.block2, value: new Uint8Array(3) },
  { number: optionNumber.etag, value: new Uint8Array(etagBytes) },
  { number: optionNumber.size2, value: new Uint8Array(4) },
]

function cut(
  head: OutgoingResponse,
  payload: Uint8Array,
  { number, szx }: Block,
): OutgoingResponse {
  const start = startOf({ number, more: false, szx })
  const end = Math.min(start + blockBytes(szx), payload.length)
  const block = blockOption('block2', { number, more: end < payload.length, szx })
  const size2 = { number: optionNumber.size2, value: uintValue(payload.length) }
  const options = [...head.options, block, ...(number === 0 ? [size2] : [])]
  return { ...head, options: sortedOptions(options), payload: payload.slice(start, end) }
}

function withBlock1(response: OutgoingResponse, block: Block): OutgoingResponse {
  const option = blockOption('block1', block)
  return { ...response, options: sortedOptions([...response.options, option]) }
}

function refusal(code: number): OutgoingResponse {
  return { code, options: [], payload: nothing }
}

function busy(): OutgoingResponse {
  const maxAge = { number: optionNumber.maxAge, value: uintValue(busyMaxAgeSeconds) }
  return { ...refusal(coapCode.serviceUnavailable), options: [maxAge] }
}

function answerWith(response: OutgoingResponse): { kind: 'answer'; response: OutgoingResponse } {
  return { kind: 'answer', response }
}

const ofNoBody = ['block1', 'block2', 'ifNoneMatch', 'uriHost', 'uriPort'] as const

/**
 * What all blocks of a body have in common: the code and the options but those that speak of one
 * block, or of none (NoCacheKey, RFC 7252 §5.4.6), and the names of the host, which OSCORE leaves
 * open to everybody on the path. The Request-Tag is among them (RFC 9175 §3.3).
 */
function nameOf({ request: { code, options }, within }: Part<BlockRequest>): Uint8Array {
  const common = without(options, ...ofNoBody).filter(({ number }) => (number & 0x1e) !== 0x1c)
  const encoded = encodeBody({ options: common, payload: nothing })
  return concat(Uint8Array.of(code, within.length), within, encoded)
}
