/**
 * MQTT 5 on one socket that the judge has accepted: CONNECT, SUBSCRIBE, one PUBLISH at a time, and
 * whatever the server says of them. The client library speaks; its own connecting, reconnecting, queues and logs
 * are off, because who connects, when, and to whom is this package's to decide.
 */
import type { Duplex } from 'node:stream'
import type { Milliseconds } from '@countersign/core/ports'
import { type IPublishPacket, MqttClient } from 'mqtt'
import { timeout, unreachable } from './failures.ts'
import { type Arrival, arrivalsMax, takeArrivals } from './mqttArrivals.ts'
import { type Said, success, unspecified } from './mqttReasons.ts'
import type { ServerTarget } from './target.ts'
import { fired } from './world.ts'

export interface MqttConnectionOptions {
  readonly target: ServerTarget
  readonly clientId: string
  /** How long the server may take for CONNACK, and for each PUBACK and SUBACK. */
  readonly answerMs: Milliseconds
  /** Hears what the server publishes to what was subscribed to. */
  readonly arrived?: (arrival: Arrival) => void
}

export interface Publication {
  readonly topic: string
  readonly contentType: string
  readonly data: Uint8Array
  /** User properties; not empty, which the library takes and never sends. */
  readonly user?: Readonly<Record<string, string>>
}

/** NATs forget a silent connection after some minutes; a ping has two bytes. */
const keepAliveSeconds = 60
/**
 * What the server may send (MQTT 5 §3.1.2.11.4) and, with this library, what we can: a reading or a
 * result of 64 KiB with its topic and properties. It takes more than that and never sends it.
 */
const packetBytesMax = 72 * 1024
/** The library looks at the size of a packet when it has all of it: this much is kept, no more. */
const unreadBytesMax = 256 * 1024
/** Our own patience ends first, however late the timers of a busy machine are. */
const libraryLaterMs = 10_000
/** A server that does not take its leave after our DISCONNECT is left. */
const leaveMsMax = 1_000

type Settle = (result: Said | Error) => void

export class MqttConnection {
  readonly #client: MqttClient
  readonly #socket: Duplex
  readonly #options: MqttConnectionOptions
  /** Who waits for the server's word; there is at most one, so that it is about nothing else. */
  #settle: Settle | undefined
  #turn: Promise<unknown> = Promise.resolve()
  /** Why there is no connection any more. */
  #end: Said | Error | undefined
  readonly #ending: AbortController = new AbortController()
  #unreadBytes = 0

