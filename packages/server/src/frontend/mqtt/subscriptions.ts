/**
 * SUBSCRIBE and UNSUBSCRIBE of one session (MQTT 5 §3.8 to §3.11): each filter is granted or refused
 * by itself, and what was granted is durable before SUBACK says so. A filter that is not the
 * client's to read is told to the operator.
 */
import type { PeerError } from '@countersign/core/errors'
import type { MqttSessionRow } from '../../ports.ts'
import type { Clients, MqttSession } from './clients.ts'
import { subscriptionsText } from './clients.ts'
import type { MqttConnection } from './connection.ts'
import { type FilterSet, isShared } from './filters.ts'
import {
  reason,
  type SubscribePacket,
  type Subscription,
  type UnsubscribePacket,
} from './packets.ts'
import { refusal } from './refusals.ts'
import { foreignFilter } from './topics.ts'
import { suback, unsuback } from './write.ts'

export interface SubscriptionsParts {
  readonly clients: Clients
  readonly limits: { readonly subscriptionsMax: number; readonly filterBytesMax: number }
  readonly isAllowed: (filter: string) => boolean
  /** What else must be durable when SUBACK says that it is subscribed. */
  readonly beside?: () => Partial<MqttSessionRow>
  /** What this client may subscribe to: the hint to the operator. */
  readonly own: string
  readonly refused: (connection: MqttConnection, error: PeerError) => void
  readonly failed: (what: string, error: unknown) => void
}

/** More than one of one packet tells the operator nothing new. */
const toldMax = 1
/**
 * Granted at most: every event and every command has an id, by which a repetition is known. QoS 2
 * would say the same with twice the packets.
 */
const qosMax = 1

export class Subscriptions {
  readonly #connection: MqttConnection
  readonly #session: MqttSession
  readonly #filters: FilterSet
  readonly #parts: SubscriptionsParts
  #written: string

  constructor(
    connection: MqttConnection,
    session: MqttSession,
    filters: FilterSet,
    parts: SubscriptionsParts,
  ) {
    this.#connection = connection
    this.#session = session
    this.#filters = filters
    this.#parts = parts
    for (const { filter, qos } of session.subscriptions) filters.set(filter, qos)
    this.#written = subscriptionsText(filters.entries())
  }

  /** `done` when they count. */
  subscribe({ packetId, subscriptions, properties }: SubscribePacket, done: () => void): void {
    if (properties.subscriptionIdentifier !== undefined)
      throw refusal('ERR_MQTT_IDENTIFIERS', 'subscription identifiers are not taken', 'subscribe')
    let told = 0
    const codes = subscriptions.map((subscription) => {
      const code = this.#judge(subscription)
      if (code === reason.notAuthorized && told++ < toldMax)
        this.#parts.refused(this.#connection, foreignFilter(subscription.filter, this.#parts.own))
      return code
    })
    const { version = 4 } = this.#connection
    this.#save(suback(packetId, version, codes), done)
  }

  unsubscribe({ packetId, filters }: UnsubscribePacket): void {
    const codes = filters.map((filter) =>
      this.#filters.delete(filter) ? reason.success : reason.noSubscriptionExisted,
    )
    const { version = 4 } = this.#connection
    this.#save(unsuback(packetId, version, codes), () => undefined)
  }

  /** What SUBACK says of it: the QoS that is granted, or why not. */
  #judge({ filter, qos }: Subscription): number {
    const code = this.#refusal(filter)
    if (code !== undefined) return code
    const granted = qos === 0 ? 0 : qosMax
    this.#filters.set(filter, granted)
    return granted
  }

  #refusal(filter: string): number | undefined {
    if (isShared(filter)) return reason.sharedNotSupported
    if (!this.#parts.isAllowed(filter)) return reason.notAuthorized
    if (Buffer.byteLength(filter) > this.#parts.limits.filterBytesMax) return reason.quotaExceeded
    const isNew = this.#filters.get(filter) === undefined
    if (isNew && this.#filters.size >= this.#parts.limits.subscriptionsMax)
      return reason.quotaExceeded
    return undefined
  }

  /** SUBACK comes before the first message that it brings. */
  #save(answer: Buffer, done: () => void): void {
    const { clients, failed, beside } = this.#parts
    const subscriptions = subscriptionsText(this.#filters.entries())
    // What is written already need not be written again.
    const isNew = subscriptions !== this.#written
    this.#written = subscriptions
    this.#connection.hold()
    const saved = isNew
      ? clients.save(this.#session, { ...beside?.(), subscriptions })
      : Promise.resolve()
    saved
      .then(
        () => {
          this.#connection.send(answer)
          done()
        },
        (error: unknown) => {
          failed('subscriptions were not written', error)
          this.#connection.finish(reason.serverBusy)
        },
      )
      .finally(() => this.#connection.release())
  }
}
