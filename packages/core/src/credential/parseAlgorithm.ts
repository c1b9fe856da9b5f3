/**
 * AlgorithmIdentifier of signatures and SubjectPublicKeyInfo (RFC 3279, RFC 4055, RFC 5480, RFC
 * 5758, RFC 8410). Unknown algorithms are carried as `undefined`: they never verify anything. Wrong
 * parameters of a known one are an error.
 */
import { compareBytes, DerReader, equalBytes, tag } from '../codec/index.ts'
import type { HashName, KeyAlgorithm, SignatureScheme } from '../ports.ts'
import { algorithmOid } from './oids.ts'
import type { Oid, Spki } from './types.ts'
import { syntaxError, x509Limits } from './x509Error.ts'

export interface SignatureAlgorithm {
  readonly oid: Oid
  readonly scheme: SignatureScheme | undefined
  /** The whole AlgorithmIdentifier. */
  readonly der: Uint8Array
}

const ecdsaHashes: ReadonlyMap<Oid, HashName> = new Map<Oid, HashName>([
  [algorithmOid.ecdsaWithSha1, 'sha1'],
  [algorithmOid.ecdsaWithSha256, 'sha256'],
  [algorithmOid.ecdsaWithSha384, 'sha384'],
  [algorithmOid.ecdsaWithSha512, 'sha512'],
])
const rsaHashes: ReadonlyMap<Oid, HashName> = new Map<Oid, HashName>([
  [algorithmOid.sha1WithRsa, 'sha1'],
  [algorithmOid.sha256WithRsa, 'sha256'],
  [algorithmOid.sha384WithRsa, 'sha384'],
  [algorithmOid.sha512WithRsa, 'sha512'],
])
const hashes: ReadonlyMap<Oid, HashName> = new Map<Oid, HashName>([
  [algorithmOid.sha1, 'sha1'],
  [algorithmOid.sha256, 'sha256'],
  [algorithmOid.sha384, 'sha384'],
  [algorithmOid.sha512, 'sha512'],
])

/** The next element as the AlgorithmIdentifier of a signature. */
export function readSignatureAlgorithm(from: DerReader, field: string): SignatureAlgorithm {
  const identifier = from.sequence(field)
  const der = from.bytes.subarray(from.elementStart, from.contentEnd)
  const oid = identifier.oid('algorithm')
  return { oid, scheme: readScheme(identifier, oid), der }
}

function readScheme(identifier: DerReader, oid: Oid): SignatureScheme | undefined {
  const ecdsa = ecdsaHashes.get(oid)
  if (ecdsa !== undefined) {
    noParameters(identifier)
    return { kind: 'ecdsa', hash: ecdsa, encoding: 'der' }
  }
  if (oid === algorithmOid.ed25519) {
    noParameters(identifier)
    return { kind: 'ed25519' }
  }
  const rsa = rsaHashes.get(oid)
  if (rsa !== undefined) {
    nullOrAbsent(identifier)
    return { kind: 'rsa-pkcs1', hash: rsa }
  }
  if (oid === algorithmOid.rsaPss) return readPss(identifier)
  skipParameters(identifier)
  return undefined
}

/** RFC 5758 §3.2, RFC 8410 §3: the parameters are absent. */
function noParameters(identifier: DerReader): void {
  if (!identifier.done) throw syntaxError(identifier, 'this algorithm takes no parameters')
}

/**
 * RFC 4055 §5: written as NULL, "implementations MUST accept the parameters being absent as well".
 */
function nullOrAbsent(identifier: DerReader): void {
  if (!identifier.done) identifier.null('parameters')
  identifier.end()
}

function skipParameters(identifier: DerReader): void {
  if (!identifier.done) identifier.next('parameters')
  identifier.end()
}

/**
 * RSASSA-PSS-params (RFC 4055 §3.1): each field has a default that DER leaves out. One hash for
 * message and mask, or no scheme.
 */
function readPss(identifier: DerReader): SignatureScheme | undefined {
  const parameters = identifier.sequence('parameters')
  identifier.end()
  const hashField = parameters.explicit(0, 'hashAlgorithm')
  const hash = hashField === undefined ? 'sha1' : readHash(hashField)
  const maskField = parameters.explicit(1, 'maskGenAlgorithm')
  const mask = maskField === undefined ? 'sha1' : readMask(maskField)
  const saltField = parameters.explicit(2, 'saltLength')
  let saltLength = 20
  if (saltField !== undefined) {
    saltLength = saltField.smallInteger('value', 4096)
    saltField.end()
  }
  // §3.1: trailerField 1 is the default, and there is no other.
  parameters.end()
  const defaults = (hashField && hash === 'sha1') || (maskField && mask === 'sha1')
  if (defaults || (saltField && saltLength === 20)) {
    throw syntaxError(parameters, 'a DEFAULT of RSASSA-PSS is written out')
  }
  return hash !== undefined && hash === mask ? { kind: 'rsa-pss', hash, saltLength } : undefined
}

function readHash(inside: DerReader): HashName | undefined {
  const hash = readHashAlgorithm(inside, 'hash')
  inside.end()
  return hash
}

/** The next element as the AlgorithmIdentifier of a hash (RFC 4055 §2.1, RFC 5754 §2). */
export function readHashAlgorithm(from: DerReader, field: string): HashName | undefined {
  const identifier = from.sequence(field)
  const hash = hashes.get(identifier.oid('algorithm'))
  if (hash === undefined) skipParameters(identifier)
  else nullOrAbsent(identifier)
  return hash
}

function readMask(inside: DerReader): HashName | undefined {
  const identifier = inside.sequence('mask')
  inside.end()
  const oid = identifier.oid('algorithm')
  if (oid === algorithmOid.mgf1) return readHash(identifier)
  skipParameters(identifier)
  return undefined
}

