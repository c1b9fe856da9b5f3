/** Content-Formats: media types as CoAP numbers them (RFC 7252 §12.3 and the documents below). */
import { CallerError } from '../errors.ts'
import { type CoapErrorCode, coapError } from './errors.ts'
import { optionNumber } from './numbers.ts'
import { type CoapBody, type CoapOption, readUint, uintValue, valuesOf } from './options.ts'

/** By number, in the spelling of the registry, which is the one on the other roads too. */
const mediaTypes: ReadonlyMap<number, string> = new Map([
  [0, 'text/plain; charset=utf-8'],
  [40, 'application/link-format'],
  [41, 'application/xml'],
  [42, 'application/octet-stream'],
  [50, 'application/json'],
  [60, 'application/cbor'],
  /** RFC 8742 §7.3. */
  [63, 'application/cbor-seq'],
  /** RFC 9528 §10.9. */
  [64, 'application/edhoc+cbor-seq'],
  [65, 'application/cid-edhoc+cbor-seq'],
  /** RFC 8428 §12.3. */
  [110, 'application/senml+json'],
  [112, 'application/senml+cbor'],
  /** RFC 9148 §9.1. */
  [281, 'application/pkcs7-mime; smime-type=certs-only'],
  [286, 'application/pkcs10'],
  [287, 'application/pkix-cert'],
])

const numbers: ReadonlyMap<string, number> = new Map([
  ...[...mediaTypes].map(([number, mediaType]) => [plain(mediaType), number] as const),
  // Text that does not say its charset is ASCII, which is UTF-8 too.
  ['text/plain', 0],
])

/** Undefined: the number is none of these. */
export function mediaTypeOf(contentFormat: number): string | undefined {
  return mediaTypes.get(contentFormat)
}

/** Undefined: CoAP has no number for it here. `Text/Plain; charset="UTF-8"` is 0. */
export function contentFormatOf(mediaType: string): number | undefined {
  return numbers.get(plain(mediaType))
}

function plain(mediaType: string): string {
  return mediaType.toLowerCase().replaceAll(/[\s"]/g, '')
}

export function contentFormatOption(number: number): CoapOption {
  if (number > contentFormatMax) {
    throw new CallerError<CoapErrorCode>('ERR_COAP_OPTION', `${number} is no Content-Format`)
  }
  return { number: optionNumber.contentFormat, value: uintValue(number) }
}

/** Undefined: the message does not say. Throws PeerError ERR_COAP_OPTION. */
export function contentFormatIn({ options }: Pick<CoapBody, 'options'>): number | undefined {
  const [value, ...more] = valuesOf(options, optionNumber.contentFormat)
  if (value === undefined) return undefined
  const number = readUint(value, 'Content-Format')
  if (more.length > 0 || value.length > 2) {
    throw coapError('ERR_COAP_OPTION', 'one of two bytes at most', 'Content-Format')
  }
  return number
}

/** Of two bytes (RFC 7252 §5.10). */
const contentFormatMax = 0xffff
