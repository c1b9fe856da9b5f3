/**
 * Which parts of a CoAP message OSCORE encrypts and which stay in sight (RFC 8613 §4, §5.3, and
 * RFC 9668 §3.1 for the EDHOC option): a message is split when it is protected and joined when it
 * was verified. Leaves out: Observe, Outer values of options that have both, Proxy-Uri when it is
 * sent.
 */
import {
  type CoapMessage,
  type CoapOption,
  type CodeKind,
  coapCode,
  codeKind,
  codeText,
  encodeBody,
  optionNumber,
  parseBody,
  sortedOptions,
} from '../coap/index.ts'
import { type OscoreOption, encodeOscoreOption } from './option.ts'
import { plaintextOf } from './derivation.ts'
import { oscoreError, useError } from './errors.ts'

type Kind = Extract<CodeKind, 'request' | 'response'>

/** RFC 8613 Figure 5: those of class U alone. All others, unknown ones too, are of class E. */
const unprotected: ReadonlySet<number> = new Set([
  optionNumber.uriHost,
  optionNumber.uriPort,
  optionNumber.oscore,
  optionNumber.edhoc,
  optionNumber.proxyUri,
  optionNumber.proxyScheme,
])

/** RFC 8613 §4.2: they tell nothing. */
const outerCode: Readonly<Record<Kind, number>> = {
  request: coapCode.post,
  response: coapCode.changed,
}

/** What of a message is encrypted. Throws CallerError for a message that cannot be protected. */
export function plaintextToProtect(message: CoapMessage, kind: Kind): Uint8Array {
  const { code, options, payload } = message
  if (codeKind(code) !== kind) throw unprotectable(`code ${codeText(code)} is no ${kind}`)
  const has = (number: number): boolean => options.some((option) => option.number === number)
  if (has(optionNumber.oscore)) throw unprotectable('it has an OSCORE option (RFC 8613 §4.1.3.7)')
  if (has(optionNumber.observe)) throw unprotectable('Observe is not there')
  if (has(optionNumber.proxyUri)) {
    throw unprotectable('Proxy-Uri must be decomposed before (RFC 8613 §4.1.3.3)')
  }
  return plaintextOf(code, encodeBody({ options: options.filter(isInner), payload }))
}

/** The message that carries the ciphertext. */
export function outerMessage(
  message: CoapMessage,
  kind: Kind,
  option: OscoreOption,
  ciphertext: Uint8Array,
): CoapMessage {
  const oscore = { number: optionNumber.oscore, value: encodeOscoreOption(option) }
  const options = sortedOptions([...message.options.filter(isOuter), oscore])
  return { ...message, code: outerCode[kind], options, payload: ciphertext }
}

/** What stands where the ciphertext must be. */
export function ciphertextOf({ code, payload }: CoapMessage, kind: Kind): Uint8Array {
  if (codeKind(code) !== kind) throw refused(`code ${codeText(code)} is no ${kind}`)
  if (payload.length === 0) throw refused('no ciphertext')
  return payload
}

/**
 * The message that was protected. Of what stood in sight it keeps the names of the host alone.
 * RFC 8613 §8.2 leaves all Outer options of class U in it; nobody has authenticated those, and a
 * critical one that somebody on the path added would be answered under OSCORE, with a refusal that
 * the peer believes.
 */
export function innerMessage(outer: CoapMessage, kind: Kind, plaintext: Uint8Array): CoapMessage {
  const code = plaintext[0]
  if (code === undefined || codeKind(code) !== kind) {
    throw refused(`what was encrypted is no ${kind}`)
  }
  const { options, payload } = parseInner(plaintext.subarray(1))
  const wrong = options.find(isOuter)
  if (wrong !== undefined) throw refused(`option ${wrong.number} was encrypted`)
  const joined = sortedOptions([...outer.options.filter(isKept), ...options])
  return { ...outer, code, options: joined, payload }
}

function parseInner(bytes: Uint8Array): ReturnType<typeof parseBody> {
  try {
    return parseBody(bytes, 'OSCORE plaintext')
  } catch (error) {
    throw oscoreError('ERR_OSCORE_MESSAGE', 'what was encrypted is no CoAP', error)
  }
}

function isOuter({ number }: CoapOption): boolean {
  return unprotected.has(number)
}

function isKept({ number }: CoapOption): boolean {
  return number === optionNumber.uriHost || number === optionNumber.uriPort
}

function isInner(option: CoapOption): boolean {
  return !isOuter(option)
}

function refused(what: string): Error {
  return oscoreError('ERR_OSCORE_MESSAGE', what)
}

function unprotectable(what: string): Error {
  return useError('ERR_OSCORE_UNPROTECTABLE', what)
}
