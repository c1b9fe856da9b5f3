/**
 * MQTT over mutual TLS 1.3: messages of devices that reach an application, per CPU-second of the
 * server. A device's next message waits until one of its window has arrived. The bare server forwards
 * bytes and does nothing else: what sockets cost in Node. Ours twice: as it is served, every message on
 * disk before it goes anywhere, and with messages in memory, which is what mosquitto does.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createCertificateRequest } from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { openHouse, type Services } from '@countersign/server'
import { mosquittoVersion, startMosquitto } from './anchors.ts'
import { type Case, measure } from './measure.ts'
import type { MqttOrder, MqttTold, MqttWord } from './mqttLoad.ts'
import { cpuSeconds, type Running, sleep, start } from './processes.ts'
import { atLeast, type Report, whole } from './report.ts'
import { type MadeHouse, makeHouse, serveHouse } from './servedHouse.ts'

const devicesMax = 50
const payloadBytes = 100

interface Shape {
  readonly what: string
  readonly qos: 0 | 1
  readonly devices: number
  readonly window: number
  readonly subscribers: 'one' | 'each'
  /** To mosquitto, messages in memory. */
  readonly wanted: number | undefined
}

const shapes: readonly Shape[] = [
  {
    what: 'QoS 0, 50 pairs, one in flight',
    qos: 0,
    devices: 50,
    window: 1,
    subscribers: 'each',
    wanted: undefined,
  },
  {
    what: 'QoS 1, 50 pairs, one in flight',
    qos: 1,
    devices: 50,
    window: 1,
    subscribers: 'each',
    wanted: 0.6,
  },
  {
    what: 'QoS 0, 10 pairs, window 50',
    qos: 0,
    devices: 10,
    window: 50,
    subscribers: 'each',
    wanted: undefined,
  },
  {
    what: 'QoS 1, 10 pairs, window 50',
    qos: 1,
    devices: 10,
    window: 50,
    subscribers: 'each',
    wanted: 0.8,
  },
  {
    what: 'QoS 1, 50 devices to one, one in flight',
    qos: 1,
    devices: 50,
    window: 1,
    subscribers: 'one',
    wanted: undefined,
  },
  {
    what: 'QoS 1, 10 devices to one, window 50',
    qos: 1,
    devices: 10,
    window: 50,
    subscribers: 'one',
    wanted: undefined,
  },
]

const names = {
  memory: '**countersign**, in memory',
  mosquitto: 'mosquitto',
  bare: 'bare Node tls',
  disk: '**countersign**, on disk',
}

interface Target extends Running {
  readonly name: string
  readonly port: number
}

/** Messages per CPU-second, by shape and target. */
type Rates = ReadonlyMap<Shape, ReadonlyMap<string, number>>

export async function run(): Promise<Report> {
  const house = await makeHouse(devicesMax)
  const running: Running[] = []
  const open = async <T extends Running>(one: Promise<T>): Promise<T> => {
    const server = await one
    running.push(server)
    return server
  }
  try {
    const who = await prepare(house)
    const alone = await open(startAlone(house.dir))
    const mosquitto = await startMosquitto(house, who.trusted)
    if (!('missing' in mosquitto)) await open(Promise.resolve(mosquitto))
    const bare = await open(startBare(house, who.trusted))
    const targets: Target[] = [
      { ...alone, name: names.memory },
      ...('missing' in mosquitto ? [] : [{ ...mosquitto, name: names.mosquitto }]),
      { ...bare, name: names.bare },
    ]
    const inMemory = await measureAll(targets, who)
    // One folder has one owner.
    await alone.stop()
    running.splice(running.indexOf(alone), 1)
    const served = await open(serveHouse(house.dir))
    const onDisk = await measureAll([{ ...served, port: served.mqttsPort, name: names.disk }], who)
    const note = 'missing' in mosquitto ? mosquitto.missing : mosquittoVersion()
    return reportOf(inMemory, onDisk, note)
  } finally {
    for (const server of running) await server.stop()
    await house.remove()
  }
}

async function measureAll(targets: readonly Target[], who: Players): Promise<Rates> {
  const rates = new Map<Shape, ReadonlyMap<string, number>>()
  for (const shape of shapes) {
    // The bare one knows pairs only.
    const able = targets.filter(({ name }) => shape.subscribers === 'each' || name !== names.bare)
    const cases = able.map((target) => caseOf(target, shape, who))
    const figures = await measured(cases, { rounds: 5, milliseconds: 3000 })
    rates.set(shape, new Map(figures.map(({ name, perCpuSecond }) => [name, perCpuSecond])))
  }
  return rates
}

function shown(rate: number | undefined): string {
  return rate === undefined ? '' : whole(rate)
}

function reportOf(inMemory: Rates, onDisk: Rates, note: string): Report {
  return {
    tables: [
      {
        columns: ['messages per CPU-second', ...Object.values(names)],
        rows: shapes.map((shape) => {
          const memory = inMemory.get(shape)
          const disk = onDisk.get(shape)?.get(names.disk)
          const { memory: ours, mosquitto, bare } = names
          const rates = [memory?.get(ours), memory?.get(mosquitto), memory?.get(bare), disk]
          return [shape.what, ...rates.map(shown)]
        }),
      },
    ],
    goals: shapes.flatMap((shape) => {
      const rates = inMemory.get(shape)
      const { what, wanted } = shape
      if (wanted === undefined) return []
      const theirs = rates?.get(names.mosquitto)
      return atLeast(`${what}, to mosquitto`, rates?.get(names.memory), theirs, wanted)
    }),
    notes: [
      `${payloadBytes} bytes of payload. "Pairs": each device has a subscriber of its own; "to one": one subscriber has them all.`,
      note,
    ],
  }
}

