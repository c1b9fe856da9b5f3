/** The extensions that our profiles write, each as a whole Extension TLV (RFC 5280 §4.2). */
import { createHash } from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'
import { der, fromHex } from '@countersign/core/codec'
import { extensionOid, otherNameOid, type Purpose, purposes } from '@countersign/core/credential'

/** Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue }. */
function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [der.boolean(true)] : []
  return der.sequence(der.oid(oid), ...flag, der.octetString(value))
}

const keyUsageBits = { digitalSignature: 0, keyAgreement: 4, keyCertSign: 5, cRLSign: 6 } as const

/** §4.2.1.3, critical. */
export function keyUsage(...names: readonly (keyof typeof keyUsageBits)[]): Uint8Array {
  return extension(
    extensionOid.keyUsage,
    true,
    der.namedBits(names.map((name) => keyUsageBits[name])),
  )
}

/** §4.2.1.12. */
export function extKeyUsage(...names: readonly Purpose[]): Uint8Array {
  return extension(
    extensionOid.extKeyUsage,
    false,
    der.sequence(...names.map((name) => der.oid(purposes[name]))),
  )
}

/** §4.2.1.9, critical: a CA; `pathLen` absent means without limit. */
export function basicConstraintsCa(pathLen?: number): Uint8Array {
  const limit = pathLen === undefined ? [] : [der.integer(pathLen)]
  return extension(extensionOid.basicConstraints, true, der.sequence(der.boolean(true), ...limit))
}

/** §4.2.1.1: [0] keyIdentifier alone. */
export function authorityKeyIdentifier(keyId: Uint8Array): Uint8Array {
  return extension(
    extensionOid.authorityKeyIdentifier,
    false,
    der.sequence(der.implicitPrimitive(0, keyId)),
  )
}

/** §4.2.1.2. */
export function subjectKeyIdentifier(keyId: Uint8Array): Uint8Array {
  return extension(extensionOid.subjectKeyIdentifier, false, der.octetString(keyId))
}

/** RFC 7093 §2 method 1: the left-most 160 bits of SHA-256 of the key's bits. */
export function keyIdentifier(keyBytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(keyBytes).digest().subarray(0, 20)
}

/** §4.2.1.13: one distribution point of one URI. */
export function crlDistributionPoint(url: string): Uint8Array {
  const name = der.ia5String(url, 0x86)
  const point = der.sequence(der.explicit(0, der.explicit(0, name)))
  return extension(extensionOid.cRLDistributionPoints, false, der.sequence(point))
}

/** §5.2.3. */
export function crlNumberExtension(number: number): Uint8Array {
  return extension(extensionOid.cRLNumber, false, der.integer(number))
}

/** §4.2.1.6 for a server: DNS names and IP addresses. */
export function serverNames(hosts: readonly string[]): Uint8Array {
  return extension(extensionOid.subjectAltName, false, der.sequence(...hosts.map(serverName)))
}

function serverName(host: string): Uint8Array {
  return isIP(host) === 0 ? der.ia5String(host, 0x82) : der.implicitPrimitive(7, addressBytes(host))
}

/** Octets of an IPv4 or IPv6 address that `isIP` took. */
function addressBytes(host: string): Uint8Array {
  if (isIPv4(host)) return Uint8Array.from(host.split('.').map(Number))
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host)
  const text =
    dotted === null
      ? host
      : `${dotted[1]}${hexGroup(dotted[2], dotted[3])}:${hexGroup(dotted[4], dotted[5])}`
  const [head = '', tail] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return fromHex([...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join(''))
}

function hexGroup(high: string | undefined, low: string | undefined): string {
  return (Number(high) * 256 + Number(low)).toString(16)
}

/**
 * §4.2.1.6 for a device: its EUI-64 as MACAddress (draft-ietf-lamps-macaddress-on), and where the profile switches that on the
 * hardwareModuleName (RFC 4108 §5) that IEEE 802.1AR asks for.
 */
export function deviceNames(
  eui64: string,
  module?: { readonly type: string; readonly serial: string },
): Uint8Array {
  const names = [otherName(otherNameOid.macAddress, der.octetString(fromHex(eui64)))]
  if (module !== undefined) {
    const serial = der.octetString(Buffer.from(module.serial))
    names.push(
      otherName(otherNameOid.hardwareModuleName, der.sequence(der.oid(module.type), serial)),
    )
  }
  return extension(extensionOid.subjectAltName, false, der.sequence(...names))
}

function otherName(type: string, value: Uint8Array): Uint8Array {
  return der.element(0xa0, der.oid(type), der.explicit(0, value))
}