/** The next element as a SubjectPublicKeyInfo. */
export function readSpki(from: DerReader, field: string): Spki {
  const info = from.sequence(field)
  const der = from.bytes.subarray(from.elementStart, from.contentEnd)
  const identifier = info.sequence('algorithm')
  const oid = identifier.oid('algorithm')
  const keyBytes = info.bitStringOctets('subjectPublicKey')
  info.end()
  return { der, keyBytes, algorithm: readKeyAlgorithm(identifier, oid, keyBytes) }
}

/** A SubjectPublicKeyInfo on its own. */
export function parseSpki(der: Uint8Array): Spki {
  const whole = new DerReader(der, 'spki', x509Limits.certificateBytesMax)
  const spki = readSpki(whole, 'subjectPublicKeyInfo')
  whole.end()
  return spki
}

function readKeyAlgorithm(
  identifier: DerReader,
  oid: Oid,
  key: Uint8Array,
): KeyAlgorithm | undefined {
  switch (oid) {
    case algorithmOid.ecPublicKey:
      return readEcAlgorithm(identifier, key)
    case algorithmOid.ed25519:
      noParameters(identifier)
      if (key.length !== 32) throw syntaxError(identifier, 'an Ed25519 key has 32 octets')
      return { kind: 'ed25519' }
    case algorithmOid.x25519:
      noParameters(identifier)
      if (key.length !== 32) throw syntaxError(identifier, 'an X25519 key has 32 octets')
      return { kind: 'x25519' }
    case algorithmOid.rsaEncryption:
      // RFC 3279 §2.3.1: NULL, and here nothing permits leaving it out.
      identifier.null('parameters')
      identifier.end()
      return { kind: 'rsa', modulusBits: readRsaBits(key) }
    default:
      skipParameters(identifier)
      return undefined
  }
}

const curves = [
  { oid: algorithmOid.p256, curve: 'P-256', octets: 32 },
  { oid: algorithmOid.p384, curve: 'P-384', octets: 48 },
  { oid: algorithmOid.p521, curve: 'P-521', octets: 66 },
] as const

/**
 * RFC 5480 §2.1.1: the curve by name. The other two choices of ECParameters, a curve given by its
 * numbers and the curve of the issuer, are no algorithms of ours.
 */
function readEcAlgorithm(identifier: DerReader, point: Uint8Array): KeyAlgorithm | undefined {
  const choice = identifier.peek()
  if (choice === tag.sequence || choice === tag.null) {
    if (choice === tag.null) identifier.null('implicitCurve')
    else identifier.next('specifiedCurve')
    identifier.end()
    return undefined
  }
  const oid = identifier.oid('namedCurve')
  identifier.end()
  const known = curves.find((one) => one.oid === oid)
  if (known === undefined) return undefined
  // RFC 5480 §2.2: uncompressed or compressed point; X9.62 forbids the point at infinity as a key.
  const form = point[0]
  const uncompressed = form === 4 && point.length === 1 + 2 * known.octets
  const compressed = (form === 2 || form === 3) && point.length === 1 + known.octets
  if (!uncompressed && !compressed) throw syntaxError(identifier, `not a point of ${known.curve}`)
  return { kind: 'ec', curve: known.curve }
}

/**
 * RSAPublicKey (RFC 8017 §A.1.1): odd positive modulus, odd exponent from 3, smaller than the
 * modulus. Its size is what verifying costs, and FIPS 186-5 §5.1 ends it below 2^256.
 */
function readRsaBits(key: Uint8Array): number {
  const whole = new DerReader(key, 'rsaPublicKey', x509Limits.certificateBytesMax)
  const sequence = whole.sequence('')
  whole.end()
  const modulus = readUnsigned(sequence, 'modulus', x509Limits.rsaBitsMax / 8)
  const exponent = readUnsigned(sequence, 'publicExponent', 32)
  sequence.end()
  const modulusBits = bitLength(modulus)
  const odd = isOdd(modulus) && isOdd(exponent)
  const below = exponent.length < modulus.length || compareBytes(exponent, modulus) < 0
  if (!odd || bitLength(exponent) < 2 || exponent.length > modulus.length || !below) {
    throw syntaxError(sequence, 'not an RSA public key')
  }
  return modulusBits
}

/** Octets of an INTEGER that is not negative, without the one that only carries its sign. */
function readUnsigned(from: DerReader, field: string, octetsMax: number): Uint8Array {
  const octets = from.integer(field, octetsMax + 1)
  const first = octets[0] ?? 0
  if (first >= 0x80) throw syntaxError(from, 'INTEGER is negative', field)
  const unsigned = first === 0 ? octets.subarray(1) : octets
  if (unsigned.length > octetsMax) throw syntaxError(from, 'INTEGER is too large', field)
  return unsigned
}

function bitLength(octets: Uint8Array): number {
  return octets.length === 0 ? 0 : octets.length * 8 - (Math.clz32(octets[0] ?? 0) - 24)
}

function isOdd(octets: Uint8Array): boolean {
  return ((octets.at(-1) ?? 0) & 1) === 1
}

/**
 * `signature` of the signed part, the next element of `tbs`. RFC 5280 §4.1.1.2: it must equal the
 * algorithm outside.
 */
export function expectSameAlgorithm(tbs: DerReader, outer: SignatureAlgorithm): void {
  const { der } = readSignatureAlgorithm(tbs, 'signature')
  if (!equalBytes(der, outer.der)) {
    throw syntaxError(tbs, 'another algorithm than the one outside the signed part', 'signature')
  }
}
