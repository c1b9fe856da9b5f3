/**
 * Where a request goes: the segments of its path, the arguments of its query (RFC 7252 §5.10.1).
 */
import { fromUtf8, utf8 } from '../codec/index.ts'
import { coapError, useError } from './errors.ts'
import { optionNumber } from './numbers.ts'
import { type CoapBody, type CoapOption, valuesOf } from './options.ts'

/** Of a segment and of an argument (RFC 7252 §5.10). */
const uriBytesMax = 255

type Options = Pick<CoapBody, 'options'>

/** `/m/a/b` is `['m', 'a', 'b']`, the root nothing. Throws PeerError ERR_COAP_OPTION. */
export function pathOf({ options }: Options): readonly string[] {
  const segments = textsOf(options, optionNumber.uriPath, 'Uri-Path')
  // RFC 7252 §5.10.1: a segment is never `.` or `..`; paths are not resolved here.
  if (!segments.some(isDots)) return segments
  throw coapError('ERR_COAP_OPTION', 'a segment of dots', 'Uri-Path')
}

/** Throws PeerError ERR_COAP_OPTION. */
export function queriesOf({ options }: Options): readonly string[] {
  return textsOf(options, optionNumber.uriQuery, 'Uri-Query')
}

/**
 * The value of `<name>=<value>`, nothing of `<name>` alone; undefined when it is not there. Throws
 * PeerError ERR_COAP_OPTION, also when it is there twice.
 */
export function queryOf(message: Options, name: string): string | undefined {
  const [found, ...more] = queriesOf(message).filter(
    (query) => query === name || query.startsWith(`${name}=`),
  )
  if (more.length > 0) throw coapError('ERR_COAP_OPTION', `${name} twice`, 'Uri-Query')
  return found?.slice(name.length + 1)
}

/** Throws CallerError for what no receiver would take. */
export function uriPath(...segments: readonly string[]): readonly CoapOption[] {
  if (segments.some(isDots)) throw misuse('a segment of dots')
  return segments.map((segment) => optionOf(optionNumber.uriPath, segment))
}

export function uriQuery(...queries: readonly string[]): readonly CoapOption[] {
  return queries.map((query) => optionOf(optionNumber.uriQuery, query))
}

function optionOf(number: number, text: string): CoapOption {
  const value = utf8(text)
  if (value.length <= uriBytesMax) return { number, value }
  throw misuse(`${value.length} bytes in option ${number}`)
}

function textsOf(options: readonly CoapOption[], number: number, where: string): readonly string[] {
  return valuesOf(options, number).map((value) => {
    if (value.length > uriBytesMax) {
      throw coapError('ERR_COAP_OPTION', `${value.length} bytes`, where)
    }
    try {
      return fromUtf8(value)
    } catch (error) {
      throw coapError('ERR_COAP_OPTION', 'no UTF-8', where, {}, error)
    }
  })
}

function isDots(segment: string): boolean {
  return segment === '.' || segment === '..'
}

function misuse(what: string): Error {
  return useError('ERR_COAP_OPTION', what)
}
