/**
 * Syntax of the texts in GeneralName (RFC 5280 §4.2.1.6) and in name constraints (§4.2.1.10).
 * Shapes only; matching is the judge's. A wildcard label is let through in a name (RFC 5280 leaves
 * its meaning open, RFC 9525 §6.3 gives it), never in a constraint.
 */

/**
 * "Preferred name syntax" of RFC 1034 §3.5 as changed by RFC 1123 §2.1, with `*` for wildcards. No
 * trailing dot.
 */
export function isDnsName(text: string): boolean {
  return isHost(text, /^(?:[A-Za-z0-9*](?:[A-Za-z0-9*-]*[A-Za-z0-9*])?)$/)
}

/** A host name without wildcard. */
function isHostName(text: string): boolean {
  return isHost(text, /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)$/)
}

function isHost(text: string, label: RegExp): boolean {
  // RFC 1035 §2.3.4: 255 octets on the wire are 253 characters.
  if (text.length === 0 || text.length > 253) return false
  const labels = text.split('.')
  if (!labels.every((one) => one.length <= 63 && label.test(one))) return false
  // RFC 1123 §2.1: the highest label is alphabetic at least in part. All digits is an IPv4 address,
  // or wants to be one.
  return !/^\d+$/.test(labels.at(-1) ?? '')
}

/**
 * Mailbox of RFC 2821 §4.1.2: local part as dot-string or quoted string, domain as host name or
 * address literal.
 */
export function isMailbox(text: string): boolean {
  const at = text.lastIndexOf('@')
  if (at < 1 || text.length > 320) return false
  const local = text.slice(0, at)
  const domain = text.slice(at + 1)
  const dotString = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/
  const quoted = /^"(?:[ !#-[\]-~]|\\[ -~])*"$/
  const literal = /^\[[0-9A-Za-z:.]+\]$/
  return (
    (dotString.test(local) || quoted.test(local)) && (isHostName(domain) || literal.test(domain))
  )
}

/**
 * Absolute URI: scheme and scheme-specific part (RFC 5280 §4.2.1.6), only characters of RFC 3986.
 */
export function isAbsoluteUri(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/.test(text)
}

/**
 * RFC 5280 §4.2.1.10: a DNS name to which labels may be added on the left; empty means every name.
 */
export function isDnsConstraint(text: string): boolean {
  return text === '' || isHostName(text)
}

/** A mailbox, a host, or `.domain`. */
export function isMailConstraint(text: string): boolean {
  return text.includes('@') ? isMailbox(text) : isHostOrDomain(text)
}

/** A host or `.domain`, fully qualified. */
export function isUriConstraint(text: string): boolean {
  return isHostOrDomain(text)
}

function isHostOrDomain(text: string): boolean {
  return isHostName(text.startsWith('.') ? text.slice(1) : text)
}

/** Address and mask of 4 or 16 octets each; the mask has its ones first (CIDR, RFC 4632 §3.1). */
export function isAddressRange(octets: Uint8Array): boolean {
  if (octets.length !== 8 && octets.length !== 32) return false
  let ended = false
  for (const byte of octets.subarray(octets.length / 2)) {
    for (let bit = 7; bit >= 0; bit--) {
      const one = ((byte >> bit) & 1) === 1
      if (one && ended) return false
      if (!one) ended = true
    }
  }
  return true
}
