/**
 * What our profiles put into extensions beyond core's encoders: the names of devices and servers,
 * and how a key is identified.
 */
import { createHash } from 'node:crypto'
import { fromHex } from '@countersign/core/codec'
import {
  dnsName,
  encodeSubjectAltName,
  type GeneralName,
  hardwareModuleName,
  ipAddress,
  macAddressName,
  parseSpki,
} from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'

const euiLength = 8

/** RFC 7093 §2 method 1: the left-most 160 bits of SHA-256 of the key's bits. */
export function keyIdentifier(spki: Uint8Array): Uint8Array {
  return createHash('sha256').update(parseSpki(spki).keyBytes).digest().subarray(0, 20)
}

/**
 * subjectAltName of a device: its EUI-64 as MACAddress (RFC 10031), and where the profile switches
 * that on the hardwareModuleName (RFC 4108 §5) that IEEE 802.1AR asks for.
 */
export function deviceNames(
  eui64: string,
  module?: { readonly type: string; readonly serial: string },
): Uint8Array {
  if (module === undefined) return euiName(eui64)
  const names = [macAddressName(fromHex(eui64))]
  names.push(hardwareModuleName({ type: module.type, serial: Buffer.from(module.serial) }))
  return encodeSubjectAltName(names)
}

/** The same extension for every device but for its last eight octets. */
const euiTemplate: Buffer = Buffer.from(
  encodeSubjectAltName([macAddressName(new Uint8Array(euiLength))]),
)

function euiName(eui64: string): Uint8Array {
  const extension = Buffer.from(euiTemplate)
  extension.write(eui64, extension.length - euiLength, 'hex')
  return extension
}

/** subjectAltName of a server: DNS names and IP addresses, as given to the command. */
export function serverNames(hosts: readonly string[]): Uint8Array {
  return encodeSubjectAltName(hosts.map(serverName))
}

function serverName(host: string): GeneralName {
  const address = ipAddress(host)
  if (address !== undefined) return { kind: 'ip', value: address }
  // No wildcard: it would speak for servers that nobody named.
  const name = dnsName(host)
  if (name !== undefined) return { kind: 'dns', value: name }
  throw new CallerError(
    'ERR_HOST_NAME',
    `${JSON.stringify(host)} is neither a host name nor an IP address`,
    {},
    { hint: 'Give a name like server.example.com, or an address without port.' },
  )
}
