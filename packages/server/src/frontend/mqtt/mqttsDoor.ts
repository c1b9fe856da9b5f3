/**
 * The mqtts door: MQTT 3.1.1 and 5 on TLS 1.3 for devices, and for applications with a certificate.
 * Same gate, same judge, same registry, same intake as https; what MQTT says of it is in this
 * folder.
 */
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { isCountersignError, type PeerError } from '@countersign/core/errors'
import type { Random } from '@countersign/core/ports'
import { type ListenAddress, listen } from '../../listen.ts'
import type {
  ApplicationFeed,
  DeviceCommands,
  MessageDraft,
  Notice,
  Store,
  Timers,
} from '../../ports.ts'
import { Gate, type GateCounters, type ServerCredential, tlsOptions } from '../gate.ts'
import { Intake } from '../intake.ts'
import { SessionNews } from '../sessionNews.ts'
import { Sessions, type SessionsParts } from '../sessions.ts'
import { TicketKeys } from '../ticketKeys.ts'
import { Clients } from './clients.ts'
import { type ConnectionParts, MqttConnection } from './connection.ts'
import { Entrance, type EntranceParts } from './entrance.ts'
import { Follower } from './follower.ts'
import { type MqttLimits, mqttLimits } from './limits.ts'
import { reason } from './packets.ts'
import { Wills } from './wills.ts'
import { reasonFor } from './wire.ts'

export interface MqttsDoorParts extends Omit<SessionsParts, 'limits' | 'news'> {
  readonly store: Pick<Store, 'get' | 'find' | 'scan' | 'apply'>
  readonly commands: DeviceCommands
  readonly feed: ApplicationFeed
  readonly timers: Timers
  readonly random: Random
  readonly limits?: Partial<MqttLimits>
}

export interface MqttsCounters extends GateCounters {
  overdue: number
}

const sessionContext = 'countersign-mqtts'
/** Sessions that nobody came back to are looked for this often. */
const forgetEveryMs = 3_600_000

