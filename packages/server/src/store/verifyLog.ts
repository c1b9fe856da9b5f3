/**
 * Reads the whole audit log and proves that it is the one that was written: numbers without a gap,
 * each entry chained to the one before, the newest one equal to the head that the store keeps and,
 * if the auditor wrote one down earlier, containing that head too. A log cut at its end and its
 * head set back together is seen only by such an earlier head.
 */
import { PeerError } from '@countersign/core/errors'
import type { EventRow, Store } from '../ports.ts'
import { type ChainHead, chainHash, chainStart } from './chain.ts'

export type LogErrorCode = 'ERR_LOG_CHANGED' | 'ERR_LOG_MISSING' | 'ERR_LOG_ORDER'

export interface LogVerdict {
  readonly entries: number
  /** Hash of the newest entry: what an auditor writes down. */
  readonly head: string
}

const pageSize = 1_000

/** Throws PeerError<LogErrorCode>: `where` names the entry. */
export async function verifyLog(
  store: Pick<Store, 'scan' | 'eventHead'>,
  known?: ChainHead,
): Promise<LogVerdict> {
  const end = await store.eventHead()
  let head = chainStart
  while (head.seq < end.seq) {
    const page = await store.scan('event', { after: head.seq, limit: pageSize })
    if (page.length === 0) throw missing(head.seq + 1, end.seq)
    for (const row of page) {
      // The log may grow while it is read; what is newer than the head at the beginning is not ours
      // to judge.
      if (row.seq > end.seq) break
      head = next(head, row)
      if (known?.seq === head.seq && known.hash !== head.hash)
        throw changed(head.seq, 'is not the entry that was noted earlier')
    }
    if (head.seq < end.seq && page.at(-1)?.seq !== head.seq) throw missing(head.seq + 1, end.seq)
  }
  if (head.hash !== end.hash) throw changed(end.seq, 'is not the head that the store keeps')
  if (known !== undefined && known.seq > head.seq) throw missing(head.seq + 1, known.seq)
  return { entries: head.seq, head: head.hash }
}

function next(head: ChainHead, row: EventRow): ChainHead {
  const { seq, time, type, subject, actor, data } = row
  if (seq !== head.seq + 1) throw missing(head.seq + 1, seq - 1)
  const hash = chainHash(row.previous, { seq, time, type, subject, actor, data })
  if (hash !== row.hash) throw changed(seq, 'was changed after it was written')
  if (row.previous !== head.hash) throw order(seq)
  return { seq, hash }
}

const hint =
  'Treat the folder as tampered with: keep a copy, compare it with a backup, and ask who could write to it.'

function changed(seq: number, what: string): PeerError<LogErrorCode> {
  return new PeerError(
    'ERR_LOG_CHANGED',
    `entry ${seq} of the log ${what}`,
    { seq },
    { where: `event ${seq}`, hint },
  )
}

function missing(from: number, to: number): PeerError<LogErrorCode> {
  const which = from === to ? `entry ${from} is` : `entries ${from} to ${to} are`
  return new PeerError(
    'ERR_LOG_MISSING',
    `${which} missing from the log`,
    { from, to },
    { where: `event ${from}`, hint },
  )
}

function order(seq: number): PeerError<LogErrorCode> {
  return new PeerError(
    'ERR_LOG_ORDER',
    `entry ${seq} does not follow the entry before it`,
    { seq },
    { where: `event ${seq}`, hint },
  )
}
