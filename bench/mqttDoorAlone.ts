/**
 * The mqtts door of a house whose messages stay in memory: what the door itself costs, the durable
 * outbox counted apart. Everything else is the house's own: keys, judge, registry, its store.
 * Arguments: the data folder. Prints its port.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Judge } from '@countersign/core/credential'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { openHouse } from '@countersign/server'
import type { Change, MessageRow, Store } from '@countersign/server/ports'
import { anchorOf } from '../packages/server/src/compose/anchors.ts'
import { MqttsDoor } from '../packages/server/src/frontend/mqtt/mqttsDoor.ts'

/** Messages that are looked back for; the reader is never further behind. */
const keptMax = 65_536

const [dir = ''] = process.argv.slice(2)
const passphrase = (await readFile(join(dir, 'dev-passphrase'), 'utf8')).trimEnd()
const house = await openHouse(dir, { passphrase })
const { authority } = await house.keys()
const anchors = (await house.registry.listAnchors()).map(anchorOf)
const judge = new Judge({ crypto: nodeCrypto, clock: house.clock, anchors })

const kept: MessageRow[] = Array.from({ length: keptMax })
let head = 0
const store: Pick<Store, 'get' | 'find' | 'scan' | 'apply'> = {
  get: (table, key) => house.store.get(table, key),
  find: (table, column, value, options) => house.store.find(table, column, value, options),
  scan: (table, options) => house.store.scan(table, options),
  async apply(change: Change) {
    const { messages = [], ...rest } = change
    if (rest.writes !== undefined || rest.events !== undefined)
      return await house.store.apply(change)
    const messageSeqs = messages.map((draft) => {
      head += 1
      kept[head % keptMax] = { seq: head, ...draft }
      return head
    })
    return { messageSeqs, duplicates: 0, lastEventSeq: 0 }
  },
}
const feed = {
  head: () => head,
  async after(position: number, limit: number): Promise<readonly MessageRow[]> {
    const rows: MessageRow[] = []
    for (let seq = position + 1; seq <= head && rows.length < limit; seq++) {
      const row = kept[seq % keptMax]
      if (row !== undefined) rows.push(row)
    }
    return rows
  },
  advanced: () => undefined,
}
const door = new MqttsDoor({ ...house, judge, store, feed }, await authority.serverCredential())
process.stdout.write(`${await door.open({ host: '127.0.0.1', port: 0 })}\n`)
