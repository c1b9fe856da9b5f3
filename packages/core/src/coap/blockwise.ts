/**
 * A request whose body may be too large for one message, and a response whose body is, at the
 * client (RFC 7959 §2.4, §2.5, §2.7). Above whatever carries one exchange: inside OSCORE each block
 * is a protected request of its own. A Request-Tag keeps blocks of two bodies apart (RFC 9175 §3).
 * Leaves out: blocks out of order, servers that act on each block by itself (Figure 8).
 *
 * @example const response = await sendInBlocks(request, (part) => session.exchange(part), { random })
 */
import { concat, equalBytes } from '../codec/index.ts'
import type { Random } from '../ports.ts'
import {
  type Block,
  blockBytes,
  blockError,
  blockIn,
  blockNumberMax,
  blockOption,
  hasItsSize,
  largestSzx,
  startOf,
  without,
} from './blockOption.ts'
import type { OutgoingRequest, OutgoingResponse } from './endpointParts.ts'
import { coapCode, codeText, isSuccess, optionNumber } from './numbers.ts'
import { type CoapOption, sortedOptions, uintValue, valuesOf } from './options.ts'

/** Of a body put together from blocks: 64 KiB, and room for what is wrapped around them. */
export const bodyBytesMax: number = 68 * 1024

/**
 * Long enough that no block of another body can have the same by chance, while the replay window of
 * OSCORE still takes it.
 */
const requestTagBytes = 4

export interface BlockParts {
  readonly random: Random
  /** Blocks are not larger: 0 to 6, for 16 to 1024 bytes. */
  readonly szxMax?: number
}

type Exchange<Request, Response> = (part: Request) => Promise<Response>

/**
 * Resolves with the whole response, or the refusal that ended the transfer. Rejects with what
 * `exchange` does and with PeerError ERR_COAP_BLOCK.
 */
export async function sendInBlocks<
  Request extends OutgoingRequest,
  Response extends OutgoingResponse,
>(request: Request, exchange: Exchange<Request, Response>, parts: BlockParts): Promise<Response> {
  const szx = largestSzx(request.options, parts.szxMax)
  if (request.payload.length <= blockBytes(szx)) {
    return await collect(request, exchange, await exchange(request))
  }
  const tag = { number: optionNumber.requestTag, value: parts.random.bytes(requestTagBytes) }
  const tagged = { ...request, options: sortedOptions([...request.options, tag]) }
  return await collect(tagged, exchange, await sendBody(tagged, exchange, parts.szxMax))
}

/** The response to the last block, or to the one that was refused. */
async function sendBody<Request extends OutgoingRequest, Response extends OutgoingResponse>(
  request: Request,
  exchange: Exchange<Request, Response>,
  szxMax?: number,
): Promise<Response> {
  const { payload } = request
  const size1 = { number: optionNumber.size1, value: uintValue(payload.length) }
  // As long as the option gets.
  const longest = blockOption('block1', { number: blockNumberMax, more: true, szx: 0 })
  let szx = largestSzx([...request.options, size1, longest], szxMax)
  for (let sent = 0; ; ) {
    const end = Math.min(sent + blockBytes(szx), payload.length)
    const block = { number: sent / blockBytes(szx), more: end < payload.length, szx }
    const options = [
      ...request.options,
      blockOption('block1', block),
      ...(sent === 0 ? [size1] : []),
    ]
    const part = { ...request, options: sortedOptions(options), payload: payload.slice(sent, end) }
    const response = await exchange(part)
    const answered = blockIn(response, 'block1')
    if (response.code === coapCode.continue && block.more) {
      sent = end
      szx = Math.min(szx, requireSame(answered, block).szx)
    } else if (isTooLarge(response) && sent === 0 && answered !== undefined && answered.szx < szx) {
      // RFC 7959 §2.9.3: a hint to begin again with smaller ones.
      szx = answered.szx
    } else {
      requireFinal(response, block)
      return response
    }
  }
}

function requireSame(answered: Block | undefined, { number }: Block): Block {
  if (answered?.number === number) return answered
  throw blockError('Block1', `block ${answered?.number ?? 'none'} in the answer to ${number}`)
}

/** A success before the last block would be of a server that acts on each by itself. */
function requireFinal({ code }: OutgoingResponse, { more }: Block): void {
  if (code === coapCode.continue || (more && isSuccess(code))) {
    throw blockError('Block1', `${codeText(code)} to ${more ? 'one of many blocks' : 'the last'}`)
  }
}

function isTooLarge({ code }: OutgoingResponse): boolean {
  return code === coapCode.requestEntityTooLarge
}

/** The rest of a response that came with its first block. */
async function collect<Request extends OutgoingRequest, Response extends OutgoingResponse>(
  request: Request,
  exchange: Exchange<Request, Response>,
  first: Response,
): Promise<Response> {
  const begin = blockIn(first, 'block2')
  if (begin === undefined) return first
  const blocks: Uint8Array[] = []
  let length = 0
  for (let [response, block] = [first, begin]; ; ) {
    requireNext(response, block, length)
    blocks.push(response.payload)
    length += response.payload.length
    if (length > bodyBytesMax) throw blockError('Block2', `more than ${bodyBytesMax} bytes`)
    if (!block.more) return { ...first, options: bodyOptions(first), payload: concat(...blocks) }
    const wanted = { number: length / blockBytes(block.szx), more: false, szx: block.szx }
    response = await exchange(requestFor(request, wanted))
    if (!isSuccess(response.code)) return response
    requireSameBody(response, first)
    block = requireBlock(blockIn(response, 'block2'), block)
  }
}

/** RFC 7959 §2.7: like the requests before, without payload. */
function requestFor<Request extends OutgoingRequest>(request: Request, block: Block): Request {
  const options = [...without(request.options, 'block2'), blockOption('block2', block)]
  return { ...request, options: sortedOptions(options), payload: new Uint8Array() }
}

function requireBlock(block: Block | undefined, previous: Block): Block {
  if (block !== undefined && block.szx <= previous.szx) return block
  throw blockError('Block2', block === undefined ? 'it went missing' : 'blocks grew')
}

function requireNext({ payload }: OutgoingResponse, block: Block, length: number): void {
  if (startOf(block) !== length) throw blockError('Block2', `byte ${startOf(block)} at ${length}`)
  if (hasItsSize(block, payload)) return
  throw blockError('Block2', `${payload.length} bytes in a block of ${blockBytes(block.szx)}`)
}

/** RFC 7959 §2.3, §2.4: blocks of two representations make none. */
function requireSameBody(response: OutgoingResponse, first: OutgoingResponse): void {
  const isSame = [optionNumber.etag, optionNumber.contentFormat].every((number) =>
    equalValues(valuesOf(response.options, number), valuesOf(first.options, number)),
  )
  if (!isSame || response.code !== first.code) throw blockError('Block2', 'another body began')
}

function equalValues(some: readonly Uint8Array[], others: readonly Uint8Array[]): boolean {
  return some.length === others.length && some.every((one, index) => isAt(others, index, one))
}

function isAt(values: readonly Uint8Array[], index: number, value: Uint8Array): boolean {
  const found = values[index]
  return found !== undefined && equalBytes(found, value)
}

function bodyOptions({ options }: OutgoingResponse): readonly CoapOption[] {
  return without(options, 'block1', 'block2', 'size2')
}
