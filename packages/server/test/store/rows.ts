/** Rows with every column filled, to be varied by tests. */
import type { CertificateRow, DeviceRow, MessageDraft, TokenRow } from '../../src/ports.ts'

export const testTime = Date.UTC(2026, 10, 23)

export function deviceRow(n: number, over: Partial<DeviceRow> = {}): DeviceRow {
  const eui64 = (0x0200_0000_0000_0000n + BigInt(n)).toString(16).padStart(16, '0')
  return {
    id: `urn:dev:mac:${eui64}`,
    eui64,
    serial: `SN-${n}`,
    product: 'default',
    owner: 'house',
    state: 'enrolled',
    assurance: 0,
    road: null,
    firstSeen: null,
    lastSeen: null,
    reason: null,
    resumeState: null,
    createdAt: testTime,
    version: 1,
    voucher: null,
    ...over,
  }
}

export function certificateRow(n: number, over: Partial<CertificateRow> = {}): CertificateRow {
  const digest = n.toString(16).padStart(64, '0')
  return {
    serial: `40${n.toString(16).padStart(30, '0')}`,
    ca: 'owner',
    fingerprint: digest,
    x5t: digest.slice(0, 16),
    profile: 'ldevid',
    device: deviceRow(n).id,
    application: null,
    spkiHash: digest,
    der: Uint8Array.of(0x30, 0x00),
    status: 'issued',
    notBefore: testTime,
    notAfter: testTime + 1_000,
    revokedAt: null,
    reason: null,
    overlapUntil: null,
    reservedUntil: testTime,
    request: 'operator',
    createdAt: testTime,
    ...over,
  }
}

export function tokenRow(over: Partial<TokenRow> = {}): TokenRow {
  return {
    id: '0011223344556677',
    hash: '00112233445566778899aabbccddeeff'.repeat(2),
    product: 'default',
    serial: null,
    count: 3,
    used: 0,
    expiresAt: testTime + 1_000,
    createdAt: testTime,
    ...over,
  }
}

export function messageDraft(source: string, id: string, body = '{}'): MessageDraft {
  return { id, source, type: 'countersign.message', time: testTime, body }
}
