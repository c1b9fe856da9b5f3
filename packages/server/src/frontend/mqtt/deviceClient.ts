/**
 * A device on its MQTT connection: what it publishes is stored before it is acknowledged (QoS 1 by
 * PUBACK, QoS 2 by PUBREC, each message once), what it subscribes to are its own commands, and its
 * will is its message.
 *
 * Left out, and said so in CONNACK: retained messages (the flag is ignored), subscription
 * identifiers, shared subscriptions, topic aliases.
 */
import { PeerError } from '@countersign/core/errors'
import type { Admitted, DeviceCommands, RoadErrorCode, Timers } from '../../ports.ts'
import type { Intake } from '../intake.ts'
import { Acks } from './acks.ts'
import type { Clients, LiveClient, MqttSession, Seat } from './clients.ts'
import type { Client, MqttConnection } from './connection.ts'
import { Courier } from './courier.ts'
import { FilterSet } from './filters.ts'
import { incomingOf, requireNoAlias } from './incoming.ts'
import type { MqttLimits } from './limits.ts'
import { type ClientPacket, type DisconnectPacket, type PublishPacket, reason } from './packets.ts'
import { Received } from './received.ts'
import { refusal } from './refusals.ts'
import { Subscriptions } from './subscriptions.ts'
import { destinationOf, isOwnFilter, ownTopics } from './topics.ts'
import type { Will, Wills } from './wills.ts'
import { changedExpiry, endsConnection, reasonFor } from './wire.ts'
import { ack, pingresp } from './write.ts'

export interface DeviceParts {
  readonly clients: Clients
  readonly intake: Intake
  readonly commands: DeviceCommands
  readonly wills: Wills
  readonly timers: Timers
  readonly limits: MqttLimits
  readonly underway: Set<string>
  readonly wakeOthers: (device: string) => void
  readonly now: () => number
  /** Tells the operator of what this device may not do. */
  readonly refused: (connection: MqttConnection, error: PeerError) => void
  readonly failed: (what: string, error: unknown) => void
  /** Tells the operator that a retain flag is ignored; once is enough. */
  readonly ignored: (connection: MqttConnection) => void
}

/** What CONNECT of this device said, beside its session. */
export interface DeviceTerms {
  readonly seat: Seat
  readonly will: Will | undefined
  /** At most so many QoS 1 packets at once, and none larger. */
  readonly sendMaximum: number
  readonly packetBytesMax: number
}

export class DeviceClient implements Client, LiveClient {
  readonly #connection: MqttConnection
  readonly #session: MqttSession
  readonly #seat: Seat
  readonly #parts: DeviceParts
  readonly #acks: Acks
  readonly #subscriptions: Subscriptions
  readonly #courier: Courier
  readonly #received: Received
  readonly #eui64: string
  #will: Will | undefined
  #inFlight = 0
  #expiryMs: number | undefined
  #isQuiet: (() => void) | undefined
  /** A packet waits, for room or for its pace: how it gives up. */
  #giveUp: (() => void) | undefined

