/**
 * The crypto ports on node:crypto: hashes and signatures here, what a secured channel needs in the
 * files beside it. All calls are synchronous: a verification is too short to be worth a trip
 * through the thread pool. A public key is imported once and kept as a KeyObject in its handle,
 * because an import costs as much as two signatures. Floors of policy (which hashes, how long an RSA
 * modulus) are the judge's; here a key is only what its algorithm says and sound.
 */
import {
  constants,
  createPublicKey,
  diffieHellman,
  hash as digest,
  generateKeyPairSync,
  type KeyObject,
  randomBytes as nodeRandomBytes,
  verify as nodeVerify,
} from 'node:crypto'
import { pem } from '@countersign/core/codec'
import { CallerError, PeerError } from '@countersign/core/errors'
import type {
  ChannelCrypto,
  HashName,
  KeyAlgorithm,
  PublicKey,
  Random,
  SignatureScheme,
} from '@countersign/core/ports'
import { derOfHalves } from './ecdsaForms.ts'
import { aeadNames, open, seal, sealPieces } from './nodeAead.ts'
import { generateEphemeral, nodeGroups, pointOfX } from './nodeGroups.ts'
import { hasher } from './nodeHasher.ts'
import { exportSecret, hkdfExpand, hkdfExtract, hmac, importSecret } from './nodeSecrets.ts'

export type NodeCryptoErrorCode = 'ERR_KEY_INVALID' | 'ERR_KEY_FOREIGN'

class NodePublicKey implements PublicKey {
  readonly algorithm: KeyAlgorithm
  readonly spki: Uint8Array
  readonly #key: KeyObject

  constructor(spki: Uint8Array, algorithm: KeyAlgorithm, key: KeyObject) {
    this.spki = spki
    this.algorithm = algorithm
    this.#key = key
  }

