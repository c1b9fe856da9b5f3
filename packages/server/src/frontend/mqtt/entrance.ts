/**
 * CONNECT (MQTT 5 §3.1, 3.1.1 §3.1): the first packet, once. The certificate has said who the peer
 * is; user name and password are not asked for. The client id is free text of its holder; the will
 * is judged like any message. Then the session is opened or continued, and CONNACK tells the peer
 * what it may count on.
 */
import { PeerError } from '@countersign/core/errors'
import type { Random } from '@countersign/core/ports'
import type { Admitted, AdmittedApplication, RoadErrorCode } from '../../ports.ts'
import { ApplicationClient, type ApplicationParts } from './applicationClient.ts'
import { type LiveClient, type MqttSession, Seat } from './clients.ts'
import type { Client, MqttConnection } from './connection.ts'
import { DeviceClient, type DeviceParts } from './deviceClient.ts'
import { incomingOf } from './incoming.ts'
import type { MqttLimits } from './limits.ts'
import { type ClientPacket, type ConnectPacket, reason } from './packets.ts'
import { destinationOf } from './topics.ts'
import type { Will } from './wills.ts'
import { expiryOf, reasonFor, refusedConnack } from './wire.ts'
import { connack } from './write.ts'

export interface EntranceParts {
  readonly device: DeviceParts
  readonly application: ApplicationParts
  readonly random: Random
  readonly limits: MqttLimits
  readonly isDevice: (id: string) => Promise<boolean>
  readonly refused: (connection: MqttConnection, error: PeerError) => void
  readonly failed: (what: string, error: unknown) => void
}

/** Keep alive times one and a half (MQTT 5 §3.1.2.10). */
const silenceFactor = 1_500
const namesDevice = /^(?:urn:dev:mac:)?([0-9a-f]{16})$/

/** Waits for CONNECT: the first of a connection's clients. */
export class Entrance implements Client {
  readonly #connection: MqttConnection
  readonly #parts: EntranceParts

  constructor(connection: MqttConnection, parts: EntranceParts) {
    this.#connection = connection
    this.#parts = parts
  }

