/**
 * Key agreement of TLS 1.3 on node:crypto: x25519, secp256r1 (RFC 8446 §4.2.8.2, §7.4.2) and the
 * hybrid X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), each for the client's end. Measured on Node 24:
 * a share leaves as JWK and comes in as PEM, because DER takes Node three times as long both ways;
 * and the secret of P-256 takes a third longer with `createECDH` than with `diffieHellman`, the
 * import included.
 */
import crypto, {
  createPublicKey,
  diffieHellman,
  ECDH,
  generateKeyPairSync,
  type KeyObject,
  type KeyPairKeyObjectResult,
} from 'node:crypto'
import { pem } from '@countersign/core/codec'
import { CallerError, PeerError } from '@countersign/core/errors'
import type {
  ChannelCryptoErrorCode,
  EphemeralKey,
  GroupName,
  SecretKey,
} from '@countersign/core/ports'
import { takeSecret } from './nodeSecrets.ts'

export type NodeGroupErrorCode = 'ERR_GROUP_MISSING' | 'ERR_EPHEMERAL_SPENT'

/** A key pair of one group. Its private half lives in the function alone. */
interface KeyPair {
  readonly share: Uint8Array
  /** Bytes of the server's share, which is not as long as ours in the hybrid. */
  readonly peerLength: number
  /** Throws whatever Node throws when the share is no good one. */
  secretWith(peerShare: Uint8Array): Uint8Array
}

class NodeEphemeralKey implements EphemeralKey {
  readonly group: GroupName
  readonly share: Uint8Array
  #pair: KeyPair | undefined
  #left: number

  constructor(group: GroupName, pair: KeyPair, agreements: number) {
    this.group = group
    this.share = pair.share
    this.#pair = pair
    this.#left = agreements
  }

