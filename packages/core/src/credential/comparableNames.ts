/**
 * Names in the one form in which they compare: ASCII lower case, no trailing dot, addresses as
 * octets (RFC 4291 §2.2; dotted decimal of RFC 3986 §3.2.2), a URI as its host (RFC 3986 §3.2).
 * Whether a certificate may carry a name at all is parseNameSyntax.ts; here a name that cannot be
 * compared is undefined, and then it matches nothing. Internationalized names are A-labels (RFC
 * 5280 §7.2).
 */

/** RFC 1035 §2.3.4, without the dots of the wire form's root. */
const dnsNameLengthMax = 253
/** RFC 5321 §4.5.3.1: local part 64, domain 255, the `@`. */
const mailboxLengthMax = 320
/** Longest URI whose host we look for: none in a certificate needs more. */
const uriLengthMax = 8192

// An underscore is no host name, but names with one are asked for, and refusing to compare them
// protects nobody.
const labelPattern = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** ASCII only: the locale's own idea of a lower-case letter has no place here. */
export function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/**
 * A fully qualified host name in lower case, or undefined. A name whose last label is a number is
 * an address, not a name.
 */
export function dnsName(text: string): string | undefined {
  if (text.length === 0 || text.length > dnsNameLengthMax) return undefined
  const lower = asciiLower(text)
  const labels = lower.split('.')
  if (!labels.every((label) => labelPattern.test(label))) return undefined
  const last = labels.at(-1) ?? ''
  return /^(?:[0-9]+|0x[0-9a-f]*)$/.test(last) ? undefined : lower
}

/**
 * dNSName of a certificate: a host name, or `*.` and a host name of two labels at least (RFC 9525
 * §6.3).
 */
export interface PresentedDnsName {
  readonly wildcard: boolean
  /** Without the `*.`. */
  readonly host: string
}

export function presentedDnsName(text: string): PresentedDnsName | undefined {
  const wildcard = text.startsWith('*.')
  const host = dnsName(wildcard ? text.slice(2) : text)
  if (host === undefined) return undefined
  // A wildcard right under a top-level domain would speak for strangers.
  if (wildcard && !host.includes('.')) return undefined
  return { wildcard, host }
}

export interface Mailbox {
  /** As written: only the mail host knows whether case counts (RFC 5321 §2.4). */
  readonly local: string
  readonly host: string
}

const atomPattern = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/

/** `local@host`. Quoted local parts are not understood, and therefore never match. */
export function mailbox(text: string): Mailbox | undefined {
  if (text.length > mailboxLengthMax) return undefined
  const at = text.indexOf('@')
  const local = text.slice(0, Math.max(at, 0))
  const host = dnsName(text.slice(at + 1))
  if (at < 1 || host === undefined || !atomPattern.test(local)) return undefined
  return { local, host }
}

/**
 * The host of a URI when it is a DNS name; undefined for an address, no authority, or a URI that we
 * cannot read.
 */
export function uriHost(text: string): string | undefined {
  if (text.length > uriLengthMax) return undefined
  const match = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(text)
  if (match === null) return undefined
  const authority = match[1] ?? ''
  const hostAndPort = authority.slice(authority.lastIndexOf('@') + 1)
  const host = hostAndPort.replace(/:[0-9]*$/, '')
  return dnsName(host.endsWith('.') ? host.slice(0, -1) : host)
}

/**
 * Four or sixteen octets of an address written as text; undefined when it is none. No zone, no
 * leading zeros in IPv4.
 */
export function ipAddress(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined
  return text.includes(':') ? ipv6(text) : ipv4(text)
}

function ipv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const octets = new Uint8Array(4)
  for (const [index, part] of parts.entries()) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined
    octets[index] = Number(part)
  }
  return octets
}

function ipv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = ipv6Groups(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? ipv6Groups(halves[1] ?? '', true) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 16 - head.length - tail.length
  // RFC 4291 §2.2: "::" stands for one group of zeros or more.
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined
  const octets = new Uint8Array(16)
  octets.set(head, 0)
  octets.set(tail, 16 - tail.length)
  return octets
}

function ipv6Groups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return []
  const octets: number[] = []
  const groups = text.split(':')
  for (const [index, group] of groups.entries()) {
    if (group.includes('.')) {
      const embedded = ipv4(group)
      if (!mayEndInIpv4 || index !== groups.length - 1 || embedded === undefined) return undefined
      octets.push(...embedded)
    } else {
      if (!/^[0-9A-Fa-f]{1,4}$/.test(group)) return undefined
      const value = Number.parseInt(group, 16)
      octets.push(value >> 8, value & 0xff)
    }
  }
  return octets.length <= 16 ? octets : undefined
}