export class MqttsDoor {
  readonly counters: MqttsCounters = { connections: 0, overLimit: 0, tlsErrors: 0, overdue: 0 }
  readonly #parts: MqttsDoorParts
  readonly #limits: MqttLimits
  readonly #gate: Gate
  readonly #server: Server
  readonly #tickets: TicketKeys
  readonly #sessions: Sessions<MqttConnection>
  readonly #clients: Clients
  readonly #intake: Intake
  readonly #wills: Wills
  readonly #entrance: EntranceParts
  readonly #follower: Follower
  readonly #timers: Map<string, { cancel(): void }> = new Map()
  #stopListening: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(parts: MqttsDoorParts, credential: ServerCredential) {
    const limits = { ...mqttLimits, ...parts.limits }
    this.#parts = parts
    this.#limits = limits
    this.#gate = new Gate(parts.clock, limits, this.counters)
    this.#clients = new Clients({
      ...parts,
      limits,
      ended: (session) => this.#wills.ended(session),
    })
    this.#intake = new Intake({ ...parts, limits, road: 'mqtts' })
    this.#wills = new Wills({
      timers: parts.timers,
      limits,
      admitted: (chain) => this.#sessions.admitted(chain),
      wait: (admitted) => this.#intake.wait(admitted),
      publish: (draft) => this.#publishWill(draft),
      dropped: ({ device }) =>
        parts.log.warn({ code: 'ERR_MESSAGE_RATE', device: device.id }, 'a will came too fast'),
    })
    this.#follower = new Follower({
      ...parts,
      passEveryMs: limits.positionSaveMs,
      failed: (error) => this.#failed('messages could not be read', error),
    })
    this.#entrance = this.#entranceParts()
    const connectionParts = this.#connectionParts()
    this.#sessions = new Sessions(
      { ...parts, limits, news: new SessionNews({ ...parts, road: 'mqtts' }) },
      {
        road: 'mqtts',
        letsIn: 'applications',
        make: (socket, chain) => new MqttConnection(socket, chain, connectionParts),
        // Who is judged is sent nothing: what came meanwhile still waits.
        settled: (connection) => connection.wake(),
      },
    )
    this.#server = this.#createServer(credential)
    this.#tickets = new TicketKeys(parts)
    this.#tickets.install(this.#server)
  }

  async open(at: ListenAddress): Promise<number> {
    await this.#clients.start()
    const port = await listen(this.#server, 'mqtts', at)
    this.#stopListening = this.#parts.notices.listen((notice) => this.#noticed(notice))
    this.#every('sweep', this.#limits.sweepMs, () =>
      this.#sessions.sweep((connection) => this.#overdue(connection)),
    )
    this.#every('forget', forgetEveryMs, () => {
      this.#clients.forgetExpired().catch((error: unknown) => this.#failed('sessions stay', error))
    })
    return port
  }

  /** A renewed leaf; connections that are open keep theirs. */
  setCredential(credential: ServerCredential): void {
    this.#server.setSecureContext(tlsOptions(credential, sessionContext))
    this.#tickets.install(this.#server)
  }

  /**
   * No new connection; those that are open are told so and end. What they had handed to the store is
   * waited for, and wills are published, for at most `graceMs`.
   */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs)
    return this.#closing
  }

  async #close(graceMs: number): Promise<void> {
    const late = this.#parts.timers.after(graceMs, () => this.#gate.destroyAll())
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#stopListening?.()
    this.#sessions.close()
    await closed
    await this.#sessions.empty()
    late.cancel()
    for (const timer of this.#timers.values()) timer.cancel()
    this.#follower.close()
    await this.#clients.settled()
    await this.#wills.close()
  }

  #createServer(credential: ServerCredential): Server {
    const server = createServer({
      ...tlsOptions(credential, sessionContext),
      requestCert: true,
      rejectUnauthorized: false, // our judge decides, in sessions.ts
      handshakeTimeout: this.#limits.handshakeMsMax,
      // A client that names no protocol is taken; one that names another is at the wrong door.
      ALPNProtocols: ['mqtt'],
      noDelay: true,
      // A peer that has vanished, and had asked for no keep alive, is found by TCP.
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
    })
    this.#gate.guard(server)
    server.on('secureConnection', (socket: TLSSocket) => {
      if (this.#closing === undefined) this.#sessions.open(socket)
      else socket.destroy()
    })
    return server
  }

  #entranceParts(): EntranceParts {
    const { registry, commands, feed, timers, random, clock } = this.#parts
    const limits = this.#limits
    const common = {
      clients: this.#clients,
      timers,
      limits,
      refused: (connection: MqttConnection, error: PeerError) => this.#refused(connection, error),
      failed: (what: string, error: unknown) => this.#failed(what, error),
      ignored: (connection: MqttConnection) => this.#ignored(connection),
    }
    return {
      ...common,
      random,
      isDevice: (id) => registry.isDevice(id),
      application: { ...common, feed, follower: this.#follower },
      device: {
        ...common,
        commands,
        intake: this.#intake,
        wills: this.#wills,
        underway: new Set(),
        wakeOthers: (device) => this.#wake(device),
        now: () => clock.now(),
      },
    }
  }

  #connectionParts(): ConnectionParts {
    return {
      clock: this.#parts.clock,
      limits: this.#limits,
      begin: (connection) => new Entrance(connection, this.#entrance),
      refused: (connection, error) => {
        this.#refused(connection, error)
        return reasonFor(error)
      },
      broken: (connection, error) =>
        this.#failed(`a packet of ${connection.address} could not be worked on`, error),
    }
  }

  #noticed(notice: Notice): void {
    if (notice.kind === 'messages') this.#follower.wake()
    if (notice.kind === 'commands') this.#wake(notice.device)
  }

  #wake(holder: string): void {
    for (const connection of this.#sessions.ofHolder(holder)) connection.wake()
  }

  #overdue(connection: MqttConnection): void {
    this.counters.overdue++
    const why = connection.overdue(this.#parts.clock.now())
    if (why === 'keepAlive') return connection.finish(reason.keepAliveTimeout)
    connection.socket.destroy()
  }

  async #publishWill(draft: MessageDraft): Promise<void> {
    try {
      await this.#intake.store(draft)
    } catch (error) {
      this.#failed('a will was not published', error)
    }
  }

  /** CONNACK of MQTT 5 has told the client; under 3.1.1 nobody can. */
  #ignored(connection: MqttConnection): void {
    if (connection.isRetainTold) return
    connection.isRetainTold = true
    this.#sessions.note(connection, 'messages are not retained: the flag is ignored')
  }

  #refused(connection: MqttConnection, error: PeerError): void {
    const { code, message, where, hint } = error
    this.#sessions.refused(connection, {
      code,
      message,
      ...(where === undefined ? {} : { where }),
      ...(hint === undefined ? {} : { hint }),
    })
  }

  #failed(what: string, error: unknown): void {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `${what}: ${String(error)}`)
  }

  #every(name: string, milliseconds: number, run: () => void): void {
    const timer = this.#parts.timers.after(milliseconds, () => {
      this.#every(name, milliseconds, run)
      run()
    })
    this.#timers.set(name, timer)
  }
}