  agree(peerShare: Uint8Array): SecretKey {
    const pair = this.#pair
    if (pair === undefined) {
      throw new CallerError<NodeGroupErrorCode>(
        'ERR_EPHEMERAL_SPENT',
        'an ephemeral key agrees as often as it was made for',
        { group: this.group },
        { hint: 'Generate a new one for a new handshake.' },
      )
    }
    // Tries that fail count too. With the last one the key is gone.
    this.#left--
    if (this.#left <= 0) this.#pair = undefined
    if (peerShare.length !== pair.peerLength) {
      throw badShare(this.group, `it has ${peerShare.length} bytes and not ${pair.peerLength}`)
    }
    return takeSecret(this.#secret(pair, peerShare))
  }

  #secret(pair: KeyPair, peerShare: Uint8Array): Uint8Array {
    try {
      return pair.secretWith(peerShare)
    } catch (cause) {
      throw badShare(this.group, 'it is no point to agree with', cause)
    }
  }
}

export function generateEphemeral(group: GroupName, agreements = 1): EphemeralKey {
  if (!nodeGroups().includes(group)) {
    throw new CallerError<NodeGroupErrorCode>(
      'ERR_GROUP_MISSING',
      `this Node has no ${group}`,
      { group },
      { hint: 'Choose among the groups that the provider names, or run a newer Node.' },
    )
  }
  return new NodeEphemeralKey(group, generators[group](), agreements)
}

/** The same with a key pair that is there already, as vectors bring it. */
export function ephemeralFrom(
  group: 'x25519' | 'secp256r1',
  keys: KeyPairKeyObjectResult,
  agreements = 1,
): EphemeralKey {
  const pair = group === 'x25519' ? x25519(keys) : secp256r1(keys)
  return new NodeEphemeralKey(group, pair, agreements)
}

const generators: Readonly<Record<GroupName, () => KeyPair>> = {
  X25519MLKEM768: hybrid,
  x25519: () => x25519(generateKeyPairSync('x25519')),
  secp256r1: () => secp256r1(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
}

let known: readonly GroupName[] | undefined

/** The hybrid is there from the Node on that has ML-KEM; asked once, and only when it matters. */
export function nodeGroups(): readonly GroupName[] {
  known ??= hasHybrid() ? ['X25519MLKEM768', 'x25519', 'secp256r1'] : ['x25519', 'secp256r1']
  return known
}

function hasHybrid(): boolean {
  try {
    return typeof crypto.decapsulate === 'function' && hybrid().share.length === hybridShareLength
  } catch {
    return false
  }
}

/** SubjectPublicKeyInfo of X25519 up to its 32 bytes (RFC 8410 §4). */
const x25519Spki: Uint8Array = Buffer.from('302a300506032b656e032100', 'hex')

/** SubjectPublicKeyInfo of P-256 up to a point of 65 bytes (RFC 5480 §2). */
const p256Spki: Uint8Array = Buffer.from(
  '3059301306072a8648ce3d020106082a8648ce3d030107034200',
  'hex',
)

function x25519({ publicKey, privateKey }: KeyPairKeyObjectResult): KeyPair {
  return {
    share: Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'),
    peerLength: 32,
    // OpenSSL refuses a secret of zeros, as RFC 7748 §6.1 asks for.
    secretWith: (peer) => diffieHellman({ privateKey, publicKey: importPoint(x25519Spki, peer) }),
  }
}

function secp256r1({ publicKey, privateKey }: KeyPairKeyObjectResult): KeyPair {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  return {
    share: Buffer.concat([
      Uint8Array.of(uncompressed),
      Buffer.from(x, 'base64url'),
      Buffer.from(y, 'base64url'),
    ]),
    peerLength: 65,
    secretWith(peer) {
      // OpenSSL would also take the hybrid forms 6 and 7 of X9.62.
      if (peer[0] !== uncompressed) throw new Error('the point is not in its uncompressed form')
      return diffieHellman({ privateKey, publicKey: importPoint(p256Spki, peer) })
    },
  }
}

/** RFC 8446 §4.2.8.2: legacy_form of UncompressedPointRepresentation. */
const uncompressed = 4

/** FIPS 203 table 3: the encapsulation key and the ciphertext of ML-KEM-768. */
const kemKeyLength = 1184
const kemCiphertextLength = 1088
const hybridShareLength: number = kemKeyLength + 32

/** draft-ietf-tls-ecdhe-mlkem §4: in shares and secret, ML-KEM comes first. */
function hybrid(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ml-kem-768')
  const classic = x25519(generateKeyPairSync('x25519'))
  return {
    share: Buffer.concat([publicKey.export({ format: 'raw-public' }), classic.share]),
    peerLength: kemCiphertextLength + classic.peerLength,
    secretWith(peer) {
      const second = classic.secretWith(peer.subarray(kemCiphertextLength))
      const first = crypto.decapsulate(privateKey, peer.subarray(0, kemCiphertextLength))
      const both = new Uint8Array(first.length + second.length)
      both.set(first)
      both.set(second, first.length)
      first.fill(0)
      second.fill(0)
      return both
    },
  }
}

/** Undefined: no point of P-256 has this x coordinate. OpenSSL finds the y. */
export function pointOfX(x: Uint8Array): Uint8Array | undefined {
  const compressed = Buffer.concat([evenPoint, x])
  try {
    const point = ECDH.convertKey(compressed, 'prime256v1', undefined, undefined, 'uncompressed')
    return typeof point === 'string' ? undefined : new Uint8Array(point)
  } catch (error) {
    const isRefusal = error instanceof Error && 'code' in error
    if (isRefusal && error.code === 'ERR_CRYPTO_OPERATION_FAILED') return undefined
    throw error
  }
}

/** First byte of the compressed form of a point whose y is even (SEC 1 §2.3.3). */
const evenPoint = Uint8Array.of(2)

/** OpenSSL refuses a point that is not on its curve here. */
function importPoint(prefix: Uint8Array, point: Uint8Array): KeyObject {
  return createPublicKey(pem('PUBLIC KEY', Buffer.concat([prefix, point])))
}

function badShare(
  group: GroupName,
  reason: string,
  cause?: unknown,
): PeerError<ChannelCryptoErrorCode> {
  return new PeerError(
    'ERR_KEY_SHARE',
    `the share of ${group} cannot be used: ${reason}`,
    { group },
    { cause },
  )
}
