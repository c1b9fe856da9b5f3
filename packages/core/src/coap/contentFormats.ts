/** Content-Formats: media types as CoAP numbers them (RFC 7252 §12.3 and the documents below). */
import { coapError, useError } from './errors.ts'
import { optionNumber } from './numbers.ts'
import { type CoapBody, type CoapOption, readUint, uintValue, valuesOf } from './options.ts'

/** Those that the product itself writes (RFC 7252 §12.3, RFC 8949 §9.4). */
export const contentFormat = { text: 0, octets: 42, json: 50, cbor: 60 } as const

/** By number, in the spelling of the registry, which is the one on the other roads too. */
const mediaTypes: ReadonlyMap<number, string> = new Map([
  [contentFormat.text, 'text/plain; charset=utf-8'],
  [40, 'application/link-format'],
  [41, 'application/xml'],
  [contentFormat.octets, 'application/octet-stream'],
  [contentFormat.json, 'application/json'],
  [contentFormat.cbor, 'application/cbor'],
  /** RFC 8742 §6.2. */
  [63, 'application/cbor-seq'],
  /** RFC 9528 §10.9. */
  [64, 'application/edhoc+cbor-seq'],
  [65, 'application/cid-edhoc+cbor-seq'],
  /** RFC 8428 §12. */
  [110, 'application/senml+json'],
  [112, 'application/senml+cbor'],
  /** RFC 9148 §8.1. */
  [281, 'application/pkcs7-mime; smime-type=certs-only'],
  [286, 'application/pkcs10'],
  [287, 'application/pkix-cert'],
])

const numbers: ReadonlyMap<string, number> = new Map([
  ...[...mediaTypes].map(([number, mediaType]) => [plain(mediaType), number] as const),
  // Text that does not say its charset is ASCII, which is UTF-8 too.
  ['text/plain', contentFormat.text],
])

/** Undefined: the number is none of these. */
export function mediaTypeOf(number: number): string | undefined {
  return mediaTypes.get(number)
}

/** Undefined: CoAP has no number for it here. `Text/Plain; charset="UTF-8"` is 0. */
export function contentFormatOf(mediaType: string): number | undefined {
  return numbers.get(plain(mediaType))
}

/** Without what spellings of one media type differ in. */
function plain(mediaType: string): string {
  return mediaType.toLowerCase().replaceAll(/[\s"]/g, '')
}

/** Throws CallerError ERR_COAP_OPTION for a number of more than 16 bits. */
export function contentFormatOption(number: number): CoapOption {
  if (number > contentFormatMax) {
    throw useError('ERR_COAP_OPTION', `${number} is no Content-Format`)
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
