/**
 * The hash chain of the audit log: hash = SHA-256(previous || entry), where `previous` is the
 * 32-byte hash of the entry before (zeros for the first) and `entry` is the canonical JSON of the
 * rest (RFC 8785: members sorted by name, no white space, UTF-8). An auditor needs no more than
 * this sentence and a SHA-256 to check an export.
 */
import { createHash } from 'node:crypto'
import type { EventDraft, EventRow } from '../ports.ts'

export interface ChainHead {
  readonly seq: number
  readonly hash: string
}

export const chainStart: ChainHead = { seq: 0, hash: '0'.repeat(64) }

export function chainEvent(head: ChainHead, draft: EventDraft): EventRow {
  const seq = head.seq + 1
  const { time, type, subject, actor, data } = draft
  const rest = { seq, time, type, subject, actor, data }
  return { ...rest, previous: head.hash, hash: chainHash(head.hash, rest) }
}

export function chainHash(previous: string, entry: EventDraft & { readonly seq: number }): string {
  return createHash('sha256')
    .update(Buffer.from(previous, 'hex'))
    .update(canonical(entry))
    .digest('hex')
}

/**
 * Numbers here are integers and strings are printed by JSON.stringify, which is what RFC 8785
 * §3.2.2 prescribes for both.
 */
function canonical({
  actor,
  data,
  seq,
  subject,
  time,
  type,
}: EventDraft & { seq: number }): string {
  return JSON.stringify({ actor, data, seq, subject, time, type })
}
