/** A step in the life of a command as one Change: the row, the audit log, the applications' event. */
import { createHash } from 'node:crypto'
import type { Milliseconds } from '@countersign/core/ports'
import { cloudEvent, type EventType } from '../cloudEvent.ts'
import { commandDocument } from '../commandDocument.ts'
import type {
  Change,
  CommandRow,
  CommandState,
  DeviceRow,
  EventDraft,
  MessageDraft,
} from '../ports.ts'

/** Holds only while the device's state is the one that was read: a revocation may come between. */
export function queueing(row: CommandRow, { state }: DeviceRow): Change {
  const { id, device, name, data, expiresAt, actor, createdAt } = row
  const event: EventDraft = {
    time: createdAt,
    type: 'command.queued',
    subject: device,
    actor,
    // What was asked for can be proved later without being told here.
    data: JSON.stringify({
      id,
      name,
      expires: new Date(expiresAt).toISOString(),
      dataSha256: createHash('sha256').update(data).digest('hex'),
    }),
  }
  return {
    conditions: [{ kind: 'equals', table: 'device', key: device, where: { state } }],
    writes: [{ kind: 'insert', table: 'command', row }],
    events: [event],
  }
}

/** Holds only while the command is where it was read. */
export function step(before: CommandRow, row: CommandRow, now: Milliseconds): Change {
  const { id, state, waiting, reason, result, resultType, deliveredAt, endedAt } = row
  const set = { state, waiting, reason, result, resultType, deliveredAt, endedAt }
  return {
    conditions: [{ kind: 'equals', table: 'command', key: id, where: { state: before.state } }],
    writes: [{ kind: 'update', table: 'command', key: id, set }],
    events: auditOf(row, now),
    messages: messageOf(row, now),
  }
}

/** Delivery is between the device and its next word: the log has how each command ended. */
function auditOf(row: CommandRow, time: Milliseconds): EventDraft[] {
  const { id, name, device, state, reason, result, resultType } = row
  if (state === 'delivered' || state === 'queued') return []
  const answer = resultType === null ? {} : { resultType, resultBytes: result?.length ?? 0 }
  return [
    {
      time,
      type: `command.${state}`,
      subject: device,
      actor: resultType === null ? 'system' : 'device',
      data: JSON.stringify({ id, name, ...(reason === null ? {} : { reason }), ...answer }),
    },
  ]
}

const eventTypes: Readonly<Record<Exclude<CommandState, 'queued'>, EventType>> = {
  delivered: 'countersign.command.delivered',
  answered: 'countersign.command.answered',
  refused: 'countersign.command.refused',
  expired: 'countersign.command.expired',
}

function messageOf(row: CommandRow, time: Milliseconds): MessageDraft[] {
  const { id, device, state } = row
  if (state === 'queued') return []
  // A command comes to each state once: so does the event.
  const attributes = { id: `${id}-${state}`, source: device, type: eventTypes[state], time }
  const contentType = 'application/json'
  return [cloudEvent(attributes, { kind: 'json', contentType, text: commandDocument(row) })]
}
