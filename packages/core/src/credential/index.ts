/** The credential room: X.509 values, roles, and the one judge of chains. */

export {
  certsOnlyBytesMax,
  certsOnlyCertificatesMax,
  encodeCertsOnly,
  parseCertsOnly,
} from './certsOnly.ts'
export { dnsName, ipAddress } from './comparableNames.ts'
export * from './encodeAlgorithm.ts'
export * from './encodeCertificate.ts'
export * from './encodeExtensions.ts'
export * from './encodeName.ts'
export * from './identity.ts'
export { Judge, type JudgeOptions } from './judge.ts'
export { matchName, type NameVerdict } from './names.ts'
export { algorithmOid, attributeOid, extensionOid, ocspOid, otherNameOid, pkcsOid } from './oids.ts'
export { parseSpki } from './parseAlgorithm.ts'
export { parseCertificate } from './parseCertificate.ts'
export type * from './ocspTypes.ts'
export { checkStaple, type StapleQuestion } from './ocsp.ts'
export { parseCertificateList } from './parseList.ts'
export { parseOcspResponse } from './parseOcsp.ts'
export { attributeOf, formatName, parseName, printable, serialNumberOf } from './parseName.ts'
export { parseCertificateRequest } from './parseRequest.ts'
export type { ValidPath } from './path.ts'
export { matchesPattern } from './pattern.ts'
export { type Purpose, purposes, type Role, roles, statementOid } from './roles.ts'
export type * from './types.ts'
export { validatePath } from './validatePath.ts'
export type * from './verified.ts'
export { type X509ErrorCode, x509Limits } from './x509Error.ts'
