/**
 * Does this certificate speak for that name? RFC 9525: the subjectAltName alone is asked, never the
 * common name; a wildcard is the whole left-most label and stands for exactly one label; an address
 * is compared as octets; a mailbox by RFC 5280 §7.5.
 */
import { equalBytes } from '../codec/index.ts'
import {
  dnsName,
  ipAddress,
  mailbox,
  type PresentedDnsName,
  presentedDnsName,
} from './comparableNames.ts'
import type { Certificate, GeneralName } from './types.ts'
import type { ReferenceName } from './verified.ts'

export type NameVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string; readonly hint: string }

/** More text than this in a message helps nobody. */
const shownLengthMax = 80

export function matchName(certificate: Certificate, expected: ReferenceName): NameVerdict {
  const match = matcherOf(expected)
  if (match === undefined) {
    return refused(`${shown(expected)} is not a valid name to expect`, syntaxHint[expected.kind])
  }
  const presented = certificate.extensions.subjectAltName
  if (presented === undefined) {
    return refused(
      `it has no subjectAltName, and ${shown(expected)} was expected`,
      'Issue it again with the name in the subjectAltName; the common name is never used (RFC 9525 §2).',
    )
  }
  if (presented.some(match)) return { ok: true }
  return refused(
    `no name in it is ${shown(expected)}`,
    'Connect by a name that the certificate carries, or issue one that carries this name.',
  )
}

const syntaxHint: Readonly<Record<ReferenceName['kind'], string>> = {
  DNS: 'Give a host name in ASCII letters, digits and hyphens; write internationalized labels as A-labels (xn--…).',
  IP: 'Give an IPv4 or IPv6 address without zone, port or leading zeros.',
  email: 'Give a mailbox like name@example.com.',
}

function matcherOf(expected: ReferenceName): ((name: GeneralName) => boolean) | undefined {
  switch (expected.kind) {
    case 'DNS': {
      // A trailing dot marks the reference as absolute and is no part of the name (RFC 9525 §6.3).
      const text = expected.value.endsWith('.') ? expected.value.slice(0, -1) : expected.value
      const host = dnsName(text)
      if (host === undefined) return undefined
      return (name) => name.kind === 'dns' && dnsMatches(presentedDnsName(name.value), host)
    }
    case 'IP': {
      const address = ipAddress(expected.value)
      if (address === undefined) return undefined
      return (name) => name.kind === 'ip' && equalBytes(name.value, address)
    }
    case 'email': {
      const wanted = mailbox(expected.value)
      if (wanted === undefined) return undefined
      return (name) => {
        const found = name.kind === 'email' ? mailbox(name.value) : undefined
        return found !== undefined && found.local === wanted.local && found.host === wanted.host
      }
    }
  }
}

function dnsMatches(presented: PresentedDnsName | undefined, host: string): boolean {
  if (presented === undefined) return false
  if (!presented.wildcard) return presented.host === host
  // RFC 9525 §6.3: the wildcard takes the left-most label, whole, and only that one.
  const dot = host.indexOf('.')
  return dot > 0 && host.slice(dot + 1) === presented.host
}

function shown(expected: ReferenceName): string {
  // The expected name is the caller's own, but it may have come from a file: no control characters
  // into a log.
  const text = expected.value.replace(/[^\x20-\x7e]/g, '?')
  const cut = text.length > shownLengthMax ? `${text.slice(0, shownLengthMax)}…` : text
  return `${expected.kind} "${cut}"`
}

function refused(reason: string, hint: string): NameVerdict {
  return { ok: false, reason, hint }
}
