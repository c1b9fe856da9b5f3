/** What every part of the registry works with, and the words they share. */
import { CallerError, type ErrorDetails, PeerError } from '@countersign/core/errors'
import type { Clock, Crypto, Random } from '@countersign/core/ports'
import { cloudEvent, jsonData } from '../cloudEvent.ts'
import type {
  Applied,
  CertificateRow,
  Change,
  Condition,
  DeviceRow,
  EventDraft,
  MessageDraft,
  Notice,
  Notices,
  RegistryErrorCode,
  Store,
  TableName,
} from '../ports.ts'
import { remedyOf } from './remedies.ts'

export interface RegistryParts {
  readonly store: Store
  readonly notices: Notices
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  /**
   * Hears of writes that nobody waits for (last seen, refusals) and that failed, for example on a
   * full disk.
   */
  readonly failed: (error: unknown) => void
}

/**
 * Rounds of read, decide, write before somebody else's haste is an error. Each lost round means
 * that another one won.
 */
const roundsMax = 20

/** Runs `round` again while what it read has changed under it. */
export async function untilSettled<T>(round: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await round()
    } catch (error) {
      if (n === roundsMax || conflictOf(error) === undefined) throw error
    }
  }
}

export interface ConflictPlace {
  readonly table: TableName
  readonly column: string | undefined
}

/** Where a Change met another's; undefined for any other error. */
export function conflictOf(error: unknown): ConflictPlace | undefined {
  if (!(error instanceof CallerError) || error.code !== 'ERR_CONFLICT') return undefined
  const { table, column } = error.details
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the store names its own tables
  return { table: table as TableName, column: column as string | undefined }
}

/** Commits, then tells. */
export async function commit(
  parts: RegistryParts,
  change: Change,
  notices: readonly Notice[],
): Promise<Applied> {
  const applied = await parts.store.apply(change)
  for (const notice of notices) parts.notices.tell(notice)
  const newest = applied.messageSeqs.at(-1)
  if (newest !== undefined) parts.notices.tell({ kind: 'messages', throughSeq: newest })
  return applied
}

/**
 * What was decided about a certificate holds only while its status is the one that was read:
 * revoking one leaves its device as it is.
 */
export function unchanged({ serial, status }: CertificateRow): Condition {
  return { kind: 'equals', table: 'certificate', key: serial, where: { status } }
}

export function auditEvent(
  parts: RegistryParts,
  type: string,
  subject: string,
  actor: string,
  data: Readonly<Record<string, unknown>>,
): EventDraft {
  return { time: parts.clock.now(), type, subject, actor, data: JSON.stringify(data) }
}

export function randomHex(parts: RegistryParts, bytes: number): string {
  return Buffer.from(parts.random.bytes(bytes)).toString('hex')
}

/** What applications hear of a device's life. */
export function deviceMessage(
  parts: RegistryParts,
  type: 'countersign.device.enrolled' | 'countersign.device.changed',
  device: DeviceRow,
): MessageDraft {
  const { id, eui64, serial, product, state, reason } = device
  return cloudEvent(
    {
      id: randomHex(parts, 16),
      source: id,
      type,
      time: parts.clock.now(),
      assurance: device.assurance,
    },
    jsonData({ id, eui64, serial, product, state, reason }),
  )
}

export function sha256Hex(parts: RegistryParts, bytes: Uint8Array): string {
  return Buffer.from(parts.crypto.hash('sha256', bytes)).toString('hex')
}

/** A peer, or a certificate request of one, is turned away. */
export function refusal(
  code: RegistryErrorCode,
  message: string,
  details: ErrorDetails = {},
  where?: string,
): PeerError<RegistryErrorCode> {
  const hint = remedyOf(code)
  return new PeerError(code, message, details, where === undefined ? { hint } : { where, hint })
}

/** An operator asked for what cannot be. */
export function misuse(
  code: RegistryErrorCode,
  message: string,
  where: string,
): CallerError<RegistryErrorCode> {
  return new CallerError(code, message, {}, { where, hint: remedyOf(code) })
}

export const msPerDay = 86_400_000
