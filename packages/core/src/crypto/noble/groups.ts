/**
 * Key agreement on @noble/curves, in the forms of TLS 1.3: x25519 and secp256r1 (RFC 8446 §4.2.8.2,
 * §7.4.2). The private halves come from the port of randomness.
 */
import { x25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { CallerError, InvariantError, PeerError } from '../../errors.ts'
import type {
  ChannelCryptoErrorCode,
  EphemeralKey,
  GroupName,
  Random,
  SecretKey,
} from '../../ports.ts'
import { takeSecret } from './secrets.ts'

export type NobleGroupErrorCode = 'ERR_GROUP_MISSING' | 'ERR_EPHEMERAL_SPENT' | 'ERR_RANDOM_SHORT'

interface Group {
  readonly name: GroupName
  /** Random bytes that make a private key. */
  readonly seedLength: number
  readonly shareLength: number
  privateKey(seed: Uint8Array): Uint8Array
  share(privateKey: Uint8Array): Uint8Array
  /** Throws what noble throws for a share that is no sound point. */
  secret(privateKey: Uint8Array, peerShare: Uint8Array): Uint8Array
}

const groups: readonly Group[] = [
  {
    name: 'x25519',
    seedLength: 32,
    shareLength: 32,
    privateKey: (seed) => Uint8Array.from(seed),
    share: (key) => x25519.getPublicKey(key),
    // Noble refuses a secret of zeros, as RFC 7748 §6.1 asks for.
    secret: (key, peer) => x25519.getSharedSecret(key, peer),
  },
  {
    name: 'secp256r1',
    // FIPS 186-5 §A.2.1 wants 64 bits more than the order has, so that the remainder shows no bias;
    // noble takes half as many again.
    seedLength: 48,
    shareLength: 65,
    privateKey: (seed) => p256.utils.randomSecretKey(seed),
    share: (key) => p256.getPublicKey(key, false),
    // Noble refuses a point that is not on its curve, and among 65 bytes any form but the
    // uncompressed. RFC 8446 §7.4.2: the secret is x alone.
    secret: (key, peer) => p256.getSharedSecret(key, peer, true).slice(1),
  },
]

export const groupNames: readonly GroupName[] = groups.map(({ name }) => name)

/** `agreements`: how often the key may agree before it is wiped. */
export function generateEphemeral(random: Random, name: GroupName, agreements = 1): EphemeralKey {
  const group = groups.find((one) => one.name === name)
  if (group === undefined) {
    throw new CallerError<NobleGroupErrorCode>(
      'ERR_GROUP_MISSING',
      `this provider has no ${name}`,
      { group: name },
      { hint: 'Choose among the groups that the provider names.' },
    )
  }
  const seed = random.bytes(group.seedLength)
  if (seed.length !== group.seedLength) {
    throw new InvariantError<NobleGroupErrorCode>(
      'ERR_RANDOM_SHORT',
      `the source of randomness gave ${seed.length} bytes and not ${group.seedLength}`,
    )
  }
  const privateKey = group.privateKey(seed)
  seed.fill(0)
  return new NobleEphemeralKey(group, privateKey, agreements)
}

/** The uncompressed point with an even y; undefined: no point of P-256 has this x coordinate. */
export function pointOfX(x: Uint8Array): Uint8Array | undefined {
  const compressed = new Uint8Array(1 + x.length)
  compressed[0] = evenY
  compressed.set(x, 1)
  try {
    return p256.Point.fromBytes(compressed).toBytes(false)
  } catch {
    // Noble has no other way to say it.
    return undefined
  }
}

/** First byte of the compressed form of a point whose y is even (SEC 1 §2.3.3). */
const evenY = 2

class NobleEphemeralKey implements EphemeralKey {
  readonly group: GroupName
  readonly share: Uint8Array
  readonly #group: Group
  readonly #privateKey: Uint8Array
  #left: number

  constructor(group: Group, privateKey: Uint8Array, agreements: number) {
    this.group = group.name
    this.share = group.share(privateKey)
    this.#group = group
    this.#privateKey = privateKey
    this.#left = agreements
  }

  agree(peerShare: Uint8Array): SecretKey {
    if (this.#left <= 0) {
      throw new CallerError<NobleGroupErrorCode>(
        'ERR_EPHEMERAL_SPENT',
        'an ephemeral key agrees as often as it was made for',
        { group: this.group },
        { hint: 'Generate a new one for a new handshake.' },
      )
    }
    // A try counts, also one that fails; the key is gone with the last.
    this.#left--
    try {
      return takeSecret(this.#secret(this.#privateKey, peerShare))
    } finally {
      if (this.#left <= 0) this.#privateKey.fill(0)
    }
  }

  #secret(privateKey: Uint8Array, peerShare: Uint8Array): Uint8Array {
    const { shareLength } = this.#group
    if (peerShare.length !== shareLength) {
      throw badShare(this.group, `it has ${peerShare.length} bytes and not ${shareLength}`)
    }
    try {
      return this.#group.secret(privateKey, peerShare)
    } catch (cause) {
      throw badShare(this.group, 'it is no sound point of the curve', cause)
    }
  }
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
