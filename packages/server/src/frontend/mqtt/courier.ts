/**
 * Brings a device its commands: QoS 1, at most so many at once, each to one of the device's
 * connections only. A command is delivered when the device has acknowledged it; one that was not
 * goes out again on the next connection.
 */
import { commandBody } from '../../commandDocument.ts'
import type { CommandRow, DeviceCommands, DeviceRow } from '../../ports.ts'
import type { MqttConnection } from './connection.ts'
import type { FilterSet } from './filters.ts'
import { commandTopic, resultTopic } from './topics.ts'
import { publish } from './write.ts'

/** More than may wait for one device. */
const waitingMax = 128

export interface CourierParts {
  readonly commands: DeviceCommands
  /** Ids of commands that are on some connection of this door. */
  readonly underway: Set<string>
  readonly sendMaximum: number
  readonly packetBytesMax: number
  readonly now: () => number
  /** What was on this connection is for the device's other ones. */
  readonly wakeOthers: (device: string) => void
  /** Ends the connection: a command that was not written down as delivered comes again. */
  readonly failed: (error: unknown) => void
}

export class Courier {
  readonly #parts: CourierParts
  readonly #connection: MqttConnection
  readonly #device: Pick<DeviceRow, 'id' | 'eui64'>
  readonly #filters: FilterSet
  /** By packet identifier. */
  readonly #sent: Map<number, string> = new Map()
  /** Sent at QoS 0: nobody will say that they came, and they are not sent again here. */
  readonly #told: Set<string> = new Set()
  #packetId = 0
  #isLooking = false
  #isWoken = false

  constructor(
    connection: MqttConnection,
    device: Pick<DeviceRow, 'id' | 'eui64'>,
    filters: FilterSet,
    parts: CourierParts,
  ) {
    this.#connection = connection
    this.#device = device
    this.#filters = filters
    this.#parts = parts
  }

  /** There is something new, perhaps: a command, a subscription, room. */
  wake(): void {
    if (this.#filters.size === 0) return
    this.#isWoken = true
    if (this.#isLooking) return
    this.#isLooking = true
    this.#look()
      .catch(this.#parts.failed)
      .finally(() => {
        this.#isLooking = false
        if (this.#isWoken && !this.#connection.isEnding) this.wake()
      })
  }

  /** PUBACK. A device of MQTT 5 may say that it will not take it; one of nothing means nothing. */
  acknowledged(packetId: number, reason: number): void {
    const id = this.#sent.get(packetId)
    if (id === undefined) return
    this.#sent.delete(packetId)
    const { commands, failed, underway } = this.#parts
    const device = this.#device.id
    const refused = {
      state: 'refused',
      contentType: 'text/plain',
      body: refusedWith(reason),
    } as const
    const done =
      reason >= 0x80 ? commands.answered(device, id, refused) : commands.delivered(device, id)
    done.catch(failed).finally(() => {
      underway.delete(id)
      this.wake()
    })
  }

  gone(): void {
    const { underway, wakeOthers } = this.#parts
    const left = [...this.#sent.values(), ...this.#told]
    this.#sent.clear()
    this.#told.clear()
    for (const id of left) underway.delete(id)
    if (left.length > 0) wakeOthers(this.#device.id)
  }

  /** One that has ended waits no more. */
  #forgetTold(rows: readonly CommandRow[]): void {
    if (this.#told.size === 0) return
    const waiting = new Set(rows.map(({ id }) => id))
    for (const id of this.#told) {
      if (waiting.has(id)) continue
      this.#told.delete(id)
      this.#parts.underway.delete(id)
    }
  }

  async #look(): Promise<void> {
    const { commands, sendMaximum, underway } = this.#parts
    while (this.#isWoken && !this.#connection.isEnding) {
      this.#isWoken = false
      // Those underway are among them, and all of them are few.
      const rows = await commands.waiting(this.#device.id, waitingMax)
      this.#forgetTold(rows)
      for (const row of rows) {
        if (this.#sent.size >= sendMaximum || this.#connection.isCongested) return
        // Judged again meanwhile: a suspended device gets nothing.
        if (this.#connection.isEnding || this.#connection.standing.kind !== 'admitted') return
        if (!underway.has(row.id)) this.#send(row)
      }
    }
  }

  #send(row: CommandRow): void {
    const { version } = this.#connection
    const { eui64 } = this.#device
    const topic = commandTopic(eui64, row.name)
    const qos = this.#filters.qosOf(topic)
    if (version === undefined || qos === undefined) return
    const packetId = qos === 0 ? 0 : this.#nextId()
    const packet = publish({
      version,
      topic,
      payload: Buffer.from(commandBody(row)),
      qos: qos === 0 ? 0 : 1,
      dup: false,
      packetId,
      properties: {
        payloadFormat: 1,
        // MQTT 5 §3.3.2.3.3: whole seconds, those left.
        messageExpiry: Math.max(0, Math.floor((row.expiresAt - this.#parts.now()) / 1000)),
        contentType: 'application/json',
        responseTopic: resultTopic(eui64, row.id),
        correlationData: Buffer.from(row.id),
      },
    })
    // MQTT 5 §3.1.2.11.4: what the client cannot take is not sent.
    if (packet.length > this.#parts.packetBytesMax) return
    this.#parts.underway.add(row.id)
    if (qos === 0) this.#told.add(row.id)
    else this.#sent.set(packetId, row.id)
    this.#connection.send(packet)
  }

  /** 1 to 65535, none that is in use (MQTT 5 §2.2.1). */
  #nextId(): number {
    do this.#packetId = (this.#packetId % 0xffff) + 1
    while (this.#sent.has(this.#packetId))
    return this.#packetId
  }
}

function refusedWith(reason: number): Buffer {
  return Buffer.from(`the device acknowledged it with reason code 0x${reason.toString(16)}`)
}
