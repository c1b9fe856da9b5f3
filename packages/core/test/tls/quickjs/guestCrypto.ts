/** Core's crypto port inside the engine: every call goes out to the host, with numbers for keys. */
import { PeerError } from '@countersign/core/errors'
import type {
  ChannelCrypto,
  ChannelCryptoErrorCode,
  EphemeralKey,
  PublicKey,
  SecretKey,
} from '@countersign/core/ports'
import type { HostPorts, Row } from './bridge.ts'

export interface RowSecret extends SecretKey {
  readonly row: Row
}

interface RowPublicKey extends PublicKey {
  readonly row: Row
}

/** As the port hands it back: made here, by the functions below. */
function rowOf(handle: SecretKey | PublicKey): Row {
  return (handle as RowSecret | RowPublicKey).row
}

function secret(row: Row, length: number): RowSecret {
  return { row, length }
}

export function guestCrypto(ports: HostPorts): ChannelCrypto {
  return {
    aeads: ['aes-128-gcm'],
    groups: ['secp256r1'],
    hash: (name, data) => ports.hash(name, data),
    hasher(name) {
      const row = ports.hasher(name)
      return {
        update: (data) => ports.update(row, data),
        digest: () => ports.digest(row),
      }
    },
    pointOfX: (x) => ports.pointOfX(x),
    importSecret: (bytes) => secret(ports.importSecret(bytes), bytes.length),
    exportSecret: (key) => ports.exportSecret(rowOf(key)),
    hkdfExtract: (hash, salt, input) =>
      secret(ports.hkdfExtract(hash, rowOf(salt), rowOf(input)), hash === 'sha384' ? 48 : 32),
    hkdfExpand: (hash, key, info, length) =>
      secret(ports.hkdfExpand(hash, rowOf(key), info, length), length),
    hmac: (hash, key, data) => ports.hmac(hash, rowOf(key), data),
    generateEphemeral(group): EphemeralKey {
      const { row, share } = ports.generateEphemeral(group)
      return {
        group,
        share,
        agree(peerShare) {
          return secret(good('ERR_KEY_SHARE', ports.agree(row, peerShare)), 32)
        },
      }
    },
    importPublicKey(spki, algorithm): RowPublicKey {
      return { spki, algorithm, row: good('ERR_KEY_INVALID', ports.importPublicKey(spki)) }
    },
    verify: (key, scheme, data, signature) => ports.verify(rowOf(key), scheme, data, signature),
    seal: (aead, key, nonce, aad, plaintext) => ports.seal(aead, rowOf(key), nonce, aad, plaintext),
    open: (aead, key, nonce, aad, ciphertext) =>
      good('ERR_AEAD_OPEN', ports.open(aead, rowOf(key), nonce, aad, ciphertext)),
  }
}

/** A refusal comes over the bridge as nothing. */
function good<T>(code: ChannelCryptoErrorCode | 'ERR_KEY_INVALID', value: T | undefined): T {
  if (value === undefined) throw new PeerError(code, 'the host refused it')
  return value
}
