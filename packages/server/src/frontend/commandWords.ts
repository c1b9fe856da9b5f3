/**
 * What a device says of a command by a request, on whichever road: an empty body, that it has it; a
 * body, what came of it; or that it will not do it. The same word again is answered like the first
 * time.
 */
import { type MediaType, payload } from '../payload.ts'
import type { CommandAnswer, CommandRow } from '../ports.ts'
import type { CommandsAtDoor } from './commandReader.ts'

export type WordOutcome =
  | { readonly kind: 'taken' }
  /** There is no such command of this device. */
  | { readonly kind: 'unknown' }
  /** It has ended otherwise. */
  | { readonly kind: 'ended'; readonly state: CommandRow['state'] }

/** Undefined: the device has it and says no more yet. Throws for a body that is not of its type. */
export function wordOf(type: MediaType, body: Buffer, refused: boolean): CommandAnswer | undefined {
  if (body.length === 0 && !refused) return undefined
  // A refusal without a reason has no body, whatever it says of its type.
  if (body.length > 0) payload(type, body)
  return { state: refused ? 'refused' : 'answered', contentType: type.whole, body }
}

export async function takeWord(
  commands: CommandsAtDoor,
  device: string,
  id: string,
  word: CommandAnswer | undefined,
): Promise<WordOutcome> {
  if (word === undefined) await commands.delivered(device, id)
  else if (await commands.answered(device, id, word)) return { kind: 'taken' }
  const row = await commands.show(device, id)
  if (row === undefined) return { kind: 'unknown' }
  const isTaken = word === undefined ? row.state === 'delivered' : isSame(row, word)
  return isTaken ? { kind: 'taken' } : { kind: 'ended', state: row.state }
}

function isSame(row: CommandRow, { state, contentType, body }: CommandAnswer): boolean {
  const result = row.result ?? new Uint8Array()
  return row.state === state && row.resultType === contentType && Buffer.compare(result, body) === 0
}
