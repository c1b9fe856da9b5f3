/**
 * Readings over mqtts: PUBLISH at QoS 1 below `devices/<eui64>/`, taken when the server acknowledges
 * it. The number of a reading travels as a user property, so that it is the same event as over
 * https. The connection stays; it is made anew when it has ended or the credential has changed. A
 * device that takes commands gets them on it, and keeps it while there is nothing to send.
 */
import { PeerError } from '@countersign/core/errors'
import { describe } from './certificate.ts'
import type { DeviceErrorCode } from './errors.ts'
import { patienceOf, unreachable } from './failures.ts'
import { connectJudged } from './judgedSocket.ts'
import type { MqttCommands } from './mqttCommands.ts'
import type { MqttConnection } from './mqttConnection.ts'
import { judgeEnd, judgeReason, type Said, success } from './mqttReasons.ts'
import type { Problem } from './problem.ts'
import { refusalOf } from './refusal.ts'
import { Later } from './retry.ts'
import type { Outcome, Road, RoadParts } from './road.ts'
import { requireEnrolled } from './state/folder.ts'
import type { Credential } from './state/identity.ts'
import type { Reading } from './state/outbox.ts'
import type { ServerTarget } from './target.ts'
import { isReserved, reservedWords } from './topic.ts'
import { fired } from './world.ts'

type MqttsRoadParts = Omit<RoadParts, 'commands'> & {
  readonly commands?: MqttCommands | undefined
}

interface Open {
  /** Of the credential under which it was opened. */
  readonly certificates: string
  readonly connection: MqttConnection
  /** Why no commands come on it. Readings go all the same. */
  uncommanded?: Said
}

export class MqttsRoad implements Road {
  readonly #parts: MqttsRoadParts
  readonly #target: ServerTarget
  #open: Open | undefined
  #closing: AbortController = new AbortController()

  constructor(parts: MqttsRoadParts, target: ServerTarget) {
    this.#parts = parts
    this.#target = target
  }

  async deliver(reading: Reading): Promise<Outcome> {
    const { number, topic, contentType, data } = reading
    // Kept for https and now on this road: the server would take it for an answer to a command.
    if (isReserved(topic)) return { kind: 'rejected', problem: reserved }
    const { current } = requireEnrolled(this.#parts.state.folder, this.#parts.state.identity)
    const eui64 = this.#eui64(current)
    const id = `${eui64}-${number}`
    const entered = await this.#enter(current, eui64)
    if ('packet' in entered) return judgeReason(entered, id)
    const said = await entered.connection.publish({
      topic: `devices/${eui64}/${topic}`,
      contentType,
      data,
      user: { 'countersign-number': String(number) },
    })
    return judgeReason(said, id)
  }

  async attend(signal: AbortSignal): Promise<void> {
    if (this.#parts.commands === undefined) return fired(signal)
    const { current } = requireEnrolled(this.#parts.state.folder, this.#parts.state.identity)
    const entered = await this.#enter(current, this.#eui64(current))
    const said = 'packet' in entered ? entered : await endOf(entered, signal)
    if (said === undefined) return
    this.close()
    const { isRefusal, problem } = judgeEnd(said)
    if (isRefusal) throw this.refusal(problem)
    throw new Later('commands do not come', problem, undefined, 'The connection is made again.')
  }

  refusal(problem: Problem): Error {
    return refusalOf(this.#parts.state, this.#parts.world, problem)
  }

  close(): void {
    this.#closing.abort()
    this.#open?.connection.close()
    this.#open = undefined
  }

  /** A connection that the server has let in, or what it said instead. */
  async #enter(credential: Credential, eui64: string): Promise<Open | Said> {
    const { certificates } = credential
    const before = this.#open
    if (before?.connection.isOpen === true && before.certificates === certificates) return before
    this.close()
    const connection = await this.#connect(credential, eui64)
    const open: Open = { certificates, connection }
    this.#open = open
    const said = await connection.connected()
    if (said.code !== success) return said
    // Before the first reading: many of them would hold up the commands.
    const subscribed = await this.#parts.commands?.begin({
      connection,
      eui64,
      target: this.#target,
    })
    if (subscribed !== undefined && subscribed.code !== success) open.uncommanded = subscribed
    return open
  }

  async #connect({ slot, certificates }: Credential, clientId: string): Promise<MqttConnection> {
    const { state, world, listener, commands } = this.#parts
    const target = this.#target
    const closing = new AbortController()
    this.#closing = closing
    // The library takes a while to load; a device on another road does without it.
    const { MqttConnection: Connection } = await import('./mqttConnection.ts')
    const options = {
      world,
      target,
      credential: { element: state.element, slot, certificates },
      onConnected: () => listener({ event: 'connected', server: target.url }),
      onDisconnected: () => listener({ event: 'disconnected', server: target.url }),
    }
    const socket = await connectJudged(options, 'mqtt', closing.signal)
    if (closing.signal.aborted || socket.destroyed) {
      socket.destroy()
      throw unreachable(target, undefined)
    }
    return new Connection(socket, {
      target,
      clientId,
      answerMs: patienceOf(world).answerMs,
      ...(commands === undefined ? {} : { arrived: (arrival) => commands.arrived(arrival) }),
    })
  }

  #eui64({ certificates }: Credential): string {
    const { eui64 } = describe(certificates)
    if (eui64 !== '') return eui64
    throw new PeerError<DeviceErrorCode>(
      'ERR_CERT_MISMATCH',
      'the certificate of this device names no EUI-64, and without one it has no topic',
      {},
      { hint: 'Use --road https, or enrol again at a server that gives an EUI-64.' },
    )
  }
}

/** What ended the connection, or why it is of no use to wait on it. */
async function endOf(
  { connection, uncommanded }: Open,
  signal: AbortSignal,
): Promise<Said | undefined> {
  return uncommanded ?? connection.ended(signal)
}

/** As the server would say it: Topic Name invalid (MQTT 5 §2.4). */
const reserved: Problem = {
  status: 0x90,
  code: undefined,
  message: `over mqtts a topic does not begin with ${reservedWords}`,
  hint: undefined,
}
