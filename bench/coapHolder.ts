/**
 * Holds security contexts of the coap door in this process, for `coapMemory.ts`. Each belongs to a
 * device of its own, is in the store and not in memory, and comes into memory with a reading of its
 * device. Arguments: the data folder, the file of its devices. Says what that took.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EdhocContextParameters } from '@countersign/core/channel'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { openHouse } from '@countersign/server'
import { insertOf } from '../packages/server/src/frontend/coap/contextRows.ts'
import type { ShownDevice } from './load.ts'
import { cpuMilliseconds } from './measure.ts'
import { addressOf, MemoryLink } from './memoryLink.ts'
import { NarrowDevice } from './narrowDevice.ts'
import { openNarrowDoor } from './narrowDoor.ts'
import { sleep } from './processes.ts'

export interface Held {
  readonly contexts: number
  /** Bytes of one more: heap with array buffers, and resident. */
  readonly heap: number
  /** The same of the first of a device, which the registry and the judge then know too. */
  readonly heapWithDevice: number
  readonly resident: number
  /** CPU of a reading whose context was in the store alone, and of one whose context was in memory. */
  readonly fromStoreMs: number
  readonly inMemoryMs: number
}

/** The first contexts bring code and caches that every later one shares. */
const warmUpShare = 0.1
const atOnce = 50
const none = new Uint8Array()
/** Longer than a request is remembered to know it again (RFC 7252 §4.8.2). */
const exchangeMs = 300_000

interface Holding {
  readonly shown: ShownDevice
  readonly parameters: EdhocContextParameters
  readonly from: string
}

const [dir = '', file = ''] = process.argv.slice(2)
const passphrase = (await readFile(join(dir, 'dev-passphrase'), 'utf8')).trimEnd()
const house = await openHouse(dir, { passphrase })
const { sealer } = await house.keys()
const link = new MemoryLink()
let late = 0
const clock = { now: (): number => house.clock.now() + late }
const limits = { contextsInMemoryMax: 100_000 }
const door = await openNarrowDoor(house, { openLink: link.open, store: house.store, clock, limits })

const shown = JSON.parse(await readFile(file, 'utf8')) as readonly ShownDevice[]
const warm = Math.floor(shown.length * warmUpShare)
const [first, second] = [await storedAll(0), await storedAll(1)]

await readings(first.slice(0, warm), 1)
const before = await memory()
const beganAt = cpuMilliseconds()
const firstDevice = await readings(first.slice(warm), 1)
const fromStore = cpuMilliseconds() - beganAt - firstDevice
const withDevices = await memory()
await readings(second.slice(warm), 1)
const alone = await memory()
const againAt = cpuMilliseconds()
const againDevice = await readings(first.slice(warm), 2)
const inMemory = cpuMilliseconds() - againAt - againDevice
const count = shown.length - warm
const held: Held = {
  contexts: count,
  heap: (alone.heap - withDevices.heap) / count,
  heapWithDevice: (withDevices.heap - before.heap) / count,
  resident: (alone.resident - before.resident) / (2 * count),
  fromStoreMs: fromStore / count,
  inMemoryMs: inMemory / count,
}
if (door.door.load.contexts < first.length + count) throw new Error('some are not in memory')
process.send?.(held, () => process.exit(0))

/** A context of each device; those of a series have identifiers of their own. */
async function storedAll(series: number): Promise<readonly Holding[]> {
  const holdings: Holding[] = []
  for (const [index, one] of shown.entries()) {
    holdings.push(await stored(one, index + series * 0x40_0000))
  }
  return holdings
}

/** As a life before has left it. */
async function stored(device: ShownDevice, index: number): Promise<Holding> {
  const row = await house.registry.find(device.serial)
  const certificate = new X509Certificate(device.cert)
  const parameters: EdhocContextParameters = {
    masterSecret: nodeCrypto.importSecret(randomBytes.bytes(16)),
    masterSalt: nodeCrypto.importSecret(randomBytes.bytes(8)),
    senderId: Uint8Array.of(7),
    recipientId: Uint8Array.of(index >> 16, index >> 8, index),
    algorithm: 10,
    hash: 'sha256',
  }
  const from = addressOf(index)
  const write = insertOf(nodeCrypto, sealer, parameters, {
    device: row.id,
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    reserved: 64,
    highest: -1,
    accepted: 0,
    life: 1,
    sealed: 0,
    failed: 0,
    peerAddress: from,
    createdAt: clock.now(),
    begun: index,
    serverKind: 'signature',
    suite: 2,
    confirmed: null,
    notAfter: certificate.validToDate.getTime(),
  })
  await house.store.apply({ writes: [write] })
  return { shown: device, parameters, from }
}

/** One of each device. Returns the CPU milliseconds of the devices themselves. */
async function readings(some: readonly Holding[], number: number): Promise<number> {
  let ofDevices = 0
  for (let begin = 0; begin < some.length; begin += atOnce) {
    const beginAt = cpuMilliseconds()
    const asked = some
      .slice(begin, begin + atOnce)
      .map(({ shown: { cert, key }, parameters, from }) => {
        const device = new NarrowDevice({ cert, key }, door.serverLeaf, number)
        const { senderId, recipientId, ...secrets } = parameters
        const ids = { senderId: recipientId, recipientId: senderId }
        device.resume({ ...secrets, ...ids, senderSequenceNumber: number })
        return { device, from, datagram: device.reading() }
      })
    ofDevices += cpuMilliseconds() - beginAt
    const answers = await link.exchange(asked)
    const judgedAt = cpuMilliseconds()
    for (const [index, { device }] of asked.entries()) device.confirm(answers[index] ?? none)
    ofDevices += cpuMilliseconds() - judgedAt
  }
  return ofDevices
}

/** Of what is there when nothing of the exchanges is left. */
async function memory(): Promise<{ readonly heap: number; readonly resident: number }> {
  late += exchangeMs
  await readings(first.slice(0, 1), 1000 + late)
  // Objects that hold keys of OpenSSL are gone after several collections only.
  for (let round = 0; round < 8; round++) {
    globalThis.gc?.()
    await sleep(50)
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss }
}
