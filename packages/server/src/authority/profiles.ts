/**
 * The profiles, each a template of the CA that issues it. What a certificate may
 * be used for is constant in its profile: nothing of a request gets into it but the key, and the
 * names that the registry has reserved. Devices follow IEEE 802.1AR and the TLS IoT profile:
 * subject serialNumber, EUI-64 in the subjectAltName, AKI, no SKI in leaves.
 */
import { der } from '@countersign/core/codec'
import {
  attributeOid,
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeCrlDistributionPoint,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodeName,
  purposes,
} from '@countersign/core/credential'
import type { ProfileName } from '../ports.ts'
import { Template, type TemplateParts } from './template.ts'

/**
 * Certificates begin this much before they are made: a peer whose clock is a little behind takes
 * them at once.
 */
export const backdateMs: number = 5 * 60_000

/** RFC 5280 appendix A: ub-common-name and ub-serial-number. */
export const commonNameLengthMax = 64
export const serialNumberLengthMax = 64

export interface IssuerParts extends Omit<TemplateParts, 'extensions'> {
  /** Subject key identifier of the CA. */
  readonly keyId: Uint8Array
  /** Where its CRL can be fetched; no distribution point when absent. */
  readonly crlUrl?: string
}

/** What a leaf of each profile may do, as constant extensions. */
const usages: Readonly<Record<ProfileName, () => readonly Uint8Array[]>> = {
  // 802.1AR: an IDevID is for every use its owner finds, so no extKeyUsage.
  idevid: () => [encodeKeyUsage(['digitalSignature'])],
  ldevid: () => [encodeKeyUsage(['digitalSignature']), encodeExtKeyUsage([purposes.clientAuth])],
  server: () => [encodeKeyUsage(['digitalSignature']), encodeExtKeyUsage([purposes.serverAuth])],
  // RFC 9052 §12: a key that agrees signs nothing, so there are two. Neither speaks TLS.
  'server-edhoc-sign': () => [
    encodeKeyUsage(['digitalSignature']),
    encodeExtKeyUsage([purposes.serverEdhocSign]),
  ],
  'server-edhoc-dh': () => [
    encodeKeyUsage(['keyAgreement']),
    encodeExtKeyUsage([purposes.serverEdhocDh]),
  ],
  operator: () => [
    encodeKeyUsage(['digitalSignature']),
    encodeExtKeyUsage([purposes.operator, purposes.clientAuth]),
  ],
  application: () => [
    encodeKeyUsage(['digitalSignature']),
    encodeExtKeyUsage([purposes.application, purposes.clientAuth]),
  ],
  // An issuing CA: the root signs it, and it signs leaves only.
  ca: () => [encodeBasicConstraints(true, 0), encodeKeyUsage(['keyCertSign', 'cRLSign'])],
}

/**
 * Devices on narrow links keep the server's EDHOC certificates and are sent them by radio: they fetch
 * no CRL, and its address would be a tenth of the certificate.
 */
const withoutCrlUrl: ReadonlySet<ProfileName> = new Set(['server-edhoc-sign', 'server-edhoc-dh'])

export function profileTemplate(profile: ProfileName, issuer: IssuerParts): Template {
  const extensions = [...usages[profile](), encodeAuthorityKeyId(issuer.keyId)]
  if (issuer.crlUrl !== undefined && !withoutCrlUrl.has(profile)) {
    extensions.push(encodeCrlDistributionPoint([issuer.crlUrl]))
  }
  return new Template({ issuer: issuer.issuer, scheme: issuer.scheme, extensions })
}

/** The self-signed root: path length 1 is what the two floors under it need. */
export function rootTemplate(name: Uint8Array, scheme: TemplateParts['scheme']): Template {
  const extensions = [encodeBasicConstraints(true, 1), encodeKeyUsage(['keyCertSign', 'cRLSign'])]
  return new Template({ issuer: name, scheme, extensions })
}

const serialNumberOid: Uint8Array = der.oid(attributeOid.serialNumber)

/** X520SerialNumber, PrintableString: what the device is called by its maker. */
export function deviceSubject(serial: string): Uint8Array {
  return der.sequence(der.setOf(der.sequence(serialNumberOid, der.printableString(serial))))
}

export function commonName(text: string): Uint8Array {
  return encodeName([{ type: attributeOid.commonName, value: text }])
}

export function organizationName(organization: string, text: string): Uint8Array {
  return encodeName([
    { type: attributeOid.organizationName, value: organization },
    { type: attributeOid.commonName, value: text },
  ])
}
