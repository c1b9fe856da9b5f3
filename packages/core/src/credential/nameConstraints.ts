/**
 * Name constraints (RFC 5280 §4.2.1.10, §6.1.3 (b) and (c)): every name of a certificate must lie
 * in each permitted set and outside each excluded set of the CAs above it. DNS names, mailboxes,
 * hosts of URIs, addresses and directory names are understood; a constraint on any other form
 * refuses the certificates that carry a name of that form, and so does a constraint or a name that
 * we cannot read.
 */
import { chainError } from './chainError.ts'
import { asciiLower, dnsName, mailbox, presentedDnsName, uriHost } from './comparableNames.ts'
import { directoryWithin } from './directoryNames.ts'
import { attributeOid } from './oids.ts'
import type { Certificate, GeneralName } from './types.ts'

/** Names times constraints in one validation. More is an attack on the verifier, not a policy. */
const nameComparisonsMax = 100_000

/** Counts comparisons of names with constraints; throws when one search has had too many. */
export type SpendComparisons = (comparisons: number) => void

export function comparisonBudget(): SpendComparisons {
  let left = nameComparisonsMax
  return (comparisons) => {
    left -= comparisons
    if (left >= 0) return
    throw chainError(
      'ERR_CHAIN_LIMIT',
      `names and name constraints need more than ${nameComparisonsMax} comparisons`,
      'chain: nameConstraints',
      'Issue certificates with fewer names, or constrain by fewer subtrees.',
    )
  }
}

export type Constraints = NonNullable<Certificate['extensions']['nameConstraints']>

/**
 * Why a certificate is outside; undefined when all its names are inside. `spend` counts comparisons
 * and throws when they are too many.
 */
export function nameOutside(
  certificate: Certificate,
  constraints: Constraints,
  spend: SpendComparisons,
): string | undefined {
  const names = namesOf(certificate)
  spend(names.length * (constraints.permitted.length + constraints.excluded.length))
  for (const name of names) {
    const flaw = judgeName(name, constraints)
    if (flaw !== undefined) return flaw
  }
  return undefined
}

function namesOf(certificate: Certificate): readonly GeneralName[] {
  const names: GeneralName[] = [...(certificate.extensions.subjectAltName ?? [])]
  const { subject } = certificate
  if (subject.rdns.length > 0) names.push({ kind: 'directory', value: subject })
  for (const attribute of subject.rdns.flat()) {
    // RFC 5280 §4.2.1.10: constrained like a mailbox in the subjectAltName.
    if (attribute.type === attributeOid.emailAddress) {
      names.push({ kind: 'email', value: attribute.text ?? '' })
    }
  }
  return names
}

/**
 * Inside, outside, or not to be told: a name or a constraint that breaks its syntax decides against
 * the certificate.
 */
type Verdict = 'inside' | 'outside' | 'unreadable'
type Use = 'permitted' | 'excluded'

function judgeName(name: GeneralName, constraints: Constraints): string | undefined {
  let restricted = false
  let permitted = false
  for (const { base } of constraints.permitted) {
    if (!sameForm(name, base)) continue
    restricted = true
    const verdict = compare(name, base, 'permitted')
    if (verdict === 'unreadable') return `a ${formOf(name)} or the constraint on it cannot be read`
    if (verdict === 'inside') permitted = true
  }
  if (restricted && !permitted) return `a ${formOf(name)} is outside the permitted names`
  for (const { base } of constraints.excluded) {
    if (!sameForm(name, base)) continue
    const verdict = compare(name, base, 'excluded')
    if (verdict === 'unreadable') return `a ${formOf(name)} or the constraint on it cannot be read`
    if (verdict === 'inside') return `a ${formOf(name)} is among the excluded names`
  }
  return undefined
}

function sameForm(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === 'other' && base.kind === 'other') return name.type === base.type
  if (name.kind === 'unsupported' && base.kind === 'unsupported') return name.tag === base.tag
  return name.kind === base.kind
}

const forms: Readonly<Record<GeneralName['kind'], string>> = {
  dns: 'DNS name',
  email: 'mailbox',
  uri: 'URI',
  ip: 'IP address',
  directory: 'directory name',
  registeredId: 'registered identifier',
  other: 'name of another form',
  unsupported: 'name of a form that is not understood',
}

