/**
 * The load of `mqtt.ts`, in a process of its own: devices that publish and one application that
 * subscribes to all of them, over mutual TLS 1.3. A device keeps a window of messages in flight, each
 * until the application has it. Speaks just enough MQTT 3.1.1, so that it costs less than whom it
 * measures.
 */
import { connect, type TLSSocket } from 'node:tls'

export interface MqttOrder {
  readonly port: number
  readonly ca: string
  /** Each subscribes to the topics of its share of the devices, over so many connections. */
  readonly applications: readonly { readonly cert: string; readonly key: string }[]
  /** `one` subscriber to all devices, or one for each device. */
  readonly subscribers: 'one' | 'each'
  readonly devices: readonly {
    readonly cert: string
    readonly key: string
    /** What it publishes to. */
    readonly topic: string
  }[]
  readonly qos: 0 | 1
  readonly window: number
  readonly payloadBytes: number
}

/** After the order, which connects everybody. */
export type MqttWord = 'go' | 'pause'
/** `up`: everybody is connected. */
export type MqttTold =
  | { readonly kind: 'up' }
  | { readonly kind: 'paused'; readonly delivered: number }

type OnPacket = (type: number, first: number, packet: Buffer, body: number, length: number) => void

class Client {
  readonly socket: TLSSocket
  onPacket: OnPacket = () => undefined
  #rest: Buffer | undefined
  #out: Buffer[] = []

  constructor(order: MqttOrder, who: { readonly cert: string; readonly key: string }) {
    const { port, ca } = order
    this.socket = connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca,
      // The server's issuing CA is pinned.
      allowPartialTrustChain: true,
      ...who,
    })
    this.socket.setNoDelay(true)
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.socket
      .on('error', (error) => process.stderr.write(`${error}\n`))
      .on('close', () => {
        process.stderr.write(
          `the server on ${port} closed a connection after ${performance.now()}\n`,
        )
        process.exit(1)
      })
  }

  /** CONNECT with a clean session; resolves at CONNACK. */
  connect(id: string): Promise<void> {
    const variable = Buffer.of(0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0)
    this.send(packet(0x10, variable, text(id)))
    return this.#answer(2)
  }

  subscribe(filter: string, qos: number): Promise<void> {
    this.send(packet(0x82, Buffer.of(0, 1), text(filter), Buffer.of(qos)))
    return this.#answer(9)
  }

  /** With whatever else this turn sends. */
  send(bytes: Buffer): void {
    if (this.#out.push(bytes) > 1) return
    setImmediate(() => this.socket.write(Buffer.concat(this.#out.splice(0))))
  }

  #answer(type: number): Promise<void> {
    return new Promise((resolve) => {
      this.onPacket = (got) => got === type && resolve()
    })
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const [length, body] = header(bytes, at)
      if (length === undefined || body + length > bytes.length) break
      const first = bytes[at] ?? 0
      this.onPacket(first >> 4, first, bytes, body, length)
      at = body + length
    }
    this.#rest = at < bytes.length ? bytes.subarray(at) : undefined
  }
}

/** Remaining length and where the body begins; undefined while it is not whole. */
function header(bytes: Buffer, at: number): readonly [number | undefined, number] {
  let [length, shift, next] = [0, 0, at + 1]
  while (next < bytes.length) {
    const byte = bytes[next++] ?? 0
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) return [length, next]
    shift += 7
  }
  return [undefined, next]
}

function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  let left = body.length
  do {
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
    left >>= 7
  } while (left > 0)
  return Buffer.concat([Buffer.of(first, ...length), body])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes])
}

async function main(order: MqttOrder): Promise<void> {
  let delivered = 0
  /** By topic: one message of it is no longer in flight. */
  const landed = new Map<string, () => void>()
  const filters =
    order.subscribers === 'one' ? ['devices/#'] : order.devices.map(({ topic }) => topic)
  for (const [n, filter] of filters.entries()) {
    const who = order.applications[n % order.applications.length]
    if (who === undefined) throw new Error('no application')
    const application = new Client(order, who)
    await application.connect(`application-${n}`)
    await application.subscribe(filter, order.qos)
    application.onPacket = (type, first, bytes, body) => {
      if (type !== 3) return
      delivered += 1
      const end = body + 2 + bytes.readUInt16BE(body)
      if ((first & 6) !== 0)
        application.send(Buffer.of(0x40, 2, bytes[end] ?? 0, bytes[end + 1] ?? 0))
      landed.get(bytes.toString('latin1', body + 2, end))?.()
    }
  }
  const payload = Buffer.alloc(order.payloadBytes, 65)
  let isFlowing = false
  const fills: (() => void)[] = []
  for (const [n, who] of order.devices.entries()) {
    const device = new Client(order, who)
    await device.connect(`device-${n}`)
    let [inFlight, id] = [0, 0]
    const fill = (): void => {
      if (!isFlowing) return
      for (; inFlight < order.window; inFlight++) {
        id = (id % 0xffff) + 1
        const number = order.qos === 0 ? Buffer.alloc(0) : Buffer.of(id >> 8, id & 0xff)
        device.send(packet(order.qos === 0 ? 0x30 : 0x32, text(who.topic), number, payload))
      }
    }
    fills.push(fill)
    landed.set(who.topic, () => {
      inFlight -= 1
      // Half a window at once, as a device that has much to say does.
      if (inFlight <= order.window / 2) fill()
    })
  }
  process.on('message', (word: MqttWord) => {
    isFlowing = word === 'go'
    if (isFlowing) for (const fill of fills) fill()
    else tell({ kind: 'paused', delivered })
  })
  tell({ kind: 'up' })
}

function tell(told: MqttTold): void {
  process.send?.(told)
}

process.on('disconnect', () => process.exit(0))
process.once('message', (order: MqttOrder) => void main(order))
