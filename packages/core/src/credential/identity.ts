/**
 * The device's own names in an X.509 identity: MACAddress (RFC 10031: EUI-48 or EUI-64) and
 * hardwareModuleName (RFC 4108 §5, which IEEE 802.1AR §8.10.4 asks for), both as otherName in
 * subjectAltName. The serial number of the subject is in parseName.ts.
 */
import { DerReader, der, hex } from '../codec/index.ts'
import { CallerError, PeerError } from '../errors.ts'
import { otherNameOid } from './oids.ts'
import type { Certificate, GeneralName, Oid } from './types.ts'
import type { X509ErrorCode } from './x509Error.ts'

/** A MACAddress otherName of 6 (EUI-48) or 8 octets (EUI-64). */
export function macAddressName(address: Uint8Array): GeneralName {
  if (address.length !== 6 && address.length !== 8) {
    throw new CallerError('ERR_EUI', 'an EUI has 6 or 8 octets', { octets: address.length })
  }
  return { kind: 'other', type: otherNameOid.macAddress, value: der.octetString(address) }
}

/** Every MACAddress in these names, in order; throws PeerError when one is malformed. */
export function macAddressesOf(names: readonly GeneralName[]): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  for (const name of names) {
    if (name.kind !== 'other' || name.type !== otherNameOid.macAddress) continue
    const reader = new DerReader(name.value, 'macAddress')
    const address = reader.octetString('value')
    reader.end()
    if (address.length !== 6 && address.length !== 8) throw malformed('macAddress', 'not an EUI')
    found.push(address)
  }
  return found
}

/**
 * The EUI-64 of a device as 16 lower-case hex digits, or undefined when its certificate names none.
 * Two different ones are an error: a device has one identity, and whoever reads the first only
 * could be told another one than whoever reads the last.
 */
export function euiFromCertificate(certificate: Certificate): string | undefined {
  const addresses = macAddressesOf(certificate.extensions.subjectAltName ?? [])
  const euis = new Set(addresses.filter((address) => address.length === 8).map(hex))
  if (euis.size > 1) throw malformed('certificate.extensions.subjectAltName', 'two EUI-64')
  return [...euis][0]
}

export interface HardwareModuleName {
  /** Type of the module, by its maker. */
  readonly type: Oid
  readonly serial: Uint8Array
}

/** A hardwareModuleName otherName. */
export function hardwareModuleName(module: HardwareModuleName): GeneralName {
  const value = der.sequence(der.oid(module.type), der.octetString(module.serial))
  return { kind: 'other', type: otherNameOid.hardwareModuleName, value }
}

/**
 * The hardwareModuleName in these names, if there is exactly one; throws PeerError when it is
 * malformed.
 */
export function hardwareModuleOf(names: readonly GeneralName[]): HardwareModuleName | undefined {
  const found: HardwareModuleName[] = []
  for (const name of names) {
    if (name.kind !== 'other' || name.type !== otherNameOid.hardwareModuleName) continue
    const reader = new DerReader(name.value, 'hardwareModuleName')
    const module = reader.sequence('')
    reader.end()
    found.push({ type: module.oid('hwType'), serial: module.octetString('hwSerialNum') })
    module.end()
  }
  return found.length === 1 ? found[0] : undefined
}

function malformed(where: string, message: string): PeerError<X509ErrorCode> {
  const hint =
    'Have it issued again with one EUI in its subjectAltName, of 6 or 8 octets (RFC 10031).'
  return new PeerError('ERR_X509_SYNTAX', message, {}, { where, hint })
}
