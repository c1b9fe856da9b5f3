/**
 * How a CA of the house comes to be: its key, its certificate (RFC 5280 §4.2 for CAs), and the rows
 * that make it known.
 */
import { createHash, randomBytes } from 'node:crypto'
import { hex, noExpiration } from '@countersign/core/codec'
import {
  attributeOf,
  attributeOid,
  type Certificate,
  encodeSubjectKeyId,
  parseCertificate,
  type Role,
} from '@countersign/core/credential'
import { InvariantError } from '@countersign/core/errors'
import type { Clock, Milliseconds, Signer } from '@countersign/core/ports'
import type { AnchorRow, CaRow, CertificateRow, EventDraft, Write } from '../ports.ts'
import { type KeyPlaces, type MadeKey, makeIssuingKey } from './caKeys.ts'
import { keyIdentifier } from './extensions.ts'
import { backdateMs, organizationName, profileTemplate, rootTemplate } from './profiles.ts'

const dayMs = 86_400_000

/**
 * Of the CAs that sign certificates which end. A maker's CA issues IDevIDs, which never expire, so
 * neither does it.
 */
const issuingDays = 20 * 365

export interface House {
  readonly organization: string
  /**
   * Six hex digits that tell one house's CAs from another's: two roots of one name would confuse
   * path building.
   */
  readonly tag: string
}

export interface MadeCa {
  readonly der: Uint8Array
  readonly certificate: Certificate
  readonly keyId: Uint8Array
  readonly signer: Signer
  readonly keyFile: string
}

export async function makeRoot(house: House, key: MadeKey, now: Milliseconds): Promise<MadeCa> {
  const { signer, keyFile } = key
  const name = organizationName(house.organization, `${house.organization} root ${house.tag}`)
  const der = await rootTemplate(name, signer.scheme).sign(
    {
      serial: newSerial(),
      notBefore: now - backdateMs,
      notAfter: noExpiration,
      subject: name,
      spki: signer.spki,
      extensions: [ownKeyIdentifier(signer.spki)],
    },
    signer,
  )
  return { ...decodeCa(der), der, signer, keyFile }
}

export async function makeIssuing(
  options: KeyPlaces & { readonly clock: Clock; readonly crlBase?: string },
  root: Omit<MadeCa, 'der' | 'keyFile'>,
  wanted: { readonly role: Role; readonly name: string; readonly house: House },
): Promise<MadeCa> {
  const { organization, tag } = wanted.house
  const now = options.clock.now()
  const { signer, keyFile } = await makeIssuingKey(options, tag, wanted.name)
  const template = profileTemplate('ca', {
    issuer: root.certificate.subject.der,
    scheme: root.signer.scheme,
    keyId: root.keyId,
    ...(options.crlBase === undefined ? {} : { crlUrl: `${options.crlBase}/root.crl` }),
  })
  const der = await template.sign(
    {
      serial: newSerial(),
      notBefore: now - backdateMs,
      notAfter: wanted.role === 'maker' ? noExpiration : now + issuingDays * dayMs,
      subject: organizationName(organization, `${organization} ${wanted.name} CA ${tag}`),
      spki: signer.spki,
      extensions: [ownKeyIdentifier(signer.spki)],
    },
    root.signer,
  )
  return { ...decodeCa(der), der, signer, keyFile }
}

export function decodeCa(der: Uint8Array): Omit<MadeCa, 'der' | 'signer' | 'keyFile'> {
  const certificate = parseCertificate(der)
  const keyId = certificate.extensions.subjectKeyId
  if (keyId !== undefined) return { certificate, keyId }
  throw new InvariantError('ERR_CA_KEY_ID', 'a CA of the house has no subjectKeyIdentifier')
}

/** What the root's name says of its house. */
export function houseOf(root: Certificate): House {
  const commonName = attributeOf(root.subject, attributeOid.commonName) ?? ''
  return {
    organization: attributeOf(root.subject, attributeOid.organizationName) ?? 'countersign',
    tag: commonName.split(' ').at(-1) ?? '',
  }
}

/** Rows of a CA, of its certificate, and of the anchor that an issuing CA is. */
export function caWrites(
  made: MadeCa,
  role: CaRow['role'],
  name: string,
  now: Milliseconds,
): Write[] {
  const fingerprint = sha256(made.der)
  const ca: CaRow = {
    name,
    role,
    der: made.der,
    fingerprint,
    status: 'active',
    keyFile: made.keyFile,
    crlNumber: 0,
    createdAt: now,
  }
  const writes: Write[] = [
    { kind: 'insert', table: 'ca', row: ca },
    { kind: 'insert', table: 'certificate', row: certificateRow(made, fingerprint, now) },
  ]
  if (role === 'root') return writes
  const anchor: AnchorRow = {
    fingerprint,
    role,
    der: made.der,
    origin: 'house',
    product: null,
    serialPattern: null,
    notAfter: null,
    assuranceCap: 4,
    createdAt: now,
  }
  return [...writes, { kind: 'insert', table: 'anchor', row: anchor }]
}

function certificateRow(made: MadeCa, fingerprint: string, now: Milliseconds): CertificateRow {
  return {
    serial: hex(made.certificate.serial),
    ca: 'root',
    fingerprint,
    x5t: fingerprint.slice(0, 16),
    profile: 'ca',
    device: null,
    application: null,
    spkiHash: sha256(made.certificate.spki.der),
    der: made.der,
    status: 'issued',
    notBefore: made.certificate.notBefore,
    notAfter: made.certificate.notAfter,
    revokedAt: null,
    reason: null,
    overlapUntil: null,
    reservedUntil: now,
    request: 'founding',
    createdAt: now,
  }
}

export function caEvent(
  type: string,
  name: string,
  der: Uint8Array,
  now: Milliseconds,
): EventDraft {
  const data = JSON.stringify({ fingerprint: sha256(der) })
  return { time: now, type, subject: `ca:${name}`, actor: 'operator', data }
}

function ownKeyIdentifier(spki: Uint8Array): Uint8Array {
  return encodeSubjectKeyId(keyIdentifier(spki))
}

/** 16 random octets, positive and minimal by their first bits (RFC 5280 §4.1.2.2). */
function newSerial(): Uint8Array {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
