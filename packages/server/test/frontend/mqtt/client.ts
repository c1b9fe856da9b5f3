/**
 * A client of MQTT that does what the test says and nothing else: no answer of its own, no keep
 * alive. What it sends is encoded, and what it receives decoded, by mqtt-packet; bytes can be sent
 * as they are.
 */
import assert from 'node:assert/strict'
import type { TLSSocket } from 'node:tls'
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  parser as newParser,
  type Packet,
  type QoS,
} from 'mqtt-packet'
import type { MqttVersion } from '../../../src/frontend/mqtt/packets.ts'

export type Came = Packet & { readonly messageId?: number; readonly reasonCode?: number }

export type Publish = Partial<Omit<IPublishPacket, 'cmd' | 'topic' | 'payload'>>

export class MqttClient {
  readonly socket: TLSSocket
  readonly version: MqttVersion
  /** The first bytes that came. */
  received: Buffer = Buffer.alloc(0)
  /** Resolves with the handshake; false: there was none. */
  readonly secure: Promise<boolean>
  readonly closed: Promise<void>
  error: (Error & { readonly code?: string }) | undefined
  resumed = false
  /** Came and not asked for yet. */
  readonly #packets: Came[] = []
  #isOver = false
  #wake: (() => void) | undefined
  #lastId = 0

  constructor(socket: TLSSocket, version: MqttVersion) {
    this.socket = socket
    this.version = version
    const parser = newParser({ protocolVersion: version })
    parser.on('packet', (packet) => {
      this.#packets.push(packet)
      this.#wake?.()
    })
    parser.on('error', (error) => {
      this.error ??= error
    })
    socket.on('data', (chunk: Buffer) => {
      if (this.received.length < 1024) this.received = Buffer.concat([this.received, chunk])
      parser.parse(chunk)
    })
    socket.on('error', (error) => {
      this.error ??= error
    })
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    this.secure = new Promise((resolve) => {
      socket.once('secureConnect', () => {
        this.resumed = socket.isSessionReused()
        resolve(true)
      })
      socket.once('close', () => resolve(false))
    })
    void this.closed.then(() => {
      this.#isOver = true
      this.#wake?.()
    })
  }

  get isOpen(): boolean {
    return !this.#isOver && !this.socket.destroyed
  }

  /** Came, and nobody has asked for it. */
  get unread(): readonly Came[] {
    return this.#packets
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  send(packet: Packet): void {
    this.write(generate(packet, { protocolVersion: this.version }))
  }

  /** CONNECT, and its CONNACK. */
  async connect(
    clientId: string,
    more: Partial<Omit<IConnectPacket, 'cmd' | 'clientId'>> = {},
  ): Promise<IConnackPacket> {
    this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.version,
      clean: true,
      keepalive: 0,
      clientId,
      ...more,
    })
    return await this.next('connack')
  }

  /** A packet identifier that was not used before. */
  id(): number {
    this.#lastId += 1
    return this.#lastId
  }

  /** Returns its packet identifier. */
  publish(topic: string, payload: string | Buffer, more: Publish = {}): number {
    const { qos = 1 } = more
    const messageId = more.messageId ?? this.id()
    const packet = { cmd: 'publish', topic, payload, qos, dup: false, retain: false } as const
    this.send({ ...packet, ...more, ...(qos === 0 ? {} : { messageId }) })
    return messageId
  }

  /** Publishes, and waits until the server has said that it has it. */
  async deliver(topic: string, payload: string | Buffer, more: Publish = {}): Promise<void> {
    const messageId = this.publish(topic, payload, more)
    const { qos = 1 } = more
    if (qos === 0) return await this.ping()
    assert.equal((await this.next(qos === 1 ? 'puback' : 'pubrec')).messageId, messageId)
    if (qos === 2) await this.release(messageId)
  }

  async release(messageId: number): Promise<number> {
    this.send({ cmd: 'pubrel', messageId })
    const { messageId: released, reasonCode = 0 } = await this.next('pubcomp')
    assert.equal(released, messageId)
    return reasonCode
  }

  /** The codes of SUBACK. */
  async subscribe(filters: string | readonly string[], qos: QoS = 1): Promise<readonly number[]> {
    const list = typeof filters === 'string' ? [filters] : filters
    const subscriptions = list.map((topic) => ({ topic, qos }))
    this.send({ cmd: 'subscribe', messageId: this.id(), subscriptions })
    const { granted } = await this.next('suback')
    return granted.map(Number)
  }

  /** What was sent before has been read, and nothing came but what `next` has been asked for. */
  async ping(): Promise<void> {
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp')
  }

  /** The next packet, which must be of this kind. */
  async next<C extends Packet['cmd']>(cmd: C): Promise<Extract<Came, { cmd: C }>> {
    const packet = await this.any()
    assert.ok(packet !== undefined, `the connection ended, and ${cmd} has not come`)
    assert.equal(packet.cmd, cmd, JSON.stringify(packet))
    return packet as Extract<Came, { cmd: C }>
  }

  /** The next packet; undefined: the connection is over. */
  async any(): Promise<Came | undefined> {
    while (this.#packets.length === 0 && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    return this.#packets.shift()
  }

  /** Acknowledges a PUBLISH and returns it. */
  async take(): Promise<IPublishPacket> {
    const packet = await this.next('publish')
    if (packet.qos === 1) this.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
    return packet
  }

  /**
   * Waits for the end of the connection, with nothing before it but DISCONNECT of MQTT 5; its code,
   * undefined when there was none.
   */
  async ended(): Promise<number | undefined> {
    await this.closed
    const [last, ...more] = this.#packets.splice(0)
    assert.deepEqual(more, [])
    if (last === undefined) return undefined
    assert.equal(last.cmd, 'disconnect', JSON.stringify(last))
    return last.reasonCode
  }

  /** The end of a refused CONNECT: CONNACK with this code, and nothing more. */
  async refusedWith(
    code: number,
    clientId = '',
    more: Partial<IConnectPacket> = {},
  ): Promise<void> {
    const connack = await this.connect(clientId, more)
    assert.equal(this.version === 5 ? connack.reasonCode : connack.returnCode, code)
    assert.equal(connack.sessionPresent, false)
    assert.equal(await this.ended(), undefined)
  }

  /** The end without a word. */
  async vanish(): Promise<void> {
    this.socket.destroy()
    await this.closed
  }

  async leave(reasonCode = 0, properties: IDisconnectPacket['properties'] = {}): Promise<void> {
    this.send({ cmd: 'disconnect', reasonCode, properties })
    await this.closed
  }
}
