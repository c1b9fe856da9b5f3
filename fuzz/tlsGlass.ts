/**
 * A crypto provider made of glass: everything has the right shape and nothing is secret, so that
 * mutated bytes get behind the cryptography, where the parsers and the states are. A sealed record is
 * its plaintext with a constant tag; every signature verifies; every MAC is the same.
 */
import { concat, equalBytes } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type {
  AeadName,
  ChannelCrypto,
  ChannelCryptoErrorCode,
  GroupName,
  HashName,
  PublicKey,
  SecretKey,
} from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { contentType } from '../packages/core/src/tls/registry.ts'
import { vector } from '../packages/core/src/tls/wire.ts'

const tagLength = 16
const tag: Uint8Array = new Uint8Array(tagLength).fill(0x7a)
/** What every Finished says. */
export const glassMac: Uint8Array = new Uint8Array(32).fill(0x4d)

const hashLengths: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
}

/** Bytes of a client's and of a server's share. */
const shareLengths: Readonly<Record<GroupName, readonly [client: number, server: number]>> = {
  secp256r1: [65, 65],
  x25519: [32, 32],
  X25519MLKEM768: [1216, 1120],
}

const secret = (length: number): SecretKey => ({ length })

export const glassCrypto: ChannelCrypto = {
  aeads: ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305'],
  groups: ['X25519MLKEM768', 'x25519', 'secp256r1'],
  // A judge knows certificates again by their hash.
  hash: (name, data) => nodeCrypto.hash(name, data),
  hasher: (name) => ({
    update: () => undefined,
    digest: () => new Uint8Array(hashLengths[name]),
  }),
  // TLS sends whole points.
  pointOfX: () => undefined,
  importSecret: (bytes) => secret(bytes.length),
  exportSecret: ({ length }) => new Uint8Array(length),
  hkdfExtract: (hash) => secret(hashLengths[hash]),
  hkdfExpand: (_hash, _key, _info, length) => secret(length),
  hmac: (hash) => glassMac.subarray(0, hashLengths[hash]),
  generateEphemeral: (group) => ({
    group,
    share: new Uint8Array(shareLengths[group][0]).fill(5),
    agree(peerShare) {
      if (peerShare.length === shareLengths[group][1]) return secret(32)
      throw refusal('ERR_KEY_SHARE')
    },
  }),
  importPublicKey: (spki, algorithm): PublicKey => ({ spki, algorithm }),
  verify: () => true,
  seal: (_aead: AeadName, _key, _nonce, _aad, plaintext) => concat(plaintext, tag),
  open(_aead: AeadName, _key, _nonce, _aad, ciphertext) {
    const length = ciphertext.length - tagLength
    if (length >= 0 && equalBytes(ciphertext.subarray(length), tag)) {
      return ciphertext.subarray(0, length)
    }
    throw refusal('ERR_AEAD_OPEN')
  },
}

function refusal(code: ChannelCryptoErrorCode): PeerError<ChannelCryptoErrorCode> {
  return new PeerError(code, 'glass')
}

/** A record as it stands on the wire before keys are there. */
export function plainRecord(type: number, content: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(type, 3, 3), vector(2, content))
}

/** A record that this provider opens; `padding` zeros behind the type. */
export function glassRecord(type: number, content: Uint8Array, padding = 0): Uint8Array {
  const inner = concat(content, Uint8Array.of(type), new Uint8Array(padding))
  return plainRecord(contentType.applicationData, concat(inner, tag))
}
