/**
 * One MQTT connection: bytes in, bytes out, and the silence in between. What the packets mean is
 * the client's, which changes as the connection goes on: first whoever waits for CONNECT, then a
 * device or an application.
 *
 * Nothing is read while the peer is judged, while what it sent before is not durable in too great a
 * number, or while it does not take what is sent to it: TCP then tells the peer to wait.
 */
import type { TLSSocket } from 'node:tls'
import { PeerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import type { PeerChain } from '../peerChain.ts'
import { type Ending, Session } from '../session.ts'
import { Framer } from './framing.ts'
import type { MqttLimits } from './limits.ts'
import { type ClientPacket, type MqttVersion, reason } from './packets.ts'
import { parsePacket } from './parse.ts'
import { isMqtt5Connect, refusedConnack, versionConnack } from './wire.ts'
import { disconnect } from './write.ts'

/** Who speaks on a connection. */
export interface Client {
  /** Packets in their order. Throws PeerError for what ends the connection. */
  packet(packet: ClientPacket): void
  /** There may be something to send: it is new, or the socket takes bytes again. */
  wake?(): void
  /** Resolves when everything that was handed to the store has come back. Never rejects. */
  quiet?(): Promise<void>
  /** The connection is over; called once. */
  gone(): void
}

export interface ConnectionParts {
  readonly clock: Clock
  readonly limits: MqttLimits
  /** Who waits for CONNECT. */
  readonly begin: (connection: MqttConnection) => Client
  /** A packet that must not be: tells the operator and says what the peer is told. */
  readonly refused: (connection: MqttConnection, error: PeerError) => number
  /** Our own fault. */
  readonly broken: (connection: MqttConnection, error: unknown) => void
}

export type MqttOverdue = 'lifetime' | 'connect' | 'stalled' | 'keepAlive'

const endings: Readonly<Record<Ending, number>> = {
  ended: reason.notAuthorized,
  crowded: reason.quotaExceeded,
  unavailable: reason.serverBusy,
  closing: reason.serverShuttingDown,
}

export class MqttConnection extends Session {
  /** Of CONNECT; undefined before it. */
  version: MqttVersion | undefined
  /** Milliseconds of silence that end the connection; 0: none do. */
  silenceMsMax: Milliseconds = 0
  /** The operator knows that its peer wants messages retained. */
  isRetainTold = false
  readonly #parts: ConnectionParts
  readonly #framer: Framer
  readonly #flush: () => void
  #client: Client
  #out: Buffer[] = []
  #outBytes = 0
  #retry: ClientPacket | undefined
  #holds = 0
  #isPumping = false
  /** The first packet is a CONNECT of MQTT 5, whatever else is wrong with it. */
  #isMqtt5 = false
  #congestedSince: Milliseconds | undefined
  #heardAt: Milliseconds

  constructor(socket: TLSSocket, chain: PeerChain | undefined, parts: ConnectionParts) {
    super(socket, chain)
    this.#parts = parts
    this.#framer = new Framer(parts.limits.strangerBytesMax)
    this.#heardAt = parts.clock.now()
    this.#flush = () => this.#write()
    this.#client = parts.begin(this)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => socket.destroy()) // its end is told by 'close'
    socket.once('close', () => {
      this.isEnding = true
      this.#client.gone()
    })
  }

  /** Who speaks from now on. */
  become(client: Client, version: MqttVersion): void {
    this.#client = client
    this.version = version
    this.#heardAt = this.#parts.clock.now()
  }

  get isCongested(): boolean {
    return this.#congestedSince !== undefined
  }

  wake(): void {
    this.#client.wake?.()
  }

  /** Goes out with whatever else this turn has to say. */
  send(packet: Buffer): void {
    if (this.isEnding) return
    this.#outBytes += packet.length
    if (this.#out.push(packet) === 1) process.nextTick(this.#flush)
    // Who sends many in one turn is to see that it is too much before the turn is over.
    if (this.#outBytes > this.#parts.limits.unsentBytesMax) this.#write()
  }

  /** Reads nothing more until each hold is released. */
  hold(): void {
    this.#holds += 1
    if (this.#holds === 1) this.socket.pause()
  }

  release(): void {
    this.#holds -= 1
    if (this.#holds > 0 || this.isEnding) return
    // What it sent meanwhile lies unread: its silence begins now.
    if (this.version !== undefined) this.#heardAt = this.#parts.clock.now()
    this.socket.resume()
    this.#pump()
  }

  /** Before anything else that has come. The caller holds, and releases afterwards. */
  retry(packet: ClientPacket): void {
    this.#retry = packet
  }

  /** The peer has taken its leave. */
  bye(): void {
    this.#write()
    this.isEnding = true
    this.socket.resume()
    this.socket.destroySoon()
  }

  /** The last word: under MQTT 5 the peer learns the reason (§3.14), under 3.1.1 none. */
  finish(code: number, last?: Buffer): void {
    if (this.isEnding) return
    if (last !== undefined) this.send(last)
    else if (this.version === 5) this.send(disconnect(code))
    this.#write()
    this.isEnding = true
    // What is still coming is read and dropped: unread, it would make the peer's system discard our
    // last word (RFC 1122 §4.2.2.13).
    this.socket.resume()
    this.socket.destroySoon()
  }

  /**
   * Of a door that closes: what was handed to the store is acknowledged first, and nothing more is
   * read. The door does not wait for ever.
   */
  override end(why: Ending): void {
    const quiet = why === 'closing' ? this.#client.quiet?.() : undefined
    if (quiet === undefined) return this.finish(endings[why])
    this.hold()
    void quiet.then(() => this.finish(endings[why]))
  }

  overdue(now: Milliseconds): MqttOverdue | undefined {
    const { connectMsMax, stalledMsMax } = this.#parts.limits
    if (now > this.deadline) return 'lifetime'
    if (this.version === undefined)
      return now - this.#heardAt >= connectMsMax ? 'connect' : undefined
    if (this.#congestedSince !== undefined)
      return now - this.#congestedSince >= stalledMsMax ? 'stalled' : undefined
    // Held by us, it cannot be heard.
    if (this.silenceMsMax === 0 || this.#holds > 0) return undefined
    return now - this.#heardAt > this.silenceMsMax ? 'keepAlive' : undefined
  }

  #read(chunk: Buffer): void {
    if (this.isEnding) return
    // Before CONNECT the time runs from the beginning, however slowly bytes drip in.
    if (this.version !== undefined) this.#heardAt = this.#parts.clock.now()
    this.#framer.push(chunk)
    this.#pump()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      while (this.#holds === 0 && !this.isEnding) {
        if (this.standing.kind === 'pending') return this.#awaitVerdict(this.standing.settled)
        // Of who is in also CONNECT may be as long: its will is a message.
        if (this.holder !== undefined) this.#framer.bytesMax = this.#parts.limits.packetBytesMax
        const packet = this.#next()
        if (packet === undefined) return
        this.#client.packet(packet)
      }
    } catch (error) {
      this.#fault(error)
    } finally {
      this.#isPumping = false
    }
  }

  #next(): ClientPacket | undefined {
    const waited = this.#retry
    this.#retry = undefined
    if (waited !== undefined) return waited
    const frame = this.#framer.next()
    if (frame === undefined) return undefined
    if (this.version === undefined) this.#isMqtt5 = isMqtt5Connect(frame)
    return parsePacket(frame, this.version)
  }

  #awaitVerdict(settled: Promise<void>): void {
    this.hold()
    // Never rejects: what goes wrong is a standing too.
    void settled.then(() => this.release())
  }

  /** A packet was not as it must be, or we failed at it. */
  #fault(error: unknown): void {
    if (!(error instanceof PeerError)) {
      this.#parts.broken(this, error)
      return this.finish(reason.unspecified)
    }
    const code = this.#parts.refused(this, error)
    this.finish(code, versionConnack(error) ?? this.#connackOf(code))
  }

  /**
   * Of a CONNECT that is not as it must be: MQTT 5 lets a server say why [MQTT-3.1.4-1], 3.1.1 does
   * not [MQTT-3.1.4-1].
   */
  #connackOf(code: number): Buffer | undefined {
    const isAnswered = this.version === undefined && this.#isMqtt5
    return isAnswered ? refusedConnack(5, code) : undefined
  }

  #write(): void {
    if (this.#out.length === 0 || this.socket.destroyed) return
    const out = this.#out
    this.#out = []
    this.#outBytes = 0
    const [first] = out
    const takesMore = this.socket.write(out.length === 1 && first ? first : Buffer.concat(out))
    if (takesMore || this.socket.writableLength <= this.#parts.limits.unsentBytesMax) return
    if (this.#congestedSince !== undefined) return
    this.#congestedSince = this.#parts.clock.now()
    this.hold()
    this.socket.once('drain', () => {
      this.#congestedSince = undefined
      this.#client.wake?.()
      this.release()
    })
  }
}
