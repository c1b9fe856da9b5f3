/** Block1 and Block2 (RFC 7959 §2.1, §2.2), and how large blocks may be. */
import { fromBigEndian } from '../codec/index.ts'
import { coapError, coapLimits, useError } from './errors.ts'
import { optionNumber } from './numbers.ts'
import {
  type CoapBody,
  type CoapOption,
  encodeBody,
  isWithin,
  uintValue,
  valuesOf,
} from './options.ts'

export type BlockName = 'block1' | 'block2'

export interface Block {
  readonly number: number
  /** There are more behind it. */
  readonly more: boolean
  /** The size exponent, 0 to 6: blocks of 16 to 1024 bytes. */
  readonly szx: number
}

const valueBytesMax = 3
const szxMax = 6
/** 20 bits (RFC 7959 §2.2). */
export const blockNumberMax = 0xf_ffff

export function blockOption(name: BlockName, { number, more, szx }: Block): CoapOption {
  if (!isWithin(number, blockNumberMax) || !isWithin(szx, szxMax)) {
    throw useError('ERR_COAP_BLOCK', `block ${number} of size ${szx}`)
  }
  return { number: optionNumber[name], value: uintValue(number * 16 + (more ? 8 : 0) + szx) }
}

/** Undefined: it has none. Throws PeerError ERR_COAP_BLOCK, also for the reserved SZX 7. */
export function blockIn(
  { options }: Pick<CoapBody, 'options'>,
  name: BlockName,
): Block | undefined {
  const [value, ...more] = valuesOf(options, optionNumber[name])
  if (value === undefined) return undefined
  if (more.length > 0) throw blockError(name, 'more than once')
  if (value.length > valueBytesMax) throw blockError(name, `${value.length} bytes`)
  const uint = fromBigEndian(value)
  const block = { number: uint >> 4, more: (uint & 8) !== 0, szx: uint & 7 }
  if (block.szx > szxMax) throw blockError(name, 'a reserved size')
  return block
}

export function blockBytes(szx: number): number {
  return 16 << szx
}

/** Of the first byte in its body. */
export function startOf({ number, szx }: Block): number {
  return number * blockBytes(szx)
}

/** RFC 7959 §2.3: the size says nothing of the last block. */
export function hasItsSize({ more, szx }: Block, payload: Uint8Array): boolean {
  return !more || payload.length === blockBytes(szx)
}

/**
 * Around the options and the payload: header and token, the marker, what OSCORE adds (its option,
 * the code, a tag) and an Echo that may be asked for (RFC 9175).
 */
const aroundBytes = 56

/** The largest with which a block and these options fit into a message (RFC 7252 §4.6). */
export function largestSzx(options: readonly CoapOption[], szxWanted: number = szxMax): number {
  const head = encodeBody({ options, payload: new Uint8Array() }).length
  const room = coapLimits.messageBytesMax - aroundBytes - head
  for (let szx = szxWanted; szx > 0; szx--) if (blockBytes(szx) <= room) return szx
  return 0
}

export function blockError(where: string, what: string): Error {
  return coapError('ERR_COAP_BLOCK', what, where)
}

/** Options other than these. */
export function without(
  options: readonly CoapOption[],
  ...names: readonly (keyof typeof optionNumber)[]
): readonly CoapOption[] {
  return options.filter(({ number }) => names.every((name) => optionNumber[name] !== number))
}
