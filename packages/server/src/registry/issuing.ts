/**
 * The other half of a reservation: the signed certificate arrives, or time runs out and everything
 * that was taken is given back.
 */
import type { CertificateRow, Change, DeviceRow, MessageDraft, Notice, Write } from '../ports.ts'
import {
  auditEvent,
  commit,
  conflictOf,
  deviceMessage,
  type RegistryParts,
  refusal,
  unchanged,
  untilSettled,
} from './context.ts'
import { isLegal, moved, requireEnrollable } from './lifecycle.ts'
import type { Vouchers } from './vouchers.ts'

const x5tDigits = 16
const voidPage = 500

export class Issuing {
  private readonly parts: RegistryParts
  private readonly vouchers: Vouchers

  constructor(parts: RegistryParts, vouchers: Vouchers) {
    this.parts = parts
    this.vouchers = vouchers
  }

  /**
   * Idempotent: when two signed the same reservation, both get the certificate that was stored
   * first.
   */
  issued(serial: string, der: Uint8Array, fingerprint: string): Promise<CertificateRow> {
    return untilSettled(async () => {
      const row = await this.parts.store.get('certificate', serial)
      if (row === undefined || row.status === 'void')
        throw refusal('ERR_RESERVATION_VOID', `reservation ${serial} has expired`, { serial })
      if (row.status === 'revoked')
        throw refusal('ERR_CERT_REVOKED', `certificate ${serial} is revoked`, { serial })
      if (row.status !== 'reserved') return row
      return this.store(row, der, fingerprint)
    })
  }

  private async store(
    row: CertificateRow,
    der: Uint8Array,
    fingerprint: string,
  ): Promise<CertificateRow> {
    const { serial, profile, ca, notAfter } = row
    const device =
      row.device === null ? undefined : await this.parts.store.get('device', row.device)
    const worthy = device && (await this.vouchers.device(device))
    const step = worthy && this.step(worthy, row)
    const basis = await this.basisOf(row)
    if (basis?.status === 'revoked')
      throw refusal('ERR_CERT_REVOKED', `certificate ${basis.serial} is revoked`, { serial })
    const set = {
      status: 'issued',
      fingerprint,
      x5t: fingerprint.slice(0, x5tDigits),
      der,
    } as const
    const data = { serial, profile, ca, fingerprint, notAfter }
    const notices: Notice[] = [{ kind: 'certificate', serial, device: row.device }]
    if (device !== undefined) notices.push({ kind: 'device', id: device.id })
    await commit(
      this.parts,
      {
        conditions: [
          { kind: 'equals', table: 'certificate', key: serial, where: { status: 'reserved' } },
          ...(basis === undefined ? [] : [unchanged(basis)]),
          ...(step?.conditions ?? []),
        ],
        writes: [
          { kind: 'update', table: 'certificate', key: serial, set },
          ...(step?.writes ?? []),
        ],
        events: [
          auditEvent(this.parts, 'certificate.issued', row.device ?? serial, 'system', data),
        ],
        messages: step?.messages ?? [],
      },
      notices,
    )
    return { ...row, ...set }
  }

  /** The certificate that asked for this one: revoked meanwhile, it gets nothing more. */
  private async basisOf({ request }: CertificateRow): Promise<CertificateRow | undefined> {
    const [, kind, name] = askedBy.exec(request) ?? []
    if (kind === undefined || name === undefined) return undefined
    if (kind === 'renew') return this.parts.store.get('certificate', name)
    const [row] = await this.parts.store.find('certificate', 'fingerprint', name, { limit: 1 })
    return row
  }

  /**
   * What a new certificate does to its device. The version counts also when the state stays: a
   * revocation that has read it before must notice.
   */
  private step(
    device: DeviceRow,
    row: CertificateRow,
  ): { conditions: NonNullable<Change['conditions']>; writes: Write[]; messages: MessageDraft[] } {
    requireEnrollable(device)
    const move = row.profile === 'idevid' ? 'personalize' : 'enroll'
    const moves = isLegal(device.state, move)
    const after = moves
      ? moved(device, move, 'authority', null)
      : { ...device, version: device.version + 1 }
    const { state, reason, version } = after
    return {
      conditions: [
        { kind: 'equals', table: 'device', key: device.id, where: { version: device.version } },
      ],
      writes: [
        { kind: 'update', table: 'device', key: device.id, set: { state, reason, version } },
      ],
      messages:
        moves && move === 'enroll'
          ? [deviceMessage(this.parts, 'countersign.device.enrolled', after)]
          : [],
    }
  }

  /**
   * Reservations whose time ran out become void; what they took is free again, the token is given
   * its use back.
   */
  async voidExpired(): Promise<number> {
    const now = this.parts.clock.now()
    let voided = 0
    let after: string | undefined
    for (;;) {
      const page = await this.parts.store.find('certificate', 'status', 'reserved', {
        limit: voidPage,
        ...(after === undefined ? {} : { after }),
      })
      for (const row of page) {
        if (row.reservedUntil <= now && (await this.void(row))) voided++
      }
      after = page.at(-1)?.serial
      if (after === undefined || page.length < voidPage) return voided
    }
  }

  /** False when its certificate arrived, or it was taken over, in the meantime. */
  private async void(row: CertificateRow): Promise<boolean> {
    const device =
      row.device === null ? undefined : await this.parts.store.get('device', row.device)
    const { serial, reservedUntil } = row
    const conditions: NonNullable<Change['conditions']>[number][] = [
      {
        kind: 'equals',
        table: 'certificate',
        key: serial,
        where: { status: 'reserved', reservedUntil },
      },
    ]
    const writes: Write[] = [
      { kind: 'update', table: 'certificate', key: serial, set: { status: 'void' } },
    ]
    const notices: Notice[] = []
    // A device that never got a certificate was never more than a reservation.
    if (device?.state === 'manufactured') {
      const { id, version } = device
      conditions.push({ kind: 'equals', table: 'device', key: id, where: { version } })
      writes.push({ kind: 'delete', table: 'device', key: id })
      writes.push({ kind: 'delete', table: 'key', key: row.spkiHash })
      for (const element of await this.parts.store.find('element', 'device', id))
        writes.push({ kind: 'delete', table: 'element', key: element.claim })
      writes.push(...refund(row.request))
      notices.push({ kind: 'device', id })
    }
    const events = [
      auditEvent(this.parts, 'certificate.void', row.device ?? serial, 'system', { serial }),
    ]
    try {
      await commit(this.parts, { conditions, writes, events }, notices)
      return true
    } catch (error) {
      if (conflictOf(error) === undefined) throw error
      return false
    }
  }
}

const askedBy = /^(renew|maker):([0-9a-f]+)$/
const tokenRequest = /^token:([0-9a-f]{16})$/

function refund(request: string): Write[] {
  const id = tokenRequest.exec(request)?.[1]
  if (id === undefined) return []
  return [{ kind: 'add', table: 'token', key: id, column: 'used', by: -1 }]
}
