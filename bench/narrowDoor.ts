/**
 * The coap door of an opened house, over whatever link, with its contexts and messages in the
 * house's store or in memory: what the door itself costs, the durable outbox counted apart.
 * Everything else is the house's own: keys, judge, registry.
 */
import { Judge } from '@countersign/core/credential'
import type { Clock } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type { Services } from '@countersign/server'
import type { Change, CoapContextRow, Store, Write } from '@countersign/server/ports'
import { anchorOf } from '../packages/server/src/compose/anchors.ts'
import { CoapDoor } from '../packages/server/src/frontend/coap/coapDoor.ts'
import type { CoapLimits } from '../packages/server/src/frontend/coap/limits.ts'
import type { OpenLink } from '../packages/server/src/frontend/coap/udpSocket.ts'

export type DoorStore = Pick<Store, 'get' | 'find' | 'scan' | 'apply'>

export interface NarrowDoorOptions {
  readonly openLink: OpenLink
  readonly store: DoorStore
  readonly limits?: Partial<CoapLimits>
  readonly clock?: Clock
  /** 0: each handshake shows a leaf that nobody has judged. */
  readonly leavesRemembered?: number
}

export interface NarrowDoor {
  readonly door: CoapDoor
  readonly port: number
  /** DER of what the server shows where it signs. */
  readonly serverLeaf: Uint8Array
}

const plenty = { perSecond: 100_000, burst: 100_000 }

/** Devices come again sooner than they would, and all of them from one address. */
export const unpaced: Partial<CoapLimits> = {
  handshakes: plenty,
  unprovenHandshakes: plenty,
  requestsPerDevice: plenty,
  handshakesPerAddressPerSecond: 10_000,
  handshakesPerAddressBurst: 10_000,
  halfOpenUnprovenPerAddressMax: 1_024,
}

export async function openNarrowDoor(
  house: Services,
  { leavesRemembered, ...options }: NarrowDoorOptions,
): Promise<NarrowDoor> {
  const { authority, sealer } = await house.keys()
  const credentials = await authority.edhocCredentials()
  const anchors = (await house.registry.listAnchors()).map(anchorOf)
  const judge = new Judge({
    crypto: nodeCrypto,
    clock: house.clock,
    anchors,
    ...(leavesRemembered === undefined ? {} : { cachedLeavesMax: leavesRemembered }),
  })
  const door = new CoapDoor({
    ...house,
    judge,
    sealer,
    credentials,
    crypto: nodeCrypto,
    ...options,
  })
  const port = await door.open({ host: '127.0.0.1', port: 0 })
  return { door, port, serverLeaf: credentials.current('signature').der }
}

/** A store whose contexts are in memory and whose messages are counted; the rest is the house's. */
export function memoryStore(house: Store): DoorStore & { readonly messages: () => number } {
  const contexts = new Map<string, CoapContextRow>()
  const ofDevice = new Map<string, Set<string>>()
  let messages = 0
  const write = (one: Write): void => {
    if (one.table !== 'coapContext') throw new Error(`nobody writes ${one.table} beside a message`)
    if (one.kind === 'insert') {
      contexts.set(one.row.id, one.row)
      ofDevice.set(one.row.device, (ofDevice.get(one.row.device) ?? new Set()).add(one.row.id))
      return
    }
    const { key } = one
    const row = contexts.get(key)
    if (row === undefined) throw new Error('no such context')
    if (one.kind === 'update') return void contexts.set(key, { ...row, ...one.set })
    contexts.delete(key)
    ofDevice.get(row.device)?.delete(key)
  }
  const own = {
    get: async (key: string) => contexts.get(key),
    find: async (device: string) =>
      [...(ofDevice.get(device) ?? [])].flatMap((id) => contexts.get(id) ?? []),
  }
  return {
    messages: () => messages,
    get: ((table, key) =>
      table === 'coapContext' ? own.get(String(key)) : house.get(table, key)) as Store['get'],
    find: ((table, column, value, options) =>
      table === 'coapContext'
        ? own.find(String(value))
        : house.find(table, column, value, options)) as Store['find'],
    scan: (table, options) => house.scan(table, options),
    async apply(change: Change) {
      if (!isOfDoor(change)) return await house.apply(change)
      for (const one of change.writes ?? []) write(one)
      const messageSeqs = (change.messages ?? []).map(() => ++messages)
      return { messageSeqs, duplicates: 0, lastEventSeq: 0 }
    },
  }
}

/** Its life in the settings, and refusals, are the house's. */
function isOfDoor({ writes = [], events = [] }: Change): boolean {
  return events.length === 0 && writes.every(({ table }) => table === 'coapContext')
}
