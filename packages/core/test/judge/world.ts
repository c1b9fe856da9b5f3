/**
 * Small authorities for the tests of the judge: any certificate, right or wrong, and what OpenSSL
 * thinks of it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hex, pem } from '@countersign/core/codec'
import {
  attributeOid,
  type Certificate,
  type CertificateList,
  createCertificate,
  createCertificateList,
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeCrlNumber,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodeName,
  encodeNameConstraints,
  encodeSubjectAltName,
  encodeSubjectKeyId,
  type GeneralName,
  type KeyUsageBit,
  type Oid,
  type PathRequest,
  parseCertificate,
  parseCertificateList,
  purposes,
  validatePath,
} from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { Crypto, Signer } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'

export const day = 86_400_000
/** Every test's time, unless it is about time. */
export const now: number = Date.UTC(2026, 10, 23, 12)

export function newSigner(curve: 'P-256' | 'P-384' | 'Ed25519' = 'P-256'): Signer {
  return softwareSigner(
    curve === 'Ed25519'
      ? generateKeyPairSync('ed25519').privateKey
      : generateKeyPairSync('ec', { namedCurve: curve }).privateKey,
  )
}

/**
 * What to issue. `undefined` means the usual of a CA or a leaf; an empty list leaves the extension
 * out.
 */
export interface Shape {
  readonly name?: string
  readonly deviceSerial?: string
  readonly ca?: boolean
  readonly pathLen?: number
  readonly keyUsage?: readonly KeyUsageBit[]
  readonly extKeyUsage?: readonly Oid[]
  readonly altNames?: readonly GeneralName[]
  readonly permitted?: readonly GeneralName[]
  readonly excluded?: readonly GeneralName[]
  readonly notBefore?: number
  readonly notAfter?: number
  readonly serial?: Uint8Array
  readonly signer?: Signer
  /** The issuer's name, when it is not written as the issuer writes it. */
  readonly issuer?: Uint8Array
  /** The SPKI, when it is not the signer's. */
  readonly spki?: Uint8Array
  readonly without?: readonly ('name' | 'ski' | 'aki' | 'basicConstraints')[]
  /** Whole extensions beside the usual ones. */
  readonly extra?: readonly Uint8Array[]
}

export interface Entity {
  readonly certificate: Certificate
  readonly signer: Signer
  issue(shape: Shape): Promise<Entity>
  crl(shape?: CrlShape): Promise<CertificateList>
}

export interface CrlShape {
  readonly revoked?: readonly { readonly serial: Uint8Array; readonly reason?: number }[]
  readonly thisUpdate?: number
  readonly nextUpdate?: number
  readonly signer?: Signer
  readonly issuer?: Uint8Array
  readonly extensions?: readonly Uint8Array[]
}

let serials = 1000

export async function root(shape: Shape = {}): Promise<Entity> {
  return make({ ca: true, name: 'Test Root', ...shape }, undefined)
}

async function make(shape: Shape, issuer: Entity | undefined): Promise<Entity> {
  const signer = shape.signer ?? newSigner()
  const spki = shape.spki ?? signer.spki
  const subject = subjectOf(shape)
  const der = await createCertificate(
    {
      serial: shape.serial ?? serialOf(serials++),
      issuer: shape.issuer ?? issuer?.certificate.subject.der ?? subject,
      subject,
      notBefore: shape.notBefore ?? now - 10 * day,
      notAfter: shape.notAfter ?? now + 10 * day,
      spki,
      extensions: extensionsOf(shape, spki, issuer?.certificate.spki.der ?? spki),
    },
    issuer?.signer ?? signer,
  )
  return entity(parseCertificate(der), signer)
}

function entity(certificate: Certificate, signer: Signer): Entity {
  const self: Entity = {
    certificate,
    signer,
    issue: (shape) => make(shape, self),
    crl: async (shape = {}) =>
      parseCertificateList(
        await createCertificateList(
          {
            issuer: shape.issuer ?? certificate.subject.der,
            thisUpdate: shape.thisUpdate ?? now - day,
            nextUpdate: shape.nextUpdate ?? now + day,
            entries: (shape.revoked ?? []).map(({ serial, reason = 0 }) => ({
              serial,
              revokedAt: now - day,
              reason,
            })),
            extensions: shape.extensions ?? [
              encodeAuthorityKeyId(keyId(certificate.spki.der)),
              encodeCrlNumber(1),
            ],
          },
          shape.signer ?? signer,
        ),
      ),
  }
  return self
}

function subjectOf({ name, deviceSerial, without }: Shape): Uint8Array {
  return encodeName([
    ...(name === undefined || without?.includes('name')
      ? []
      : [{ type: attributeOid.commonName, value: name }]),
    ...(deviceSerial === undefined
      ? []
      : [{ type: attributeOid.serialNumber, value: deviceSerial }]),
  ])
}

