/**
 * Rows as documents: what `--json` shows. Times become RFC 3339; secrets and sealed bytes have no
 * place here.
 */
import { createHash } from 'node:crypto'
import { pem } from '@countersign/core/codec'
import { formatName, parseCertificate } from '@countersign/core/credential'
import type { Milliseconds } from '@countersign/core/ports'
import { isInToken, labelInToken } from '../../authority/caKeys.ts'
import type {
  AnchorRow,
  ApplicationRow,
  CaRow,
  CertificateRow,
  DeadLetterRow,
  DeviceRow,
  ProductRow,
  Road,
  TokenRow,
} from '../../ports.ts'
import type { WorthyKey } from '../../registry/registry.ts'
import type {
  AnchorDocument,
  ApplicationDocument,
  CaDocument,
  CertificateDocument,
  DeadLetterDocument,
  DeviceDocument,
  InvitationDocument,
  KeyDocument,
  OwnCertificateDocument,
  ProductDocument,
} from '../contract.ts'
import type { OwnCertificate } from './ownCertificates.ts'

export function rfc3339(time: Milliseconds): string {
  return new Date(time).toISOString()
}

function rfc3339OrNull(time: Milliseconds | null): string | null {
  return time === null ? null : rfc3339(time)
}

export function invitationDocument(row: TokenRow): InvitationDocument {
  const { id, product, serial, count, used } = row
  const created = rfc3339(row.createdAt)
  return { id, product, serial, count, used, created, expires: rfc3339(row.expiresAt) }
}

export function deviceDocument(row: DeviceRow): DeviceDocument {
  const { id, eui64, serial, product, owner, state, assurance, road, reason } = row
  const firstSeen = rfc3339OrNull(row.firstSeen)
  const lastSeen = rfc3339OrNull(row.lastSeen)
  return { id, eui64, serial, product, owner, state, assurance, road, firstSeen, lastSeen, reason }
}

export function certificateDocument(row: CertificateRow): CertificateDocument {
  const { serial, fingerprint, x5t, profile, ca, status, reason } = row
  return {
    serial,
    fingerprint,
    x5t,
    profile,
    ca,
    status,
    notBefore: rfc3339(row.notBefore),
    notAfter: rfc3339(row.notAfter),
    revokedAt: rfc3339OrNull(row.revokedAt),
    reason,
  }
}

export function ownDocument({
  profile,
  state,
  kid,
  told,
  row,
}: OwnCertificate): OwnCertificateDocument {
  const { serial, fingerprint, status } = row
  return {
    profile,
    state,
    kid,
    told,
    serial,
    fingerprint,
    status,
    notBefore: rfc3339(row.notBefore),
    notAfter: rfc3339(row.notAfter),
    pem: row.der === null ? null : certificatePem(row.der),
  }
}

export function keyDocument(row: WorthyKey): KeyDocument {
  const { spkiHash, origin, assurance, elementKind, elementSerial, slot, evidenceFormat } = row
  const verdict: unknown = row.verdict === null ? null : JSON.parse(row.verdict)
  return {
    key: spkiHash,
    origin,
    assurance,
    lowered: row.lowered,
    voucher: row.voucher,
    elementKind,
    elementSerial,
    slot,
    evidenceFormat,
    verifier: row.verifier,
    judged: rfc3339OrNull(row.judgedAt),
    verdict,
  }
}

export function productDocument(row: ProductRow): ProductDocument {
  const { name, createdAt: _createdAt, version: _version, roads, ...policy } = row
  const named: readonly Road[] = JSON.parse(roads)
  return { name, ...policy, roads: named }
}

export function applicationDocument(row: ApplicationRow, deadLetters: number): ApplicationDocument {
  const { id, name, webhook, webhookState, cursor } = row
  return {
    id,
    name,
    webhook,
    webhookState,
    cursor,
    deadLetters,
    createdAt: rfc3339(row.createdAt),
  }
}

export function deadLetterDocument(row: DeadLetterRow): DeadLetterDocument {
  const { seq, attempts, lastError } = row
  const event: unknown = JSON.parse(row.body)
  return { seq, attempts, lastError, createdAt: rfc3339(row.createdAt), event }
}

export function caDocument(row: CaRow, own: readonly OwnCertificate[]): CaDocument {
  const certificate = parseCertificate(row.der)
  return {
    name: row.name,
    role: row.role,
    status: row.status,
    subject: formatName(certificate.subject),
    fingerprint: row.fingerprint,
    anchor: sha256(certificate.spki.der),
    notBefore: rfc3339(certificate.notBefore),
    notAfter: rfc3339(certificate.notAfter),
    crlNumber: row.crlNumber,
    key: isInToken(row) ? 'token' : 'file',
    keyLabel: labelInToken(row) ?? null,
    own: own.filter((one) => one.row.ca === row.name).map(ownDocument),
    pem: certificatePem(row.der),
  }
}

export function anchorDocument(row: AnchorRow): AnchorDocument {
  const certificate = parseCertificate(row.der)
  return {
    fingerprint: row.fingerprint,
    role: row.role,
    origin: row.origin,
    subject: formatName(certificate.subject),
    notAfter: rfc3339(Math.min(row.notAfter ?? certificate.notAfter, certificate.notAfter)),
    product: row.product,
    serialPattern: row.serialPattern,
    assuranceCap: row.assuranceCap,
    pem: certificatePem(row.der),
  }
}

export function certificatePem(der: Uint8Array): string {
  return pem('CERTIFICATE', der)
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
