/**
 * An operator's moves: suspend, resume, revoke, retire a device, revoke one certificate. Each is
 * one Change with its audit event and its message to the applications, then notices: live sessions
 * end before the command answers.
 */
import type { RevocationReason } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type {
  CertificateRow,
  Condition,
  DeviceRow,
  Notice,
  RegistryErrorCode,
  Write,
} from '../ports.ts'
import {
  auditEvent,
  commit,
  deviceMessage,
  misuse,
  type RegistryParts,
  unchanged,
  untilSettled,
} from './context.ts'
import { lifecycle, type Move, moved } from './lifecycle.ts'
import type { Vouchers } from './vouchers.ts'

/** A device has a few certificates, or something is wrong with it. */
const certificatesPage = 1_000
/** More CAs than a house makes in centuries of rollovers. */
const casMax = 1_000

export class Moves {
  private readonly parts: RegistryParts
  private readonly vouchers: Vouchers

  constructor(parts: RegistryParts, vouchers: Vouchers) {
    this.parts = parts
    this.vouchers = vouchers
  }

  suspend(id: string, reason: string): Promise<DeviceRow> {
    return this.move(id, 'suspend', reason)
  }

  resume(id: string): Promise<DeviceRow> {
    return this.move(id, 'resume', null)
  }

  revoke(id: string, reason: RevocationReason): Promise<DeviceRow> {
    return this.move(id, 'revoke', reason, reason)
  }

  retire(id: string): Promise<DeviceRow> {
    return this.move(id, 'retire', null, 'cessationOfOperation')
  }

  /** One certificate; its device lives on with its others. Idempotent. */
  revokeCertificate(serial: string, reason: RevocationReason): Promise<CertificateRow> {
    return untilSettled(async () => {
      const row = await this.parts.store.get('certificate', serial)
      if (row === undefined || row.status === 'void')
        throw noCertificate(`there is no certificate ${serial}`, serial)
      if (row.status === 'revoked') return row
      const revokedAt = this.parts.clock.now()
      const { status, device } = row
      const set = { status: 'revoked', revokedAt, reason } as const
      const ended = row.profile === 'ca' ? await this.endOfCa(row) : undefined
      await commit(
        this.parts,
        {
          conditions: [
            { kind: 'equals', table: 'certificate', key: serial, where: { status } },
            ...(ended?.conditions ?? []),
          ],
          writes: [
            { kind: 'update', table: 'certificate', key: serial, set },
            ...(ended?.writes ?? []),
          ],
          events: [
            auditEvent(this.parts, 'certificate.revoked', device ?? serial, 'operator', {
              serial,
              reason,
            }),
          ],
        },
        [{ kind: 'certificate', serial, device }, ...(ended?.notices ?? [])],
      )
      return { ...row, ...set }
    })
  }

  /**
   * An issuing CA is its role's anchor: revoked, it is none any more. One that signs must be
   * replaced first.
   */
  private async endOfCa({
    fingerprint,
    serial,
  }: CertificateRow): Promise<{ conditions: Condition[]; writes: Write[]; notices: Notice[] }> {
    const cas = await this.parts.store.scan('ca', { limit: casMax })
    const ca = cas.find((one) => one.fingerprint === fingerprint)
    if (ca === undefined || fingerprint === null)
      throw noCertificate(`there is no CA with certificate ${serial}`, serial)
    if (ca.status === 'active')
      throw misuse('ERR_CA_ACTIVE', `the CA ${ca.name} is in use and cannot be revoked`, serial)
    return {
      conditions: [{ kind: 'equals', table: 'ca', key: ca.name, where: { status: 'retired' } }],
      writes: [{ kind: 'delete', table: 'anchor', key: fingerprint }],
      notices: [{ kind: 'anchors' }],
    }
  }

  private move(
    id: string,
    move: Move,
    reason: string | null,
    revocation: RevocationReason = 'unspecified',
  ): Promise<DeviceRow> {
    return untilSettled(async () => {
      const device = await this.parts.store.get('device', id)
      if (device === undefined) throw misuse('ERR_DEVICE_UNKNOWN', `there is no device ${id}`, id)
      const after = await this.vouchers.device(moved(device, move, 'operator', reason))
      const ended = lifecycle[move].certificates === 'revoke' ? await this.liveOf(id) : []
      const { state, resumeState, version } = after
      const event = auditEvent(this.parts, `device.${state}`, id, 'operator', {
        move,
        from: device.state,
        to: state,
        reason,
        certificates: ended.map(({ serial }) => serial),
      })
      const revoked = ended.map(
        ({ serial }): Notice => ({ kind: 'certificate', serial, device: id }),
      )
      await commit(
        this.parts,
        {
          // The version: a certificate issued since we read the list would have raised it.
          conditions: [
            { kind: 'equals', table: 'device', key: id, where: { version: device.version } },
            // A revocation is never changed: one that came first keeps its reason and its time.
            ...ended.map((row) => unchanged(row)),
          ],
          writes: [
            {
              kind: 'update',
              table: 'device',
              key: id,
              set: { state, reason, resumeState, version },
            },
            ...ended.map((row) => this.revocationOf(row, revocation)),
          ],
          events: [event],
          messages: [deviceMessage(this.parts, 'countersign.device.changed', after)],
        },
        [{ kind: 'device', id }, ...revoked],
      )
      return after
    })
  }

  /** All of them, page by page: one that was left out would be on no CRL. */
  private async liveOf(device: string): Promise<CertificateRow[]> {
    const live: CertificateRow[] = []
    let after: string | undefined
    do {
      const rows = await this.parts.store.find('certificate', 'device', device, {
        limit: certificatesPage,
        ...(after === undefined ? {} : { after }),
      })
      live.push(...rows.filter(({ status }) => status !== 'revoked' && status !== 'void'))
      after = rows.length < certificatesPage ? undefined : rows.at(-1)?.serial
    } while (after !== undefined)
    return live
  }

  private revocationOf({ serial }: CertificateRow, reason: RevocationReason): Write {
    const revokedAt = this.parts.clock.now()
    return {
      kind: 'update',
      table: 'certificate',
      key: serial,
      set: { status: 'revoked', revokedAt, reason },
    }
  }
}

/**
 * An operator has mistyped; the remedy of this code is for a device that shows what nobody knows.
 */
function noCertificate(message: string, serial: string): CallerError<RegistryErrorCode> {
  const hint = 'Give the serial number in hex, as "countersign identity show" lists it.'
  return new CallerError('ERR_CERT_UNKNOWN', message, {}, { where: serial, hint })
}
