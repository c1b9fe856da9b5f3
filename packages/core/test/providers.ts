/** The crypto providers that core runs on, and private keys that a test vector prescribes in each. */
import { createECDH, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { nobleCrypto } from '@countersign/core/crypto/noble'
import type { ChannelCrypto, EphemeralKey } from '@countersign/core/ports'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { ephemeralFrom } from '../../element/src/nodeGroups.ts'

export interface Provider {
  readonly name: string
  readonly crypto: ChannelCrypto
  /** A key that agrees, whose private half is prescribed, in hex. */
  readonly prescribed: (
    group: 'x25519' | 'secp256r1',
    d: string,
    agreements?: number,
  ) => EphemeralKey
}

export const node: Provider = {
  name: 'node:crypto',
  crypto: nodeCrypto,
  prescribed(group, d, agreements = 1) {
    const privateKey = group === 'x25519' ? x25519Key(d) : p256Key(d)
    return ephemeralFrom(group, { privateKey, publicKey: createPublicKey(privateKey) }, agreements)
  },
}

export const portable: Provider = {
  name: '@noble',
  crypto: nobleCrypto(randomBytes),
  prescribed(group, d, agreements = 1) {
    // FIPS 186-5 §A.2.1: of P-256 the private key is the random number, in the field, plus one.
    const seed =
      group === 'x25519' ? d : (BigInt(`0x${d}`) - 1n).toString(16).padStart(2 * p256SeedBytes, '0')
    const random = { bytes: () => Uint8Array.from(Buffer.from(seed, 'hex')) }
    return nobleCrypto(random).generateEphemeral(group, agreements)
  },
}

export const providers: readonly Provider[] = [node, portable]

const p256SeedBytes = 48

function x25519Key(d: string): KeyObject {
  return pkcs8(`302e020100300506032b656e04220420${d}`)
}

export function pkcs8(der: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(der, 'hex'), format: 'der', type: 'pkcs8' })
}

export function p256Key(d: string): KeyObject {
  const point = p256Point(d)
  const key = {
    kty: 'EC',
    crv: 'P-256',
    d: Buffer.from(d, 'hex').toString('base64url'),
    x: point.toString('base64url', 1, 33),
    y: point.toString('base64url', 33),
  }
  return createPrivateKey({ key, format: 'jwk' })
}

/** Uncompressed. */
export function p256Point(d: string): Buffer {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(Buffer.from(d, 'hex'))
  return ecdh.getPublicKey()
}
