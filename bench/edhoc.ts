/**
 * EDHOC on the coap door, per CPU-second of the server alone: message_1 answered, message_3 with the
 * first reading believed, the device judged, looked up and admitted, its context and its event made.
 * The bound are the bare operations on the curve with the same provider. Devices live in the same
 * process; what they do is not counted.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPairSync } from 'node:crypto'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareCoseSigner } from '@countersign/element/softwareSigner'
import { openHouse, type Services } from '@countersign/server'
import { Arena } from './arena.ts'
import { type Case, cpuMilliseconds, forAbout, measure, rateOf } from './measure.ts'
import { addressOf, type Asked, MemoryLink } from './memoryLink.ts'
import { NarrowDevice } from './narrowDevice.ts'
import { type DoorStore, memoryStore, openNarrowDoor, unpaced } from './narrowDoor.ts'
import { cpuSeconds } from './processes.ts'
import { atLeast, type Report, rateTable } from './report.ts'
import { type MadeHouse, makeHouse, serveHouse } from './servedHouse.ts'

const devices = 200
const none = new Uint8Array()
/** Handshakes at a time, a part of all devices. */
const batch = 40

const names = {
  known: '**countersign**, leaf judged before',
  fresh: '**countersign**, leaf judged anew',
  disk: '**countersign**, leaf judged anew, context and event on disk',
  knownBound: 'the curve alone: key, agreement, signature, verification',
  freshBound: 'the curve alone, and the verification of the leaf',
  tls: '**countersign**, TLS 1.3, full handshake',
}

export async function run(): Promise<Report> {
  const house = await makeHouse(devices)
  const arena = await Arena.open(devices)
  try {
    const passphrase = (await readFile(join(house.dir, 'dev-passphrase'), 'utf8')).trimEnd()
    const open = await openHouse(house.dir, { passphrase })
    try {
      await open.registry.setProduct('default', { messagesPerMinute: 1_000_000 })
      return await measured(house, open, arena)
    } finally {
      await open.close()
    }
  } finally {
    await arena.close()
    await house.remove()
  }
}

async function measured(house: MadeHouse, open: Services, arena: Arena): Promise<Report> {
  const inMemory = (): DoorStore => memoryStore(open.store)
  const cases = [
    await responder(names.known, house, open, inMemory()),
    await responder(names.fresh, house, open, inMemory(), 0),
    await responder(names.disk, house, open, open.store, 0),
    bound(names.knownBound, 1),
    bound(names.freshBound, 2),
    await tls(arena),
  ]
  const figures = await measure(cases, { rounds: 5, milliseconds: 1500 })
  const rate = (name: string): number | undefined => rateOf(figures, name)
  const toTls = ((rate(names.fresh) ?? NaN) / (rate(names.tls) ?? NaN)).toFixed(2)
  return {
    tables: [rateTable(figures, 'handshakes')],
    goals: [
      ...atLeast(
        'leaf judged before, to the curve',
        rate(names.known),
        rate(names.knownBound),
        0.33,
      ),
      ...atLeast('leaf judged anew, to the curve', rate(names.fresh), rate(names.freshBound), 0.33),
    ],
    notes: [
      `Method 0, suite 2, x5t on both sides, ${devices} devices in turns. A handshake is two requests with their answers, CoAP and the first reading under OSCORE included; datagrams go from memory to memory.`,
      `To the full TLS handshake of this house, which carries no reading, it is ${toTls} with the leaf judged anew.`,
    ],
  }
}

async function responder(
  name: string,
  house: MadeHouse,
  open: Services,
  store: DoorStore,
  leavesRemembered?: number,
): Promise<Case> {
  const link = new MemoryLink()
  const { serverLeaf } = await openNarrowDoor(open, {
    openLink: link.open,
    store,
    limits: unpaced,
    ...(leavesRemembered === undefined ? {} : { leavesRemembered }),
  })
  const all = house.devices.map((shown, index) => ({
    device: new NarrowDevice(shown, serverLeaf, numbers()),
    from: addressOf(index),
  }))
  let [spent, next] = [0, 0]
  const served = async (asked: readonly Asked[]): Promise<readonly Uint8Array[]> => {
    const before = cpuMilliseconds()
    const answers = await link.exchange(asked)
    spent += (cpuMilliseconds() - before) / 1000
    return answers
  }
  const handshakes = async (): Promise<void> => {
    const some = all.slice(next, next + batch)
    next = (next + batch) % all.length
    const seconds = await served(
      some.map(({ device, from }) => ({ from, datagram: device.start() })),
    )
    const thirds = some.map(async ({ device, from }, index) => ({
      from,
      datagram: await device.complete(seconds[index] ?? none),
    }))
    const answers = await served(await Promise.all(thirds))
    for (const [index, { device }] of some.entries()) device.confirm(answers[index] ?? none)
  }
  return {
    name,
    cpuSeconds: () => spent,
    run: async (milliseconds) => (await forAbout(milliseconds, handshakes)) * batch,
  }
}

/** A device's number is there once in a house: each of its lives here begins further on. */
let lives = 0
function numbers(): number {
  return ++lives * 1_000_000
}

function bound(name: string, verifications: number): Case {
  const group = 'secp256r1'
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = softwareCoseSigner(privateKey)
  const key = nodeCrypto.importPublicKey(signer.spki, { kind: 'ec', curve: 'P-256' })
  const message = new Uint8Array(200).fill(1)
  const { share } = nodeCrypto.generateEphemeral(group, 1)
  return {
    name,
    run: async (milliseconds) =>
      await forAbout(milliseconds, async () => {
        nodeCrypto.generateEphemeral(group, 1).agree(share)
        const signature = await signer.sign(message)
        for (let n = 0; n < verifications; n++) {
          if (nodeCrypto.verify(key, signer.scheme, message, signature)) continue
          throw new Error('it does not verify')
        }
      }),
  }
}

async function tls(arena: Arena): Promise<Case> {
  const server = await arena.started(serveHouse(arena.house.dir))
  return {
    name: names.tls,
    cpuSeconds: () => cpuSeconds(server.pid),
    run: async (milliseconds) => {
      const target = { port: server.httpsPort, withIssuer: false }
      const order = { mode: 'full', milliseconds, concurrency: 24, devices, ...target } as const
      return (await arena.client.load(order)).done
    },
  }
}
