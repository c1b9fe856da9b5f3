/**
 * What a restored store must not go on with. A backup is of a moment, and devices have lived on: a
 * command that waits in it may have been done, and a packet identifier that waits for PUBREL may
 * have been used again. Commands end, and devices begin their MQTT sessions anew. Security contexts of
 * coap are in no backup; should a copy hold some, they go: their numbers have been used since.
 */

import { step } from '../commands/changes.ts'
import { after } from '../commands/states.ts'
import type { Change, Store, TableName, Tables } from '../ports.ts'

export interface Forgotten {
  readonly commands: number
  readonly sessions: number
  readonly contexts: number
}

const pageSize = 500
const reason = 'the house was restored from a backup'

/** Before any door opens. */
export async function forgetWhatMovedOn(
  store: Pick<Store, 'scan' | 'apply'>,
  now: number,
): Promise<Forgotten> {
  const commands = await each(store, 'command', (row) => {
    const ended = after(row, { kind: 'dropped', reason }, now)
    return row.waiting === null || ended === undefined ? undefined : step(row, ended, now)
  })
  // An application's session is how far it has read: that only repeats what it has had.
  const sessions = await each(store, 'mqttSession', ({ id, holder }) =>
    holder.startsWith('urn:')
      ? { writes: [{ kind: 'delete', table: 'mqttSession', key: id }] }
      : undefined,
  )
  const contexts = await each(store, 'coapContext', ({ id }) => ({
    writes: [{ kind: 'delete', table: 'coapContext', key: id }],
  }))
  return { commands, sessions, contexts }
}

/** How many were changed. */
async function each<T extends 'command' | 'mqttSession' | 'coapContext'>(
  store: Pick<Store, 'scan' | 'apply'>,
  table: T & TableName,
  change: (row: Tables[T]) => Change | undefined,
): Promise<number> {
  let count = 0
  let last: string | undefined
  do {
    const options = { limit: pageSize, ...(last === undefined ? {} : { after: last }) }
    const page = await store.scan(table, options)
    const changes = page.map(change).filter((one) => one !== undefined)
    await Promise.all(changes.map((one) => store.apply(one)))
    count += changes.length
    last = page.length < pageSize ? undefined : page.at(-1)?.id
  } while (last !== undefined)
  return count
}
