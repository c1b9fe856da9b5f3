/**
 * A command as it comes over any road: the JSON text `{"id","name","data","expires"}`, every member
 * there and no other, each within its bound. No `node:*`, no clock: a firmware's host can use it.
 */
import { isNestedTooDeep, jsonMembers, parseRfc3339 } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'

export interface Command {
  /** 32 lower-case hex digits. */
  readonly id: string
  /** One segment of letters, digits and `_ . ~ -`. */
  readonly name: string
  readonly data: unknown
  /** The data as it was written: `data` has lost what a double cannot hold. */
  readonly text: string
  readonly expires: Milliseconds
}

export type CommandErrorCode = 'ERR_COMMAND_FORMAT'

/** Data of 16 KiB, and what stands around it. */
export const commandLengthMax: number = 17_408
/** Of the whole; the server sends data nested at most 32 deep. */
const depthMax = 33
const idPattern = /^[0-9a-f]{32}$/
const namePattern = /^(?!\.{1,2}$)[A-Za-z0-9_.~-]{1,64}$/

/** Throws PeerError<CommandErrorCode>; its details carry the id when that could be read. */
export function parseCommand(text: string): Command {
  if (text.length > commandLengthMax) throw malformed(`is longer than ${commandLengthMax}`)
  if (isNestedTooDeep(text, depthMax)) throw malformed(`is nested deeper than ${depthMax}`)
  const members = jsonMembers(text)
  if (members === undefined) throw malformed('is no JSON object')
  const id = textOf(members.get('id'))
  if (id === undefined || !idPattern.test(id)) throw malformed('has no id')
  const name = textOf(members.get('name'))
  if (name === undefined || !namePattern.test(name)) throw malformed('has no name', id)
  const data = members.get('data')
  if (data === undefined) throw malformed('has no data', id)
  const expires = parseRfc3339(textOf(members.get('expires')) ?? '')
  if (expires === undefined) throw malformed('has no time at which it expires', id)
  if (members.size !== 4) throw malformed('has a member that is not known', id)
  return { id, name, data: JSON.parse(data), text: data, expires }
}

function textOf(json: string | undefined): string | undefined {
  const value: unknown = json === undefined ? undefined : JSON.parse(json)
  return typeof value === 'string' ? value : undefined
}

function malformed(what: string, id?: string): PeerError<CommandErrorCode> {
  const hint = 'Server and device have different versions, or something else answers there.'
  return new PeerError('ERR_COMMAND_FORMAT', `a command ${what}`, { id }, { hint })
}
