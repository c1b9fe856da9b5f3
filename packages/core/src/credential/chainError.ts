/**
 * Refusals of the judge: every one names the link of the chain, counted from the leaf, and the field that decided.
 */
import { type ErrorOptions, PeerError } from '../errors.ts'
import { formatName } from './parseName.ts'
import type { Certificate } from './types.ts'
import type { ChainErrorCode } from './verified.ts'

export type ChainError = PeerError<ChainErrorCode>

/** A certificate and its place: 0 is the leaf, the last one the anchor. */
export interface Link {
  readonly index: number
  readonly certificate: Certificate
}

/** Subjects are the sender's words: escaped by `formatName`, and cut here. */
const shownNameLengthMax = 120

export function linkError(
  code: ChainErrorCode,
  link: Link,
  field: string,
  reason: string,
  hint: string,
  cause?: unknown,
): ChainError {
  const where = `${describe(link)}: ${field}`
  return chainError(code, `${placeOf(link)} is refused: ${reason}`, where, hint, cause)
}

export function chainError(
  code: ChainErrorCode,
  message: string,
  where: string,
  hint: string,
  cause?: unknown,
): ChainError {
  const options: ErrorOptions = cause === undefined ? { where, hint } : { where, hint, cause }
  return new PeerError(code, message, {}, options)
}

export function describe(link: Link): string {
  return `link ${link.index} (${shownName(link.certificate)})`
}

export function shownName(certificate: Certificate): string {
  const name = formatName(certificate.subject)
  return name.length > shownNameLengthMax ? `${name.slice(0, shownNameLengthMax)}…` : name
}

function placeOf(link: Link): string {
  return link.index === 0 ? 'the leaf certificate' : `the CA certificate at link ${link.index}`
}
