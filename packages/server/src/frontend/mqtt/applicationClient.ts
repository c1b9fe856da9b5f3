/**
 * An application on its MQTT connection: a reader of the message log, by topics. `devices/<eui64>/
 * <topic>` brings a message's data as the device sent them (in MQTT 5 with the CloudEvents
 * attributes as user properties, CloudEvents MQTT binding §3.1), `events/<eui64>/<topic>` the whole
 * event as JSON; events without a topic come as `events/<eui64>/$<type>`, those of no device under
 * `events/house/`. A new session begins with the next message, one that was kept goes on where
 * everything had been acknowledged.
 *
 * Applications command devices through the API and publish nothing here: what they publish is
 * acknowledged and dropped, as 3.1.1 §3.3.5 allows (Home Assistant says hello that way).
 */
import type { PeerError } from '@countersign/core/errors'
import type { ApplicationFeed, ApplicationRow, MessageRow, Timers } from '../../ports.ts'
import type { Clients, LiveClient, MqttSession, Seat } from './clients.ts'
import type { Client, MqttConnection } from './connection.ts'
import { FilterSet } from './filters.ts'
import type { Follower, Reader } from './follower.ts'
import type { MqttLimits } from './limits.ts'
import { dataAlone, type Load, topicsOf, wholeEvent } from './outgoing.ts'
import { type ClientPacket, type MqttVersion, type PublishPacket, reason } from './packets.ts'
import { refusal } from './refusals.ts'
import { Subscriptions } from './subscriptions.ts'
import { applicationTopics, isApplicationFilter } from './topics.ts'
import { changedExpiry } from './wire.ts'
import { ack, pingresp, publish } from './write.ts'

export interface ApplicationParts {
  readonly clients: Clients
  readonly feed: ApplicationFeed
  readonly follower: Follower
  readonly timers: Timers
  readonly limits: MqttLimits
  readonly refused: (connection: MqttConnection, error: PeerError) => void
  readonly failed: (what: string, error: unknown) => void
  /** Tells the operator that a retain flag is ignored; once is enough. */
  readonly ignored: (connection: MqttConnection) => void
}

export interface ApplicationTerms {
  readonly seat: Seat
  readonly sendMaximum: number
  readonly packetBytesMax: number
}

export class ApplicationClient implements Client, LiveClient, Reader {
  readonly #connection: MqttConnection
  readonly #session: MqttSession
  readonly #application: ApplicationRow
  readonly #terms: ApplicationTerms
  readonly #parts: ApplicationParts
  readonly filters: FilterSet = new FilterSet()
  readonly #subscriptions: Subscriptions
  /** Sent and not acknowledged: the message's number by packet identifier, in the order of sending. */
  readonly #unacknowledged: Map<number, number> = new Map()
  /** The last message that was looked at; undefined: it follows, and stands where the follower does. */
  #position: number | undefined
  /** A message whose data have been sent, and its event perhaps not. */
  #halfSent = -1
  #packetId = 0
  #isReading = false
  #isWoken = false
  #saving: { cancel(): void } | undefined
  #expiryMs: number | undefined

  constructor(
    connection: MqttConnection,
    session: MqttSession,
    application: ApplicationRow,
    terms: ApplicationTerms,
    parts: ApplicationParts,
  ) {
    this.#connection = connection
    this.#session = session
    this.#application = application
    this.#terms = terms
    this.#parts = parts
    this.#position = session.position ?? parts.feed.head()
    this.#subscriptions = new Subscriptions(connection, session, this.filters, {
      ...parts,
      isAllowed: isApplicationFilter,
      own: applicationTopics,
      beside: () => ({ position: this.#acknowledgedThrough() }),
    })
    this.wake()
  }

  packet(packet: ClientPacket): void {
    switch (packet.type) {
      case 'puback':
        return this.#acknowledged(packet.packetId)
      case 'subscribe':
        this.#stepOut()
        // What came while nothing was subscribed is not waited for.
        if (this.filters.size === 0) this.#position = this.#parts.feed.head()
        return this.#subscriptions.subscribe(packet, () => this.wake())
      case 'unsubscribe':
        this.#stepOut()
        this.#subscriptions.unsubscribe(packet)
        return this.wake()
      case 'pingreq':
        return this.#connection.send(pingresp())
      case 'disconnect':
        this.#expiryMs = changedExpiry(packet, this.#session, this.#parts.limits.sessionExpiryMsMax)
        return this.#connection.bye()
      case 'publish':
        return this.#drop(packet)
      case 'pubrel':
        return this.#say('pubcomp', packet.packetId)
      case 'pubrec':
      case 'pubcomp':
        throw refusal('ERR_MQTT_PROTOCOL', 'nothing was sent to it at QoS 2', packet.type)
      case 'auth':
        throw refusal('ERR_MQTT_PROTOCOL', 'no authentication was begun', packet.type)
      case 'connect':
        throw refusal('ERR_MQTT_PROTOCOL', 'CONNECT came a second time', packet.type)
    }
  }

  fellBehind(position: number): void {
    this.#position = position
    this.wake()
  }

  passed(): void {
    this.#advanced()
  }