  constructor(
    connection: MqttConnection,
    session: MqttSession,
    admitted: Admitted,
    terms: DeviceTerms,
    parts: DeviceParts,
  ) {
    const { device } = admitted
    this.#connection = connection
    this.#session = session
    this.#seat = terms.seat
    this.#parts = parts
    this.#eui64 = device.eui64
    this.#will = terms.will
    this.#received = new Received(parts.clients, session, parts.limits.unreleasedMax)
    this.#acks = new Acks((packet) => connection.send(packet))
    const filters = new FilterSet()
    this.#subscriptions = new Subscriptions(connection, session, filters, {
      ...parts,
      isAllowed: (filter) => isOwnFilter(filter, device.eui64),
      own: ownTopics(device.eui64),
    })
    this.#courier = new Courier(connection, device, filters, {
      ...parts,
      ...terms,
      failed: (error) => {
        parts.failed('a command was not delivered', error)
        connection.finish(reason.serverBusy)
      },
    })
    this.#courier.wake()
  }

  packet(packet: ClientPacket): void {
    switch (packet.type) {
      case 'publish':
        return this.#publish(packet)
      case 'puback':
        return this.#courier.acknowledged(packet.packetId, packet.reason)
      case 'pubrel':
        return this.#release(packet.packetId)
      // Of a kept session each is a write, and counts like a message.
      case 'subscribe':
        if (this.#waitsForPace(packet)) return
        return this.#subscriptions.subscribe(packet, () => this.#courier.wake())
      case 'unsubscribe':
        if (this.#waitsForPace(packet)) return
        return this.#subscriptions.unsubscribe(packet)
      case 'pingreq':
        return this.#connection.send(pingresp())
      case 'disconnect':
        return this.#disconnect(packet)
      case 'pubrec':
      case 'pubcomp':
        throw refusal('ERR_MQTT_PROTOCOL', 'nothing was sent to it at QoS 2', packet.type)
      case 'auth':
        throw refusal('ERR_MQTT_PROTOCOL', 'no authentication was begun', packet.type)
      case 'connect':
        throw refusal('ERR_MQTT_PROTOCOL', 'CONNECT came a second time', packet.type)
    }
  }

  wake(): void {
    this.#courier.wake()
  }

  gone(): void {
    this.#part(false)
    const { clients, failed } = this.#parts
    const last = this.#expiryMs === undefined ? {} : { expiryMs: this.#expiryMs }
    clients
      .leave(this.#session, this.#seat, last, this.quiet())
      .catch((error: unknown) => failed('an MQTT session was not written', error))
  }

  takenOver(isContinued: boolean): Promise<void> {
    this.#part(isContinued)
    this.#connection.finish(reason.sessionTakenOver)
    return this.quiet()
  }

  #publish(packet: PublishPacket): void {
    const { standing } = this.#connection
    // The pump hands nothing over while the device is judged again.
    if (standing.kind !== 'admitted') return
    if (packet.retain) this.#parts.ignored(this.#connection)
    if (packet.qos === 2) {
      const known = this.#received.has(packet.packetId) ? this.#positive(packet) : undefined
      if (known !== undefined) return this.#acks.now(known)
      this.#received.requireRoom()
    }
    if (this.#waitsForRoom(packet) || this.#waitsForPace(packet)) return
    try {
      this.#accept(packet, standing.admitted)
    } catch (error) {
      if (!(error instanceof PeerError) || this.#endsWith(error, packet)) throw error
      this.#parts.refused(this.#connection, error)
      const type = packet.qos === 2 ? 'pubrec' : 'puback'
      this.#acks.now(ack(type, packet.packetId, 5, reasonFor(error)))
    }
  }

  #accept(packet: PublishPacket, admitted: Admitted): void {
    requireNoAlias(packet.properties)
    const destination = destinationOf(packet.topic, this.#eui64)
    if (packet.payload.length > this.#parts.limits.messageBytesMax)
      throw tooLong(this.#parts.limits.messageBytesMax)
    const incoming = incomingOf(packet)
    if (destination.kind === 'message') {
      const draft = this.#parts.intake.draft(admitted, { ...incoming, topic: destination.topic })
      const beside = packet.qos === 2 ? this.#received.add(packet.packetId) : undefined
      return this.#store(packet, this.#parts.intake.store(draft, beside))
    }
    const { command, refused } = destination
    const answer = {
      state: refused ? 'refused' : 'answered',
      contentType: incoming.data.contentType,
      body: packet.payload,
    } as const
    if (packet.qos === 2) this.#received.addOther(packet.packetId)
    this.#store(packet, this.#parts.commands.answered(admitted.device.id, command, answer))
  }

  #store(packet: PublishPacket, done: Promise<unknown>): void {
    const { qos, packetId } = packet
    const undo = qos === 2 ? (): void => this.#received.forget(packetId) : undefined
    this.#until(done, this.#positive(packet), undo)
  }

  /** Answers when it is durable. What cannot be stored ends the connection: it comes again. */
  #until(done: Promise<unknown>, answer: Buffer | undefined, undo?: () => void): void {
    const acknowledge = answer === undefined ? undefined : this.#acks.later()
    this.#inFlight += 1
    if (this.#inFlight === this.#parts.limits.receiveMaximum) this.#connection.hold()
    done.then(
      () => {
        if (answer !== undefined) acknowledge?.(answer)
        this.#ended()
      },
      (error: unknown) => {
        undo?.()
        this.#parts.failed('what a device sent was not stored', error)
        this.#connection.finish(reason.serverBusy)
        this.#ended()
      },
    )
  }

  #ended(): void {
    if (this.#inFlight === this.#parts.limits.receiveMaximum) this.#connection.release()
    this.#inFlight -= 1
    if (this.#inFlight === 0) this.#isQuiet?.()
  }

  /** Everything that was handed to the store has come back. */
  quiet(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const before = this.#isQuiet
      this.#isQuiet = (): void => {
        before?.()
        resolve()
      }
    })
  }

  /** QoS 2: what was stored is acknowledged again, and not stored again (MQTT 5 §4.3.3). */
  #positive({ qos, packetId }: PublishPacket): Buffer | undefined {
    const { version = 4 } = this.#connection
    if (qos === 0) return undefined
    return ack(qos === 2 ? 'pubrec' : 'puback', packetId, version, reason.success)
  }

  #release(packetId: number): void {
    const { version = 4 } = this.#connection
    const released = this.#received.release(packetId)
    const isKnown = released !== undefined || version === 4
    const code = isKnown ? reason.success : reason.packetIdentifierNotFound
    const answer = ack('pubcomp', packetId, version, code)
    if (released === undefined) this.#acks.now(answer)
    else this.#until(released, answer)
  }

  /** The door has too much in hand: this packet waits, and with it all that follows. */
  #waitsForRoom(packet: PublishPacket): boolean {
    const { intake } = this.#parts
    if (!intake.isFull) return false
    this.#connection.hold()
    this.#giveUp = intake.whenRoom(() => this.#resume(packet))
    return true
  }

  /**
   * Faster than its product allows, a device is read more slowly: MQTT 3.1.1 has no word for "later",
   * and a refused message would be a lost one.
   */
  #waitsForPace(packet: ClientPacket): boolean {
    const { intake, limits, timers } = this.#parts
    const { standing } = this.#connection
    // The pump hands nothing over while the device is judged again.
    if (standing.kind !== 'admitted') return true
    const { admitted } = standing
    const wait = intake.wait(admitted)
    if (wait === 0) return false
    if (wait > limits.paceMsMax) throw tooFast(admitted)
    this.#connection.hold()
    const timer = timers.after(wait, () => this.#resume(packet))
    this.#giveUp = () => timer.cancel()
    return true
  }

  /** The packet that waited comes first. */
  #resume(packet: ClientPacket): void {
    this.#giveUp = undefined
    this.#connection.retry(packet)
    this.#connection.release()
  }

  /** Under 3.1.1, and at QoS 0, there is no way to say no but to end the connection. */
  #endsWith(error: PeerError, { qos }: PublishPacket): boolean {
    return qos === 0 || this.#connection.version !== 5 || endsConnection(error)
  }

  #disconnect(packet: DisconnectPacket): void {
    this.#expiryMs = changedExpiry(packet, this.#session, this.#parts.limits.sessionExpiryMsMax)
    // [MQTT-3.14.4-3]: with every other code the will is said.
    if (packet.reason === reason.success) this.#will = undefined
    this.#connection.bye()
  }

  /** Whatever of this device was on its way here; once, however the connection ended. */
  #part(isContinued: boolean): void {
    this.#giveUp?.()
    this.#courier.gone()
    const will = this.#will
    this.#will = undefined
    // [MQTT-3.1.3-9]: a will that waits is taken back by the session that goes on.
    if (will === undefined) return
    // MQTT 5 §3.1.3.2.2: or at the end of the session, if that is sooner.
    const delayMs = Math.min(will.delayMs, this.#expiryMs ?? will.delayMs)
    if (isContinued && delayMs > 0) return
    this.#parts.wills.left(this.#session.key, will, delayMs)
  }
}

function tooLong(bytesMax: number): PeerError {
  const about = { where: 'publish', hint: 'Send less in one message.' }
  const message = `a message has at most ${bytesMax} bytes`
  return new PeerError<RoadErrorCode>('ERR_MESSAGE_SIZE', message, {}, about)
}

function tooFast({ messagesPerMinute }: Admitted): PeerError {
  const message = `this device may send ${messagesPerMinute} messages a minute`
  return new PeerError<RoadErrorCode>(
    'ERR_MESSAGE_RATE',
    message,
    {},
    { where: 'publish', hint: 'Send less often, or raise --messages-per-minute of its product.' },
  )
}