  packet(packet: ClientPacket): void {
    // The parser takes nothing else before CONNECT.
    if (packet.type !== 'connect') return
    const connection = this.#connection
    connection.hold()
    this.#enter(packet)
      .catch((error: unknown) => this.#refuse(packet, error))
      .finally(() => connection.release())
  }

  gone(): void {
    // Nothing was promised yet; one that is entering finds out by itself.
  }

  async #enter(connect: ConnectPacket): Promise<void> {
    const { standing } = this.#connection
    // [MQTT-4.12.0-1]
    if (connect.properties.authenticationMethod !== undefined)
      throw refusal('ERR_MQTT_AUTH', 'no authentication method is known here', 'CONNECT')
    switch (standing.kind) {
      case 'admitted':
        return await this.#asDevice(connect, standing.admitted)
      case 'application':
        return await this.#asApplication(connect, standing.admitted)
      case 'anonymous':
        throw refusal('ERR_CERT_MISSING', 'no certificate was shown', 'TLS')
      case 'refused': // told already, when it was judged
      case 'enrolling':
        return this.#connection.finish(
          reason.notAuthorized,
          refusedConnack(connect.version, reason.notAuthorized),
        )
      case 'pending':
      case 'unavailable':
        return this.#connection.finish(
          reason.serverUnavailable,
          refusedConnack(connect.version, reason.serverUnavailable),
        )
    }
  }

  async #asDevice(connect: ConnectPacket, admitted: Admitted): Promise<void> {
    const { device } = admitted
    const named = namesDevice.exec(connect.clientId.toLowerCase())?.[1]
    if (named !== undefined && named !== device.eui64 && (await this.#isDevice(named)))
      throw refusal('ERR_CLIENT_ID_FOREIGN', 'the client id names another device', 'client id')
    const will = this.#willOf(connect, admitted)
    const { limits } = this.#parts
    const { receiveMaximum = 0xffff, maximumPacketSize = Number.POSITIVE_INFINITY } =
      connect.properties
    await this.#open(connect, device.id, (session, seat) => {
      const sendMaximum = Math.min(receiveMaximum, limits.sendMaximum)
      const terms = { seat, will, sendMaximum, packetBytesMax: maximumPacketSize }
      return new DeviceClient(this.#connection, session, admitted, terms, this.#parts.device)
    })
  }

  async #asApplication(connect: ConnectPacket, admitted: AdmittedApplication): Promise<void> {
    const { application } = admitted
    const { limits } = this.#parts
    const { receiveMaximum = 0xffff, maximumPacketSize = Number.POSITIVE_INFINITY } =
      connect.properties
    await this.#open(connect, application.id, (session, seat) => {
      const sendMaximum = Math.min(receiveMaximum, limits.sendMaximum)
      const terms = { seat, sendMaximum, packetBytesMax: maximumPacketSize }
      return new ApplicationClient(
        this.#connection,
        session,
        application,
        terms,
        this.#parts.application,
      )
    })
  }

  #isDevice(eui64: string): Promise<boolean> {
    return this.#parts.isDevice(`urn:dev:mac:${eui64}`)
  }

  async #open(
    connect: ConnectPacket,
    holder: string,
    make: (session: MqttSession, seat: Seat) => Client & LiveClient,
  ): Promise<void> {
    const { limits } = this.#parts
    const connection = this.#connection
    const { clientId, isAssigned } = this.#clientIdOf(connect)
    const expiryMs = expiryOf(connect, limits.sessionExpiryMsMax)
    const { clients, wills } = this.#parts.device
    const seat = new Seat()
    const entry = { holder, clientId, clean: connect.clean, expiryMs }
    const session = await clients.enter(entry, seat)
    // Taken over, or cut off, before it was in.
    if (seat.isLost) connection.finish(reason.sessionTakenOver)
    if (connection.isEnding) return await clients.leave(session, seat, {})
    const welcome = this.#welcome(connect, session, isAssigned ? clientId : undefined)
    wills.returned(session.key, session.isPresent)
    const client = make(session, seat)
    seat.client = client
    connection.silenceMsMax = connect.keepAlive * silenceFactor
    connection.send(welcome)
    connection.become(client, connect.version)
  }

  #clientIdOf({ clientId, version, clean }: ConnectPacket): {
    readonly clientId: string
    readonly isAssigned: boolean
  } {
    const { limits, random } = this.#parts
    if (Buffer.byteLength(clientId) > limits.clientIdBytesMax)
      throw refusal('ERR_CLIENT_ID', 'the client id is too long', 'client id')
    if (clientId !== '') return { clientId, isAssigned: false }
    // [MQTT-3.1.3-8] of 3.1.1: who would come back needs a name.
    if (version === 4 && !clean)
      throw refusal('ERR_CLIENT_ID', 'a session that is kept needs a client id', 'client id')
    const drawn = Buffer.from(random.bytes(12)).toString('hex')
    return { clientId: `auto-${drawn}`, isAssigned: true }
  }

  /** Throws PeerError: a will is judged when it is left, not when it is due. */
  #willOf({ will, version, properties }: ConnectPacket, admitted: Admitted): Will | undefined {
    const { chain } = this.#connection
    if (will === undefined || chain === undefined) return undefined
    // [MQTT-3.2.2-13]; 3.1.1 leaves it to the server, and stock clients set it.
    if (will.retain && version === 5)
      throw refusal('ERR_MQTT_RETAIN', 'a will is not retained here', 'will retain')
    if (will.retain) this.#parts.device.ignored(this.#connection)
    const destination = destinationOf(will.topic, admitted.device.eui64)
    if (destination.kind !== 'message')
      throw refusal('ERR_TOPIC', 'a will is a message, not an answer', 'will topic')
    const incoming = incomingOf(will)
    const { intake, limits } = this.#parts.device
    if (will.payload.length > limits.willBytesMax)
      throw refusal('ERR_MESSAGE_SIZE', 'the will is longer than a message may be', 'will')
    // It outlives the packet that it was read from.
    const topic = destination.topic
    const delay = Math.min(will.properties.willDelay ?? 0, properties.sessionExpiry ?? 0)
    return {
      delayMs: version === 5 ? Math.min(delay * 1000, limits.sessionExpiryMsMax) : 0,
      chain,
      draft: (now) => intake.draft(now, { ...incoming, topic }),
    }
  }

  #welcome(connect: ConnectPacket, session: MqttSession, assigned: string | undefined): Buffer {
    const { limits } = this.#parts
    const { version, properties } = connect
    const asked = properties.sessionExpiry ?? 0
    const given = session.expiryMs / 1000
    return connack({
      version,
      sessionPresent: session.isPresent,
      code: reason.success,
      properties: {
        receiveMaximum: limits.receiveMaximum,
        maximumPacketSize: limits.packetBytesMax,
        retainAvailable: false,
        subscriptionIdentifiersAvailable: false,
        sharedAvailable: false,
        ...(given === asked ? {} : { sessionExpiry: given }),
        ...(assigned === undefined ? {} : { assignedClientId: assigned }),
      },
    })
  }

  #refuse(connect: ConnectPacket, error: unknown): void {
    const code = error instanceof PeerError ? reasonFor(error) : reason.serverUnavailable
    if (error instanceof PeerError) this.#parts.refused(this.#connection, error)
    else this.#parts.failed('a client could not connect', error)
    this.#connection.finish(code, refusedConnack(connect.version, code))
  }
}

function refusal(code: RoadErrorCode, message: string, where: string): PeerError<RoadErrorCode> {
  return new PeerError(code, message, {}, { where })
}