function formOf(name: GeneralName): string {
  return forms[name.kind]
}

function compare(name: GeneralName, base: GeneralName, use: Use): Verdict {
  if (name.kind === 'dns' && base.kind === 'dns') return compareDns(name.value, base.value, use)
  if (name.kind === 'email' && base.kind === 'email') {
    return compareMailbox(name.value, base.value, use)
  }
  if (name.kind === 'uri' && base.kind === 'uri') return compareUri(name.value, base.value)
  if (name.kind === 'ip' && base.kind === 'ip') return compareIp(name.value, base.value)
  if (name.kind === 'directory' && base.kind === 'directory') {
    const begins = directoryWithin(name.value, base.value)
    // What is permitted must be seen to be; what is excluded is met also where it cannot be told.
    if (begins === 'unclear') return use === 'excluded' ? 'unreadable' : 'outside'
    return begins ? 'inside' : 'outside'
  }
  // RFC 5280 §4.2.1.10: a constrained form that is not processed refuses the certificate.
  return 'unreadable'
}

function compareDns(value: string, constraint: string, use: Use): Verdict {
  const name = presentedDnsName(value)
  if (name === undefined) return 'unreadable'
  // The empty constraint holds every DNS name.
  if (constraint === '') return 'inside'
  const base = dnsName(constraint)
  if (base === undefined) return 'unreadable'
  if (within(name.host, base)) return 'inside'
  // A wildcard may stand for the excluded name itself: `*.example.com` under an exclusion of
  // `bar.example.com`.
  const mayStandFor = name.wildcard && base.slice(base.indexOf('.') + 1) === name.host
  return use === 'excluded' && mayStandFor ? 'inside' : 'outside'
}

function within(host: string, base: string): boolean {
  return host === base || host.endsWith(`.${base}`)
}

function compareMailbox(value: string, constraint: string, use: Use): Verdict {
  const name = mailbox(value)
  if (name === undefined) return 'unreadable'
  if (constraint.includes('@')) {
    const base = mailbox(constraint)
    if (base === undefined) return 'unreadable'
    // Who forbids a mailbox means it in any case of its letters; who permits one means that one.
    const sameLocal =
      use === 'excluded'
        ? asciiLower(name.local) === asciiLower(base.local)
        : name.local === base.local
    return sameLocal && name.host === base.host ? 'inside' : 'outside'
  }
  return compareHost(name.host, constraint)
}

function compareUri(value: string, constraint: string): Verdict {
  const host = uriHost(value)
  // RFC 5280 §4.2.1.10: a URI without a host that is a domain name must be refused under a
  // constraint.
  return host === undefined ? 'unreadable' : compareHost(host, constraint)
}

/**
 * A host means that host alone; with a leading period, everything below it and not itself.
 * Mailboxes and URIs share this.
 */
function compareHost(host: string, constraint: string): Verdict {
  if (constraint === '') return 'inside'
  const below = constraint.startsWith('.')
  const base = dnsName(below ? constraint.slice(1) : constraint)
  if (base === undefined) return 'unreadable'
  const inside = below ? host.endsWith(`.${base}`) : host === base
  return inside ? 'inside' : 'outside'
}

function compareIp(address: Uint8Array, constraint: Uint8Array): Verdict {
  const length = constraint.length / 2
  const mask = constraint.subarray(length)
  if (!isCidrMask(mask)) return 'unreadable'
  // Another family is another space: a constraint on IPv4 says nothing that an IPv6 address could
  // satisfy.
  if (address.length !== length) return 'outside'
  for (let index = 0; index < length; index++) {
    const difference = (address[index] ?? 0) ^ (constraint[index] ?? 0)
    if ((difference & (mask[index] ?? 0)) !== 0) return 'outside'
  }
  return 'inside'
}

/** Ones, then zeros (RFC 4632 §3.1). */
function isCidrMask(mask: Uint8Array): boolean {
  if (mask.length !== 4 && mask.length !== 16) return false
  let ended = false
  for (const octet of mask) {
    const inverted = ~octet & 0xff
    if ((inverted & (inverted + 1)) !== 0 || (ended && octet !== 0)) return false
    if (octet !== 0xff) ended = true
  }
  return true
}
