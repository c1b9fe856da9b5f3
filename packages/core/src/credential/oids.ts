/**
 * Object identifiers of X.509, PKCS#10 and CMS that this room reads or writes. Purposes are in
 * roles.ts.
 */
import type { Oid } from './types.ts'

/** Extensions (RFC 5280 §4.2 and §5.2, RFC 7633, RFC 6960 §4.2.2.2.1). */
export const extensionOid = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  cRLNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  deltaCRLIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  nameConstraints: '2.5.29.30',
  cRLDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extKeyUsage: '2.5.29.37',
  freshestCRL: '2.5.29.46',
  inhibitAnyPolicy: '2.5.29.54',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  subjectInfoAccess: '1.3.6.1.5.5.7.1.11',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
} as const

/** OCSP (RFC 6960 §4.2.1, §4.2.2.2). */
export const ocspOid = {
  basic: '1.3.6.1.5.5.7.48.1.1',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
} as const

/** Stands for every policy (RFC 5280 §4.2.1.4). */
export const anyPolicy: Oid = '2.5.29.32.0'

/** Attributes of names (RFC 5280 Appendix A.1) with the short form that people read. */
export const attributeOid = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  countryName: '2.5.4.6',
  localityName: '2.5.4.7',
  stateOrProvinceName: '2.5.4.8',
  organizationName: '2.5.4.10',
  organizationalUnitName: '2.5.4.11',
  domainComponent: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
} as const

export const attributeShortName: ReadonlyMap<Oid, string> = new Map<Oid, string>([
  [attributeOid.commonName, 'CN'],
  [attributeOid.serialNumber, 'serialNumber'],
  [attributeOid.countryName, 'C'],
  [attributeOid.localityName, 'L'],
  [attributeOid.stateOrProvinceName, 'ST'],
  [attributeOid.organizationName, 'O'],
  [attributeOid.organizationalUnitName, 'OU'],
  [attributeOid.domainComponent, 'DC'],
  [attributeOid.emailAddress, 'emailAddress'],
])

/** otherName types (RFC 4108 §5, RFC 10031). */
export const otherNameOid = {
  hardwareModuleName: '1.3.6.1.5.5.7.8.4',
  macAddress: '1.3.6.1.5.5.7.8.12',
} as const

/** Keys and signatures (RFC 3279, RFC 4055, RFC 5480, RFC 5758, RFC 8410). */
export const algorithmOid = {
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  p521: '1.3.132.0.35',
  x25519: '1.3.101.110',
  ed25519: '1.3.101.112',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsaPss: '1.2.840.113549.1.1.10',
  mgf1: '1.2.840.113549.1.1.8',
  ecdsaWithSha1: '1.2.840.10045.4.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  sha1WithRsa: '1.2.840.113549.1.1.5',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const

/**
 * PKCS#9 attributes of a request (RFC 2985 §5.4), the one that carries attestation statements
 * (draft-ietf-lamps-csr-attestation: id-aa 59, once id-aa-evidence), and content types of CMS (RFC 5652 §4, §5.1). */
export const pkcsOid = {
  extensionRequest: '1.2.840.113549.1.9.14',
  attestation: '1.2.840.113549.1.9.16.2.59',
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
} as const
