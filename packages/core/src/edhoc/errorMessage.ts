/**
 * Errors as they travel (RFC 9528 §6). Nobody authenticates them: what they say is a hint. Code 0,
 * success, never travels.
 */
import { CborReader, cbor, concat } from '../codec/index.ts'
import { edhocError } from './edhocError.ts'
import { edhocLimits } from './limits.ts'
import { encodeSuites, parseSuites } from './messages.ts'

export type ErrorMessage =
  /** With a text for whoever reads the log. */
  | { readonly kind: 'unspecified'; readonly text: string }
  /** The selected suite is not accepted; SUITES_R. */
  | { readonly kind: 'wrong suite'; readonly suitesR: readonly number[] }
  /** The credential that was named is not known: send it by value next time (§6.4). */
  | { readonly kind: 'unknown credential' }

/** An ERR_CODE that is not known here, its ERR_INFO unread. */
export interface OtherError {
  readonly kind: 'other'
  readonly code: number
}

const code = { success: 0, unspecified: 1, wrongSuite: 2, unknownCredential: 3 } as const

/**
 * Whether an answer is an error: those begin with an integer, message_2, message_3 and message_4
 * with a byte string.
 */
export function isErrorMessage(answer: Uint8Array): boolean {
  const kind = new CborReader(answer.subarray(0, 1), 'answer').peek()
  return kind === 'unsigned' || kind === 'negative'
}

export function encodeError(error: ErrorMessage): Uint8Array {
  switch (error.kind) {
    case 'unspecified':
      return concat(cbor.int(code.unspecified), cbor.textString(error.text))
    case 'wrong suite':
      return concat(cbor.int(code.wrongSuite), encodeSuites(error.suitesR))
    case 'unknown credential':
      return concat(cbor.int(code.unknownCredential), cbor.trueValue)
  }
}

/** Throws PeerError: ERR_EDHOC_MESSAGE, ERR_CBOR_*. */
export function parseError(bytes: Uint8Array): ErrorMessage | OtherError {
  const reader = new CborReader(bytes, 'error', edhocLimits.messageBytesMax)
  const error = parseInformation(reader, reader.int('ERR_CODE'))
  reader.end()
  return error
}

function parseInformation(reader: CborReader, number: number): ErrorMessage | OtherError {
  const field = 'ERR_INFO'
  switch (number) {
    case code.success:
      throw edhocError('ERR_EDHOC_MESSAGE', 'an error says that it is none')
    case code.unspecified:
      return { kind: 'unspecified', text: reader.textString(field, edhocLimits.errorTextBytesMax) }
    case code.wrongSuite:
      return { kind: 'wrong suite', suitesR: parseSuites(reader, 'SUITES_R') }
    case code.unknownCredential:
      if (reader.boolean(field)) return { kind: 'unknown credential' }
      throw edhocError('ERR_EDHOC_MESSAGE', 'ERR_INFO of an unknown credential is true')
    default:
      reader.raw(field)
      return { kind: 'other', code: number }
  }
}
