/** The COSE room (RFC 9052, 9053, 9360): structures, algorithms, headers, messages. */
export {
  type AeadAlgorithm,
  type AlgorithmId,
  aeadAlgorithm,
  aeadNumber,
  coseHash,
  type HashAlgorithm,
  hashAlgorithm,
  hashNumber,
  isKeyFor,
  type MacAlgorithm,
  macAlgorithm,
  type SignatureAlgorithm,
  signatureAlgorithm,
} from './algorithms.ts'
export { encodeByteIdentifier, readByteIdentifier } from './byteIdentifier.ts'
export {
  type CredentialReference,
  credentialHeaders,
  encodeCompactReference,
  encodeCredentialReference,
  isThumbprintOf,
  readCompactReference,
  readCredentialReference,
  referenceOf,
  type Thumbprint,
  thumbprint,
} from './credentialReference.ts'
export {
  type AeadKey,
  type Encrypt0,
  type Encrypt0Context,
  makeEncrypt0,
  openEncrypt0,
  parseEncrypt0,
} from './encrypt0.ts'
export { type CoseErrorCode, coseLimits } from './errors.ts'
export {
  type HeaderEntry,
  type HeaderFields,
  type HeaderLabel,
  type HeaderOptions,
  type Headers,
  headerLabel,
} from './headers.ts'
export {
  type Mac0,
  type Mac0Context,
  type MacKey,
  makeMac0,
  parseMac0,
  verifyMac0,
} from './mac0.ts'
export type { MessageOptions } from './message.ts'
export { makeSign1, parseSign1, type Sign1, type Sign1Context, verifySign1 } from './sign1.ts'
export {
  type EncStructureFields,
  encStructure,
  macStructure,
  noBytes,
  type SigStructureFields,
  sigStructure,
} from './structures.ts'
