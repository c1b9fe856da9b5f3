/** What a side answers to what it could not go on with (RFC 9528 §6): the least that helps. */
import { PeerError } from '../errors.ts'
import type { ErrorMessage } from './errorMessage.ts'
import { parseMessage1 } from './messages.ts'
import { suitesInError, type UsableSuite } from './suites.ts'

/** The responder to message_1; the only place for an error about suites. */
export function answerToMessage1(
  error: unknown,
  bytes: Uint8Array,
  supported: readonly UsableSuite[],
): ErrorMessage {
  if (!(error instanceof PeerError) || error.code !== 'ERR_EDHOC_SUITE') return answerTo(error)
  return { kind: 'wrong suite', suitesR: suitesInError(parseMessage1(bytes).suitesI, supported) }
}

/** Either side to every other message. An error message itself is never answered. */
export function answerTo(error: unknown): ErrorMessage {
  const text = error instanceof PeerError ? (texts[error.code] ?? 'message refused') : 'not now'
  return { kind: 'unspecified', text }
}

const texts: Readonly<Record<string, string>> = {
  ERR_EDHOC_METHOD: 'method not supported',
  ERR_EDHOC_EAD: 'critical authorization data not known',
}
