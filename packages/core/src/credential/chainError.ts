/**
 * Refusals of the judge: every one names the link of the chain, counted from the leaf, and the
 * field that decided.
 */
import { type ErrorOptions, PeerError } from '../errors.ts'
import { formatName } from './parseName.ts'
import type { AttributeTypeAndValue, Certificate, Name } from './types.ts'
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

/** The work that one validation may cost is over. */
export function limitError(what: string): ChainError {
  return chainError(
    'ERR_CHAIN_LIMIT',
    `the search for a path needs ${what}`,
    'chain',
    'Give only the intermediates that lead from the leaf to the anchor.',
  )
}

export function describe(link: Link): string {
  return `link ${link.index} (${shownName(link.certificate)})`
}

export function shownName(certificate: Certificate): string {
  const name = formatName(beginningOf(certificate.subject))
  return name.length > shownNameLengthMax ? `${name.slice(0, shownNameLengthMax)}…` : name
}

/**
 * As much of a name as is shown, and a little more: a search words many refusals, and escaping 60
 * KiB takes milliseconds each time.
 */
function beginningOf(name: Name): Name {
  let left = shownNameLengthMax
  const rdns: AttributeTypeAndValue[][] = []
  for (const rdn of name.rdns) {
    const kept: AttributeTypeAndValue[] = []
    for (const attribute of rdn) {
      if (left < 0) break
      const text = attribute.text?.slice(0, shownNameLengthMax)
      const value = attribute.value.subarray(0, shownNameLengthMax)
      kept.push({ ...attribute, text, value })
      // A type of one letter at least, `=` and the separator.
      left -= (text?.length ?? value.length) + 4
    }
    if (kept.length > 0) rdns.push(kept)
  }
  return { ...name, rdns }
}

function placeOf(link: Link): string {
  return link.index === 0 ? 'the leaf certificate' : `the CA certificate at link ${link.index}`
}
