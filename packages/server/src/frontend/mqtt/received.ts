/**
 * Packet identifiers of QoS 2 that wait for PUBREL (MQTT 5 §4.3.3): what came under one of them is
 * stored already. Each is written together with its message. Of two messages the first may fail
 * and the second not; so every write stands on the one before it, and an identifier is never
 * durable without its message.
 */
import { PeerError } from '@countersign/core/errors'
import type { Change, RoadErrorCode } from '../../ports.ts'
import type { Clients, MqttSession } from './clients.ts'

export class Received {
  readonly #clients: Clients
  readonly #session: MqttSession
  readonly #most: number
  readonly #stored: Set<number>
  /** Of answers to commands: to repeat one changes nothing, so nothing of it needs to be durable. */
  readonly #others: Set<number> = new Set()
  /** As it was last asked to be written. */
  #text: string

  constructor(clients: Clients, session: MqttSession, most: number) {
    this.#clients = clients
    this.#session = session
    this.#most = most
    this.#stored = new Set(session.received)
    this.#text = JSON.stringify(session.received)
  }

  has(packetId: number): boolean {
    return this.#stored.has(packetId) || this.#others.has(packetId)
  }

  /** Throws PeerError: who never releases may not have ever more. */
  requireRoom(): void {
    if (this.#stored.size + this.#others.size < this.#most) return
    const message = `${this.#most} packets of QoS 2 wait for PUBREL`
    const hint = 'Answer each PUBREC with PUBREL.'
    throw new PeerError<RoadErrorCode>(
      'ERR_MQTT_UNRELEASED',
      message,
      {},
      { where: 'publish', hint },
    )
  }

  /** What to store beside its message. */
  add(packetId: number): Pick<Change, 'conditions' | 'writes'> {
    this.#stored.add(packetId)
    const { set, where } = this.#next()
    return this.#clients.beside(this.#session, set, where)
  }

  addOther(packetId: number): void {
    this.#others.add(packetId)
  }

  /** It was not stored after all. */
  forget(packetId: number): void {
    this.#stored.delete(packetId)
    this.#others.delete(packetId)
  }

  /** PUBREL. Resolves when it is durable; undefined: there is no such packet. */
  release(packetId: number): Promise<void> | undefined {
    if (this.#others.delete(packetId)) return Promise.resolve()
    if (!this.#stored.delete(packetId)) return undefined
    const { set, where } = this.#next()
    return this.#clients.save(this.#session, set, where)
  }

  #next(): { readonly set: { received: string }; readonly where: { received: string } } {
    const before = this.#text
    this.#text = JSON.stringify([...this.#stored])
    return { set: { received: this.#text }, where: { received: before } }
  }
}