  /** There is room, or something behind which it is. */
  wake(): void {
    this.#isWoken = true
    const { isEnding } = this.#connection
    if (this.#position === undefined || isEnding) return
    if (this.#isReading || this.filters.size === 0 || this.#follows()) return
    this.#isReading = true
    this.#read()
      .catch((error: unknown) => {
        this.#parts.failed('messages could not be read', error)
        this.#connection.finish(reason.serverBusy)
      })
      .finally(() => {
        this.#isReading = false
        // Between its last look and now.
        if (this.#isWoken && this.#mayRead) this.wake()
      })
  }

  gone(): void {
    this.#stepOut()
    this.#saving?.cancel()
    const expiry = this.#expiryMs === undefined ? {} : { expiryMs: this.#expiryMs }
    const last = { position: this.#acknowledgedThrough(), ...expiry }
    this.#parts.clients
      .leave(this.#session, this.#terms.seat, last)
      .catch((error: unknown) => this.#parts.failed('an MQTT session was not written', error))
  }

  async takenOver(): Promise<void> {
    this.#stepOut()
    this.#saving?.cancel()
    this.#connection.finish(reason.sessionTakenOver)
    await this.#parts.clients.save(this.#session, { position: this.#acknowledgedThrough() })
  }

  /** At the end of the log it is handed what comes, and asks for nothing. */
  #follows(): boolean {
    const { follower, feed } = this.#parts
    const at = this.#position
    if (at === undefined) return true
    if (at < feed.head() || !this.#mayRead || !follower.join(this, at)) return false
    this.#position = undefined
    return true
  }

  #stepOut(): void {
    const { follower } = this.#parts
    this.#position ??= follower.position
    follower.leave(this)
  }

  get #at(): number {
    return this.#position ?? this.#parts.follower.position
  }

  async #read(): Promise<void> {
    const { feed, limits } = this.#parts
    while (this.#isWoken && this.#mayRead && !this.#follows()) {
      this.#isWoken = false
      const room = this.#terms.sendMaximum - this.#unacknowledged.size
      const from = this.#at
      const head = feed.head()
      const page = await feed.after(from, Math.min(limits.pageMax, room))
      // Forgotten by the house: there is nothing between here and the end, and no message will say so.
      const isGone = page.length === 0 && from < head
      if (page.length > 0 || isGone) this.#isWoken = true
      // Subscribed anew meanwhile: it begins with what comes next.
      if (this.#position !== from) continue
      if (isGone) this.#position = head
      for (const row of page) {
        if (!this.take(row)) break
        this.#position = row.seq
      }
      if (this.#position !== from) this.#advanced()
    }
  }

  /** An application that was removed meanwhile, or is being judged again, reads nothing. */
  get #mayRead(): boolean {
    const { isEnding, isCongested, standing } = this.#connection
    if (isEnding || isCongested || standing.kind !== 'application') return false
    return this.#unacknowledged.size < this.#terms.sendMaximum
  }

  /**
   * False: the window of the client is full, or its socket, and what is left of the message goes
   * later. One that is read as data and as event takes two places.
   */
  take(row: MessageRow): boolean {
    const { data, event } = topicsOf(row)
    if (data !== undefined && this.#halfSent !== row.seq) {
      if (!this.#mayRead) return false
      this.#send(row, data, dataAlone)
      this.#halfSent = row.seq
    }
    if (!this.#mayRead) return false
    this.#send(row, event, wholeEvent)
    return true
  }

  #send(
    row: MessageRow,
    topic: string,
    load: (row: MessageRow, version: MqttVersion) => Load,
  ): void {
    const { version } = this.#connection
    const qos = this.filters.qosOf(topic)
    if (qos === undefined || version === undefined) return
    const packetId = qos === 0 ? 0 : this.#nextId()
    const packet = publish({ version, topic, qos, dup: false, packetId, ...load(row, version) })
    // MQTT 5 §3.1.2.11.4: what the client cannot take is not sent, and counts as had.
    if (packet.length > this.#terms.packetBytesMax) return
    if (qos > 0) this.#unacknowledged.set(packetId, row.seq)
    this.#connection.send(packet)
  }

  #acknowledged(packetId: number): void {
    if (!this.#unacknowledged.delete(packetId)) return
    if (this.#position === undefined) return this.#parts.follower.stir()
    this.#advanced()
    this.wake()
  }

  /** Every message up to this one has been acknowledged, or was not for this client. */
  #acknowledgedThrough(): number {
    const oldest = this.#unacknowledged.values().next()
    return oldest.done === true ? this.#at : oldest.value - 1
  }

  #advanced(): void {
    const { feed, timers, limits, clients, failed } = this.#parts
    feed.advanced(this.#application.id, this.#acknowledgedThrough())
    if (this.#session.expiryMs === 0) return
    this.#saving ??= timers.after(limits.positionSaveMs, () => {
      this.#saving = undefined
      clients
        .save(this.#session, { position: this.#acknowledgedThrough() })
        .catch((error: unknown) => failed('an MQTT session was not written', error))
    })
  }

  #drop({ qos, packetId, retain }: PublishPacket): void {
    if (retain) this.#parts.ignored(this.#connection)
    if (qos === 1) this.#say('puback', packetId)
    if (qos === 2) this.#say('pubrec', packetId)
  }

  #say(type: 'puback' | 'pubrec' | 'pubcomp', packetId: number): void {
    const { version = 4 } = this.#connection
    this.#connection.send(ack(type, packetId, version, reason.success))
  }

  #nextId(): number {
    do this.#packetId = (this.#packetId % 0xffff) + 1
    while (this.#unacknowledged.has(this.#packetId))
    return this.#packetId
  }
}