function extensionsOf(shape: Shape, spki: Uint8Array, issuerSpki: Uint8Array): Uint8Array[] {
  const { ca = false, without = [], permitted = [], excluded = [] } = shape
  const usages = shape.keyUsage ?? (ca ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'])
  const stated = shape.extKeyUsage ?? (ca ? [] : [purposes.clientAuth, purposes.serverAuth])
  const names = shape.altNames ?? []
  const basic = !without.includes('basicConstraints') && (ca || shape.pathLen !== undefined)
  return [
    ...(basic ? [encodeBasicConstraints(ca, shape.pathLen)] : []),
    ...(usages.length > 0 ? [encodeKeyUsage(usages)] : []),
    ...(stated.length > 0 ? [encodeExtKeyUsage(stated)] : []),
    ...(names.length > 0 ? [encodeSubjectAltName(names, shape.name === undefined)] : []),
    ...(permitted.length + excluded.length > 0 ? [encodeNameConstraints(permitted, excluded)] : []),
    ...(without.includes('ski') ? [] : [encodeSubjectKeyId(keyId(spki))]),
    ...(without.includes('aki') ? [] : [encodeAuthorityKeyId(keyId(issuerSpki))]),
    ...(shape.extra ?? []),
  ]
}

export function keyId(spki: Uint8Array): Uint8Array {
  return nodeCrypto.hash('sha256', spki).subarray(0, 20)
}

export function serialOf(value: number): Uint8Array {
  return Uint8Array.of(0x40, value >> 16, value >> 8, value)
}

export interface Chain extends Partial<PathRequest> {
  readonly leaf: Certificate
  readonly anchors: readonly Certificate[]
}

export function requestOf(chain: Chain): PathRequest {
  return { intermediates: [], crls: [], at: now, ...chain }
}

/** The verdict of the judge: `ok`, or the code and the place of the refusal. */
export function verdict(chain: Chain, crypto: Crypto = nodeCrypto): string {
  try {
    validatePath(requestOf(chain), crypto)
    return 'ok'
  } catch (error) {
    assert.ok(error instanceof PeerError, String(error))
    assert.ok(
      error.where !== undefined && error.hint !== undefined,
      `${error.code}: ${error.message}`,
    )
    return `${error.code} ${error.where}`
  }
}

/** Counts what is expensive. */
export function countingCrypto(): Crypto & { readonly count: { verify: number; import: number } } {
  const count = { verify: 0, import: 0 }
  return {
    count,
    hash: (name, data) => nodeCrypto.hash(name, data),
    verify: (...call) => {
      count.verify++
      return nodeCrypto.verify(...call)
    },
    importPublicKey: (...call) => {
      count.import++
      return nodeCrypto.importPublicKey(...call)
    },
  }
}

/** `openssl verify -x509_strict` on the same chain: true when it is good. */
export function opensslAccepts(folder: string, chain: Chain): boolean {
  const { leaf, anchors, intermediates, crls, at, extKeyUsage, name } = requestOf(chain)
  const write = (file: string, label: string, values: readonly { der: Uint8Array }[]): string => {
    const path = join(folder, `${file}.pem`)
    writeFileSync(path, values.map(({ der }) => pem(label, der)).join(''))
    return path
  }
  const given = ['verify', '-x509_strict', '-attime', String(Math.floor(at / 1000))]
  given.push('-CAfile', write('anchors', 'CERTIFICATE', anchors))
  // OpenSSL takes an empty file for a broken one.
  if (intermediates.length > 0) {
    given.push('-untrusted', write('bag', 'CERTIFICATE', intermediates))
  }
  if (extKeyUsage !== undefined) {
    given.push('-purpose', opensslPurpose.get(extKeyUsage.oid) ?? 'any')
  }
  if (name !== undefined) given.push(opensslNameFlag[name.kind], name.value)
  if (crls.length > 0) given.push('-crl_check', '-CRLfile', write('crls', 'X509 CRL', crls))
  const result = spawnSync('openssl', [...given, write('leaf', 'CERTIFICATE', [leaf])])
  assert.equal(result.error, undefined)
  return result.status === 0
}

const opensslPurpose: ReadonlyMap<Oid, string> = new Map([
  [purposes.serverAuth, 'sslserver'],
  [purposes.clientAuth, 'sslclient'],
])
const opensslNameFlag = { DNS: '-verify_hostname', IP: '-verify_ip', email: '-verify_email' }

export function fingerprint(certificate: Certificate): string {
  return hex(nodeCrypto.hash('sha256', certificate.der))
}