interface ClosableCase extends Case {
  close(): Promise<void> | undefined
}

type Shown = MqttOrder['applications'][number]

async function measured(
  cases: readonly ClosableCase[],
  options: Parameters<typeof measure>[1],
): ReturnType<typeof measure> {
  try {
    return await measure(cases, options)
  } finally {
    for (const one of cases) await one.close()
  }
}

/** Connected before its first round, and silent while others are measured. */
function caseOf(target: Target, shape: Shape, who: Players): ClosableCase {
  const { qos, window, devices, subscribers } = shape
  let load: Load | undefined
  return {
    name: target.name,
    cpuSeconds: () => cpuSeconds(target.pid),
    prepare: async () => {
      load ??= await Load.start({
        port: target.port,
        ca: who.ca,
        applications: who.applications,
        subscribers,
        devices: who.devices.slice(0, devices),
        qos,
        window,
        payloadBytes,
      })
    },
    run: async (milliseconds) => (await load?.flow(milliseconds)) ?? 0,
    close: () => load?.close(),
  }
}

class Load {
  readonly #child: ChildProcess
  #delivered = 0

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(order: MqttOrder): Promise<Load> {
    const load = new Load(fork(fileURLToPath(new URL('./mqttLoad.ts', import.meta.url))))
    load.#child.send(order)
    await load.#told()
    return load
  }

  /** How many arrived. */
  async flow(milliseconds: number): Promise<number> {
    this.#say('go')
    await sleep(milliseconds)
    this.#say('pause')
    const told = await this.#told()
    const before = this.#delivered
    this.#delivered = told.kind === 'paused' ? told.delivered : Number.NaN
    return this.#delivered - before
  }

  async close(): Promise<void> {
    this.#child.disconnect()
    await new Promise((resolve) => this.#child.once('exit', resolve))
  }

  #say(word: MqttWord): void {
    this.#child.send(word)
  }

  #told(): Promise<MqttTold> {
    return new Promise((resolve, reject) => {
      this.#child.once('message', (told: MqttTold) => resolve(told))
      this.#child.once('exit', () => reject(new Error('the load client ended')))
    })
  }
}

/** Who takes part, for the load and for whoever is to believe them. */
interface Players extends Pick<MqttOrder, 'ca' | 'applications' | 'devices'> {
  /** PEM file of the roots that foreign servers believe. */
  readonly trusted: string
}

async function prepare(house: MadeHouse): Promise<Players> {
  const ca = await readFile(house.files.serverCa, 'utf8')
  const passphrase = (await readFile(join(house.dir, 'dev-passphrase'), 'utf8')).trimEnd()
  const open = await openHouse(house.dir, { passphrase })
  try {
    await open.registry.setProduct('default', { messagesPerMinute: 1_000_000 })
    const devices = await Promise.all(
      house.devices.map(async ({ serial, cert, key, issuer }) => {
        const { eui64 } = await open.registry.find(serial)
        return { cert: cert + issuer, key, topic: `devices/${eui64}/t` }
      }),
    )
    const applications = await Promise.all(['a', 'b'].map((name) => addApplication(open, name)))
    const [root] = await open.store.find('ca', 'role', 'root')
    const foreign = await readFile(house.files.foreignRoot, 'utf8')
    const trusted = join(house.folder, 'trusted.pem')
    await writeFile(trusted, foreign + pem(root?.der ?? new Uint8Array()))
    return { ca, applications, devices, trusted }
  } finally {
    await open.close()
  }
}

async function addApplication(house: Services, name: string): Promise<Shown> {
  const { authority } = await house.keys()
  const { id } = await house.applications.add({ name })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = softwareSigner(privateKey)
  const csr = await createCertificateRequest({ subject: [], altNames: [], signer })
  const issued = await authority.issueForApplication({ id, name, csr })
  return {
    cert: pem(issued.der) + pem(issued.issuer),
    key: String(privateKey.export({ format: 'pem', type: 'pkcs8' })),
  }
}

function pem(der: Uint8Array): string {
  return new X509Certificate(der).toString()
}

async function startBare(
  house: MadeHouse,
  trusted: string,
): Promise<Running & { readonly port: number }> {
  const script = fileURLToPath(new URL('./bareMqtt.ts', import.meta.url))
  const { serverChain, serverKey } = house.files
  const args = [script, serverChain, serverKey, trusted]
  const running = await start({ command: process.execPath, args }, (out) => out.includes('\n'))
  return { ...running, port: Number(running.output()) }
}

async function startAlone(dir: string): Promise<Running & { readonly port: number }> {
  const script = fileURLToPath(new URL('./mqttDoorAlone.ts', import.meta.url))
  const running = await start({ command: process.execPath, args: [script, dir] }, (out) =>
    out.includes('\n'),
  )
  return { ...running, port: Number(running.output()) }
}