  verify(scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean {
    switch (scheme.kind) {
      case 'ed25519':
        return nodeVerify(null, data, this.#key, signature)
      case 'ecdsa': {
        if (scheme.encoding === 'der') return nodeVerify(scheme.hash, data, this.#key, signature)
        if (signature.length !== 2 * scalarLength(this.algorithm)) return false
        return nodeVerify(scheme.hash, data, this.#key, derOfHalves(signature))
      }
      case 'rsa-pkcs1': {
        const padding = constants.RSA_PKCS1_PADDING
        return nodeVerify(scheme.hash, data, { key: this.#key, padding }, signature)
      }
      case 'rsa-pss': {
        const padding = constants.RSA_PKCS1_PSS_PADDING
        const saltLength = scheme.saltLength
        return nodeVerify(scheme.hash, data, { key: this.#key, padding, saltLength }, signature)
      }
    }
  }
}

export const nodeCrypto: ChannelCrypto = {
  aeads: aeadNames,
  get groups() {
    return nodeGroups()
  },
  hasher,
  pointOfX,
  importSecret,
  exportSecret,
  hkdfExtract,
  hkdfExpand,
  hmac,
  generateEphemeral,
  seal,
  sealPieces,
  open,

  hash(name: HashName, data: Uint8Array): Uint8Array {
    return digest(name, data, 'buffer')
  },

  importPublicKey(spki: Uint8Array, algorithm: KeyAlgorithm): PublicKey {
    const key = importSpki(spki)
    const flaw = flawOf(key, algorithm, spki)
    if (flaw !== undefined) throw invalidKey(flaw)
    return new NodePublicKey(spki, algorithm, key)
  },

  verify(key, scheme, data, signature): boolean {
    if (!(key instanceof NodePublicKey)) throw foreignKey()
    return fits(scheme, key.algorithm) && key.verify(scheme, data, signature)
  },
}

/**
 * Random bytes of OpenSSL's generator. Small ones come from a pool, because a call costs the same
 * for sixteen bytes as for thousands; what was handed out is wiped from it and never given twice.
 */
export const randomBytes: Random = {
  bytes(length: number): Uint8Array {
    if (length > pooledMax) return nodeRandomBytes(length)
    if (poolUsed + length > pool.length) {
      pool = nodeRandomBytes(poolLength)
      poolUsed = 0
    }
    const bytes = Uint8Array.from(pool.subarray(poolUsed, poolUsed + length))
    pool.fill(0, poolUsed, poolUsed + length)
    poolUsed += length
    return bytes
  },
}

const poolLength = 4096
const pooledMax = 64
let pool: Buffer = Buffer.alloc(0)
let poolUsed = 0

function importSpki(spki: Uint8Array): KeyObject {
  try {
    // OpenSSL refuses a point that is not on its curve here. PEM, though DER is at hand: text is
    // what Node takes without asking itself what it was given, and that costs half the import.
    return createPublicKey(pem('PUBLIC KEY', spki))
  } catch (cause) {
    throw invalidKey('the SubjectPublicKeyInfo holds no usable key', cause)
  }
}

/** Bytes of r and of s. */
function scalarLength(algorithm: KeyAlgorithm): number {
  return algorithm.kind === 'ec' ? { 'P-256': 32, 'P-384': 48, 'P-521': 66 }[algorithm.curve] : NaN
}

const curveNames: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
}

/** A SubjectPublicKeyInfo of P-256 up to the first octet of an uncompressed point (RFC 5480 §2). */
const p256Uncompressed: Uint8Array = Buffer.from(
  '3059301306072a8648ce3d020106082a8648ce3d03010703420004',
  'hex',
)

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, prefix.length), prefix) === 0
}

/** What makes the key other than the caller parsed it, or unsound; undefined when nothing does. */
function flawOf(key: KeyObject, algorithm: KeyAlgorithm, spki: Uint8Array): string | undefined {
  switch (algorithm.kind) {
    case 'ec': {
      // OpenSSL has read these very bytes: where they say the curve, asking it costs as much as a
      // signature and tells nothing.
      if (algorithm.curve === 'P-256' && startsWith(spki, p256Uncompressed)) return undefined
      const curve = curveNames[key.asymmetricKeyDetails?.namedCurve ?? '']
      return curve === algorithm.curve ? undefined : `it is no key of ${algorithm.curve}`
    }
    case 'ed25519':
      if (key.asymmetricKeyType !== 'ed25519') return 'it is no Ed25519 key'
      return isSmallOrder(spki.subarray(-32)) ? 'it is a point of small order' : undefined
    case 'x25519':
      if (key.asymmetricKeyType !== 'x25519') return 'it is no X25519 key'
      return agrees(key) ? undefined : 'it is a point of small order'
    case 'rsa': {
      if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'rsa-pss') {
        return 'it is no RSA key'
      }
      const details = key.asymmetricKeyDetails ?? {}
      if (details.modulusLength !== algorithm.modulusBits) return 'its modulus has another length'
      const exponent = details.publicExponent ?? 0n
      // e = 1 would verify anything; a huge e costs the verifier and buys nothing.
      const sound = exponent >= 3n && exponent % 2n === 1n && exponent < 1n << 64n
      return sound ? undefined : 'its public exponent is out of range'
    }
  }
}

/**
 * The y coordinates of the points of small order, non-canonical encodings included, sign bit left
 * out (RFC 8032 §5.1.7 lets a verifier meet them). A signature under such a key proves nothing.
 */
const smallOrderHex: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
])

function isSmallOrder(point: Uint8Array): boolean {
  const y = Buffer.from(point)
  y.writeUInt8(y.readUInt8(31) & 0x7f, 31)
  return smallOrderHex.has(y.toString('hex'))
}

/** RFC 7748 §6.1: with a key of small order every secret is zero, which OpenSSL refuses. */
function agrees(publicKey: KeyObject): boolean {
  anyX25519Key ??= generateKeyPairSync('x25519').privateKey
  try {
    return diffieHellman({ privateKey: anyX25519Key, publicKey }).length > 0
  } catch {
    return false
  }
}

/** Every private key is a multiple of the cofactor. */
let anyX25519Key: KeyObject | undefined

function fits(scheme: SignatureScheme, algorithm: KeyAlgorithm): boolean {
  switch (scheme.kind) {
    case 'ecdsa':
      return algorithm.kind === 'ec'
    case 'ed25519':
      return algorithm.kind === 'ed25519'
    case 'rsa-pkcs1':
    case 'rsa-pss':
      return algorithm.kind === 'rsa'
  }
}

function invalidKey(reason: string, cause?: unknown): PeerError<NodeCryptoErrorCode> {
  return new PeerError(
    'ERR_KEY_INVALID',
    `a public key cannot be used: ${reason}`,
    {},
    {
      hint: 'Make the key again with a tool that writes RFC 5480 or RFC 8410 keys.',
      cause,
    },
  )
}

function foreignKey(): CallerError<NodeCryptoErrorCode> {
  return new CallerError(
    'ERR_KEY_FOREIGN',
    'a public key cannot be used: it was imported by another provider',
    {},
    { hint: 'Import the key with the provider that is to verify.' },
  )
}