  /** Says CONNECT at once. */
  constructor(socket: Duplex, options: MqttConnectionOptions) {
    this.#socket = socket
    this.#options = options
    this.#client = new MqttClient(() => socket, {
      protocolVersion: 5,
      clean: true,
      clientId: options.clientId,
      keepalive: keepAliveSeconds,
      timerVariant: 'native',
      reconnectPeriod: 0,
      resubscribe: false,
      // Ours ends first.
      connectTimeout: options.answerMs + libraryLaterMs,
      properties: {
        maximumPacketSize: packetBytesMax,
        ...(options.arrived === undefined ? {} : { receiveMaximum: arrivalsMax }),
      },
      // DEBUG=mqttjs* would print readings. What DEBUG asks of the codec is out of our reach.
      log: () => undefined,
    })
    this.#listen()
    const { arrived } = options
    if (arrived === undefined) return
    takeArrivals({
      client: this.#client,
      socket,
      isOpen: () => this.isOpen,
      arrived,
      broken: (why) => this.abandon(why),
    })
  }

  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** Resolves with CONNACK. Throws AdapterError when the way is broken. */
  connected(): Promise<Said> {
    return this.#word('CONNACK', () => undefined)
  }

  /** Resolves with PUBACK, or with the DISCONNECT that came instead. Throws like `connected`. */
  publish({ topic, contentType, data, user }: Publication): Promise<Said> {
    const properties: IPublishPacket['properties'] =
      user === undefined ? { contentType } : { contentType, userProperties: { ...user } }
    return this.#word('PUBACK', (settle) => {
      this.#client.publish(topic, Buffer.from(data), { qos: 1, properties }, (error) => {
        const code = error === undefined || error === null ? success : reasonOf(error)
        // Without a code the connection has ended, and its end says why.
        if (code !== undefined) settle({ packet: 'puback', code })
      })
    })
  }

  /** At QoS 1 and no other. Resolves with SUBACK, or with the DISCONNECT that came instead. */
  subscribe(filter: string): Promise<Said> {
    return this.#word('SUBACK', (settle) => {
      this.#client.subscribe(filter, { qos: 1 }, (_, __, packet) => {
        const [code] = packet?.granted ?? []
        // Without a code the connection has ended, and its end says why.
        if (typeof code !== 'number') return
        settle({ packet: 'suback', code: code === 1 ? success : Math.max(code, unspecified) })
      })
    })
  }

  /** Resolves with the server's word that ended the connection; undefined: the signal was first. */
  async ended(signal: AbortSignal): Promise<Said | undefined> {
    await fired(AbortSignal.any([signal, this.#ending.signal]))
    if (signal.aborted) return undefined
    if (this.#end instanceof Error) throw this.#end
    return this.#end
  }

  /** Ends it at once, for this reason. */
  abandon(why: Said | Error): void {
    this.#over(why)
  }

  /** Takes leave; who waits hears that the connection ended. */
  close(): void {
    const isIdle = this.#settle === undefined && this.isOpen
    this.#over(unreachable(this.#options.target, undefined), !isIdle)
    // The socket keeps the process until it is closed; this timer alone does not.
    if (isIdle) setTimeout(() => this.#socket.destroy(), leaveMsMax).unref()
  }

  #listen(): void {
    const { target } = this.#options
    this.#client.on('connect', ({ reasonCode = success }) =>
      this.#settle?.({ packet: 'connack', code: reasonCode }),
    )
    this.#client.on('disconnect', ({ reasonCode = success }) =>
      this.#over({ packet: 'disconnect', code: reasonCode }),
    )
    this.#client.on('error', (error) => {
      // The library makes an error with a reason code of a CONNACK that says no; the codes of its own
      // complaints about the server (0x82, 0x93, 0x95) then pass like a broken connection.
      const code = reasonOf(error)
      this.#over(code === undefined ? unreachable(target, error) : { packet: 'connack', code })
    })
    this.#client.on('close', () => this.#over(unreachable(target, undefined)))
    this.#client.on('packetreceive', () => {
      this.#unreadBytes = 0
    })
    this.#socket.on('data', (chunk: Uint8Array) => {
      this.#unreadBytes += chunk.length
      if (this.#unreadBytes > unreadBytesMax) this.#over(unreachable(target, undefined))
    })
  }

  #word(name: string, ask: (settle: Settle) => void): Promise<Said> {
    const mine = this.#turn.then(() => this.#hear(name, ask))
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  #hear(name: string, ask: (settle: Settle) => void): Promise<Said> {
    const { target, answerMs } = this.#options
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#over(timeout(target, name, answerMs)), answerMs)
      const settle: Settle = (result) => {
        if (this.#settle !== settle) return
        this.#settle = undefined
        clearTimeout(timer)
        if (result instanceof Error) reject(result)
        else resolve(result)
      }
      this.#settle = settle
      if (this.#end === undefined) ask(settle)
      else if (this.#end instanceof Error) settle(this.#end)
      else settle({ packet: 'ended', code: this.#end.code })
    })
  }

  /** Nothing more is said here; the first reason stands. */
  #over(why: Said | Error, isForced = true): void {
    if (this.#end !== undefined) return
    this.#end = why
    this.#ending.abort()
    this.#settle?.(why)
    this.#client.end(isForced)
  }
}

/** MQTT's own codes are numbers, those of sockets are text. */
function reasonOf(error: Error): number | undefined {
  return 'code' in error && typeof error.code === 'number' ? error.code : undefined
}
