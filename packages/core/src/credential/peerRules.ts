/**
 * What this product asks of a peer beyond RFC 5280: which certificates may anchor a role, what a
 * leaf must be, and how far a foreign maker's anchor vouches. Asked by the judge when the path is
 * validated.
 */
import { CallerError } from '../errors.ts'
import type { Milliseconds } from '../ports.ts'
import { type Link, linkError } from './chainError.ts'
import { formatName, serialNumberOf } from './parseName.ts'
import { matchesPattern } from './pattern.ts'
import { isSelfIssued } from './profile.ts'
import type { Certificate } from './types.ts'
import type { Anchor, Expectation } from './verified.ts'

/**
 * Only a CA anchors a role, and of our own only an issuing one: the root signs for every role and
 * is the anchor of none.
 */
export function requireAnchor(anchor: Anchor): void {
  const { certificate, origin } = anchor
  const name = formatName(certificate.subject)
  if (certificate.extensions.basicConstraints?.ca !== true) {
    throw badAnchor(name, 'is no CA', 'Give the certificate of the issuing CA.')
  }
  if (origin === 'house' && isSelfIssued(certificate)) {
    throw badAnchor(name, 'is a root', 'A role is anchored by its issuing CA, never by the root.')
  }
}

function badAnchor(name: string, reason: string, hint: string): CallerError<'ERR_ANCHOR'> {
  return new CallerError('ERR_ANCHOR', `the anchor ${name} ${reason}`, {}, { hint })
}

/** A CA certificate identifies no peer, and a key does what its usage says (RFC 5280 §4.2.1.3). */
export function requireEndEntity(link: Link, expectation: Expectation): void {
  const { basicConstraints, keyUsage } = link.certificate.extensions
  if (basicConstraints?.ca === true) {
    throw linkError(
      'ERR_CHAIN_PURPOSE',
      link,
      'basicConstraints',
      'it is a CA certificate, which identifies no peer',
      'Present an end-entity certificate.',
    )
  }
  const needed = usageOf(expectation)
  if (keyUsage === undefined || keyUsage.has(needed)) return
  throw linkError(
    'ERR_CHAIN_KEY_USAGE',
    link,
    'keyUsage',
    `its keyUsage lacks ${needed}`,
    `Have it issued with ${needed}.`,
  )
}

export function usageOf({ purpose, keyUsage }: Expectation): 'digitalSignature' | 'keyAgreement' {
  return keyUsage ?? (purpose === 'serverEdhocDh' ? 'keyAgreement' : 'digitalSignature')
}

/** Why the anchor does not vouch for the leaf; undefined when it does. */
export function scopeFlaw(link: Link, anchor: Anchor, at: Milliseconds): Error | undefined {
  if (inScope(link.certificate, anchor, at)) return undefined
  const { notAfter } = anchor.scope
  return notAfter !== undefined && at > notAfter
    ? outOfScope(link, 'validity', 'the time is outside the scope')
    : outOfScope(link, 'subject.serialNumber', 'its serial number is outside the scope')
}

export function inScope(leaf: Certificate, { scope }: Anchor, at: Milliseconds): boolean {
  const { serialPattern, notAfter } = scope
  if (notAfter !== undefined && at > notAfter) return false
  if (serialPattern === undefined) return true
  const serial = serialNumberOf(leaf.subject)
  return serial !== undefined && matchesPattern(serialPattern, serial)
}

function outOfScope(link: Link, field: string, reason: string): Error {
  return linkError(
    'ERR_CHAIN_SCOPE',
    link,
    field,
    `${reason} of the foreign anchor that vouches for it`,
    'Add the anchor again with the scope that was agreed with the maker.',
  )
}
