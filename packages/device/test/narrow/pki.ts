/** Certificates for the narrow channel: a server CA below a root, leaves of each purpose, a device. */
import {
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import {
  attributeOid,
  createCertificate,
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodeName,
  encodeSubjectKeyId,
  type Purpose,
  purposes,
} from '@countersign/core/credential'
import type { StaticKey } from '@countersign/core/edhoc'
import type { Signer } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { spkiOfPoint } from '@countersign/element/signer'
import { softwareSigner } from '@countersign/element/softwareSigner'

export interface Leaf {
  readonly der: Uint8Array
  readonly key: KeyObject
}

export interface Authority {
  readonly der: Uint8Array
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly anchor: Uint8Array
  issue(subject: string, purpose: Purpose, dates?: Partial<Dates>): Promise<Leaf>
}

interface Dates {
  readonly notBefore: number
  readonly notAfter: number
}

const dates: Dates = { notBefore: Date.UTC(2025, 0, 1), notAfter: Date.UTC(2035, 0, 1) }
let serial = 1

export async function makeAuthority(name: string): Promise<Authority> {
  const root = makeKey()
  const key = makeKey()
  const der = await createCertificate(
    {
      serial: nextSerial(),
      issuer: nameOf('Root'),
      subject: nameOf(name),
      ...dates,
      spki: spkiOf(key),
      extensions: [
        encodeBasicConstraints(true, 0),
        encodeKeyUsage(['keyCertSign', 'cRLSign']),
        ...keyIds(key, root),
      ],
    },
    softwareSigner(root),
  )
  const signer = softwareSigner(key)
  return {
    der,
    anchor: nodeCrypto.hash('sha256', spkiOf(key)),
    async issue(subject, purpose, given = {}) {
      const leafKey = makeKey()
      const usage = purpose === 'serverEdhocDh' ? 'keyAgreement' : 'digitalSignature'
      const parts = {
        serial: nextSerial(),
        issuer: nameOf(name),
        subject: nameOf(subject),
        ...dates,
        ...given,
        spki: spkiOf(leafKey),
        extensions: [
          encodeBasicConstraints(false),
          encodeKeyUsage([usage]),
          encodeExtKeyUsage([purposes[purpose]]),
          ...keyIds(leafKey, key),
        ],
      }
      return { der: await createCertificate(parts, signer), key: leafKey }
    },
  }
}

/** ECDSA as COSE has it. */
export function coseSigner(key: KeyObject): Signer {
  return {
    scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' },
    spki: spkiOf(key),
    sign: async (message) =>
      new Uint8Array(sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' })),
  }
}

/** With OpenSSL, as `EphemeralKey.agree` does it. */
export function staticKey(privateKey: KeyObject): StaticKey {
  return {
    async agree(share) {
      const der = Buffer.from(spkiOfPoint(share.subarray(1)))
      const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
      return nodeCrypto.importSecret(diffieHellman({ privateKey, publicKey }))
    },
  }
}

function keyIds(own: KeyObject, issuer: KeyObject): readonly Uint8Array[] {
  return [encodeSubjectKeyId(keyId(own)), encodeAuthorityKeyId(keyId(issuer))]
}

function keyId(key: KeyObject): Uint8Array {
  return nodeCrypto.hash('sha1', spkiOf(key))
}

function makeKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }))
}

function nameOf(value: string): Uint8Array {
  return encodeName([{ type: attributeOid.commonName, value }])
}

function nextSerial(): Uint8Array {
  return Uint8Array.of(1, serial++)
}
