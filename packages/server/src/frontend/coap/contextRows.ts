/**
 * Security contexts as rows: the parameters, sealed once when the context is made, and what changes
 * in columns beside them. The window is written together with what a request caused, so the rows
 * are made in the turn in which the Change is handed to the store, which keeps that order: what is
 * written is never older than what stands there.
 */
import type { EdhocContextParameters } from '@countersign/core/channel'
import { hex } from '@countersign/core/codec'
import {
  type ContextParameters,
  decodeContext,
  deriveContext,
  encodeContext,
  type OscoreCrypto,
  parametersOf,
  type SecurityContext,
  type UsageLimits,
  type UsageSnapshot,
  type WindowState,
} from '@countersign/core/oscore'
import type { CoapContextRow, Sealer, Write } from '../../ports.ts'

const table = 'coapContext'

/** Unsaved: nothing of it may be sent with a number of the server's own before its row is there. */
export function freshContext(crypto: OscoreCrypto, parameters: ContextParameters): SecurityContext {
  return deriveContext(crypto, { ...parameters, senderReserved: 0 })
}

export function insertOf(
  crypto: OscoreCrypto,
  sealer: Sealer,
  parameters: EdhocContextParameters,
  row: Omit<CoapContextRow, 'id' | 'context' | 'state' | 'reason' | 'endedAt'>,
): Extract<Write, { kind: 'insert'; table: typeof table }> {
  const id = hex(parameters.recipientId)
  const state = {
    senderReserved: row.reserved,
    window: { highest: -1, accepted: 0 },
    usage: { sealed: 0, failed: 0 },
  }
  const bytes = encodeContext(crypto, { ...parameters, state })
  const context = sealer.seal(sealName({ ...row, id }), bytes)
  bytes.fill(0)
  return {
    kind: 'insert',
    table,
    row: { ...row, id, context, state: 'live', reason: null, endedAt: null },
  }
}

export interface RowReading {
  /** The life that wrote the window has ended cleanly, or is this one. */
  readonly isTrusted: boolean
  readonly usageLimits: Partial<UsageLimits>
}

export function openRow(
  crypto: OscoreCrypto,
  sealer: Sealer,
  row: CoapContextRow,
  { isTrusted, usageLimits }: RowReading,
): SecurityContext {
  const bytes = sealer.open(sealName(row), row.context)
  const record = decodeContext(crypto, bytes)
  const { highest, accepted, reserved: senderReserved, sealed, failed } = row
  const window: WindowState = isTrusted ? { highest, accepted } : 'lost'
  const state = { senderReserved, window, usage: { sealed, failed } }
  const context = deriveContext(crypto, { ...parametersOf({ ...record, state }), usageLimits })
  // Now that nothing of it is a view of these bytes.
  bytes.fill(0)
  return context
}

/**
 * The seal is of this context, device and certificate: a row that was given another's bytes, or
 * that was made another's, does not open.
 */
function sealName({
  id,
  device,
  fingerprint,
}: Pick<CoapContextRow, 'id' | 'device' | 'fingerprint'>): string {
  return `coap context ${id} ${device} ${fingerprint}`
}

/** Columns of what changes; a lost window is nothing to write down. */
export function windowColumns(
  window: WindowState,
  life: number,
): Pick<CoapContextRow, 'highest' | 'accepted' | 'life'> | undefined {
  return window === 'lost' ? undefined : { ...window, life }
}

/**
 * With the response that follows: it takes the nonce of its request, and nothing is written after
 * it. Without it a context that leaves memory after each message would never grow old.
 */
export function usageWithResponse({ usage }: SecurityContext): UsageSnapshot {
  const { sealed, failed } = usage.snapshot()
  return { sealed: sealed + 1, failed }
}
