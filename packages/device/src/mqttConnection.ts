/**
 * MQTT 5 on one socket that the judge has accepted: CONNECT, one PUBLISH at a time, and whatever the
 * server says of them. The client library speaks; its own connecting, reconnecting, queues and logs
 * are off, because who connects, when, and to whom is this package's to decide.
 */
import type { Duplex } from 'node:stream'
import { InvariantError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { type IPublishPacket, MqttClient } from 'mqtt'
import { timeout, unreachable } from './judgedSocket.ts'
import { type Said, success } from './mqttReasons.ts'
import type { ServerTarget } from './target.ts'

export interface MqttConnectionOptions {
  readonly target: ServerTarget
  readonly clientId: string
  /** How long the server may take for CONNACK, and for each PUBACK. */
  readonly answerMs: Milliseconds
}

export interface Publication {
  readonly topic: string
  readonly contentType: string
  readonly data: Uint8Array
  readonly user: Readonly<Record<string, string>>
}

/** NATs forget a silent connection after some minutes; a ping has two bytes. */
const keepAliveSeconds = 60
/** A command of 64 KiB with its topic and properties (MQTT 5 §3.1.2.11.4). */
const packetBytesMax = 72 * 1024
/** The library looks at the size of a packet when it has all of it: this much is kept, no more. */
const unreadBytesMax = 256 * 1024
/** A server that does not take its leave after our DISCONNECT is left. */
const leaveMsMax = 1_000

type Settle = (result: Said | Error) => void

export class MqttConnection {
  readonly #client: MqttClient
  readonly #socket: Duplex
  readonly #options: MqttConnectionOptions
  /** Who waits for the server's word; there is at most one. */
  #settle: Settle | undefined
  /** Why there is no connection any more. */
  #end: Said | Error | undefined
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
      connectTimeout: 2 * options.answerMs,
      properties: { maximumPacketSize: packetBytesMax },
      // DEBUG=mqttjs* would print readings. What DEBUG asks of the codec is out of our reach.
      log: () => undefined,
    })
    this.#listen()
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
    const properties: IPublishPacket['properties'] = { contentType, userProperties: { ...user } }
    return this.#word('PUBACK', (settle) => {
      this.#client.publish(topic, Buffer.from(data), { qos: 1, properties }, (error) => {
        const code = error === undefined || error === null ? success : reasonOf(error)
        // Without a code the connection has ended, and its end says why.
        if (code !== undefined) settle({ packet: 'puback', code })
      })
    })
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
    const { target, answerMs } = this.#options
    return new Promise((resolve, reject) => {
      if (this.#settle !== undefined) throw new InvariantError('ERR_ROAD_BUSY', 'one at a time')
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
      else settle(this.#end)
    })
  }

  /** Nothing more is said here; the first reason stands. */
  #over(why: Said | Error, isForced = true): void {
    if (this.#end !== undefined) return
    this.#end = why
    this.#settle?.(why)
    this.#client.end(isForced)
  }
}

/** MQTT's own codes are numbers, those of sockets are text. */
function reasonOf(error: Error): number | undefined {
  return 'code' in error && typeof error.code === 'number' ? error.code : undefined
}
