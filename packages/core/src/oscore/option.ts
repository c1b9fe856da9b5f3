/**
 * The value of the OSCORE option: the headers of the COSE object, compressed (RFC 8613 §6.1).
 *
 * @example parseOscoreOption(fromHex('0914')) // { partialIv: 20, kid: no bytes }
 */
import { type CoapMessage, optionNumber, valuesOf } from '../coap/index.ts'
import { concat } from '../codec/index.ts'
import { oscoreError } from './errors.ts'
import { encodePartialIv, partialIvBytesMax, readPartialIv } from './partialIv.ts'

export interface OscoreOption {
  readonly partialIv?: number
  /** The Sender ID of whoever protected the message. */
  readonly kid?: Uint8Array
  /** The ID Context. */
  readonly kidContext?: Uint8Array
}

/** RFC 8613 §2: the longest value. */
export const optionBytesMax = 255

const flag = { partialIvLength: 0b111, kid: 0b1000, kidContext: 0b1_0000, reserved: 0b1110_0000 }

/** Throws PeerError ERR_OSCORE_OPTION. */
export function parseOscoreOption(value: Uint8Array): OscoreOption {
  if (value.length > optionBytesMax) throw malformed(`${value.length} bytes`)
  const flags = value[0]
  if (flags === undefined) return {}
  // RFC 8613 §2: when no flag is set the value is empty.
  if (flags === 0) throw malformed('flags that say nothing')
  if ((flags & flag.reserved) !== 0) throw malformed('a reserved flag')
  const partialIvEnd = 1 + (flags & flag.partialIvLength)
  if (partialIvEnd > 1 + partialIvBytesMax) throw malformed('a reserved length of a Partial IV')
  const hasKidContext = (flags & flag.kidContext) !== 0
  const kidContextStart = partialIvEnd + (hasKidContext ? 1 : 0)
  const kidContextEnd = kidContextStart + (hasKidContext ? (value[partialIvEnd] ?? 0) : 0)
  if (kidContextEnd > value.length) throw malformed('it is cut')
  const hasKid = (flags & flag.kid) !== 0
  if (!hasKid && value.length > kidContextEnd) throw malformed('bytes behind its end')
  return {
    ...(partialIvEnd > 1 && { partialIv: readPartialIv(value.subarray(1, partialIvEnd)) }),
    ...(hasKid && { kid: value.subarray(kidContextEnd) }),
    ...(hasKidContext && { kidContext: value.subarray(kidContextStart, kidContextEnd) }),
  }
}

export function encodeOscoreOption({ partialIv, kid, kidContext }: OscoreOption): Uint8Array {
  const none = new Uint8Array()
  const iv = partialIv === undefined ? none : encodePartialIv(partialIv)
  const context = kidContext === undefined ? none : Uint8Array.of(kidContext.length, ...kidContext)
  const flags =
    iv.length |
    (kid === undefined ? 0 : flag.kid) |
    (kidContext === undefined ? 0 : flag.kidContext)
  return flags === 0 ? none : concat(Uint8Array.of(flags), iv, context, kid ?? none)
}

/**
 * The option of a message that must have one: it says which security context is meant. Throws
 * PeerError: ERR_OSCORE_MESSAGE where there is none, ERR_OSCORE_OPTION.
 */
export function oscoreOptionOf({ options }: Pick<CoapMessage, 'options'>): OscoreOption {
  const [value, ...more] = valuesOf(options, optionNumber.oscore)
  if (value === undefined) throw oscoreError('ERR_OSCORE_MESSAGE', 'no OSCORE option')
  // RFC 8613 §2: critical, and not repeatable.
  if (more.length > 0) throw malformed('it is there more than once')
  return parseOscoreOption(value)
}

function malformed(what: string): Error {
  return oscoreError('ERR_OSCORE_OPTION', `option: ${what}`)
}
