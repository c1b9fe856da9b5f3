/**
 * What the server publishes to the device (MQTT 5 §3.3), acknowledged when whoever has it says so and
 * not by the library: its PUBACK would come before anybody has looked, and a command that waits for
 * the one before it would hold up all that is read.
 */
import type { Duplex } from 'node:stream'
import { PeerError } from '@countersign/core/errors'
import type { IPublishPacket, MqttClient } from 'mqtt'
import type { DeviceErrorCode } from './errors.ts'
import { success } from './mqttReasons.ts'

export interface Arrival {
  readonly topic: string
  readonly data: Uint8Array
  /** Says PUBACK, once. False: the connection is over, and the server gives it again. */
  acknowledge(code?: number): boolean
}

export interface ArrivalParts {
  readonly client: MqttClient
  readonly socket: Duplex
  readonly isOpen: () => boolean
  readonly arrived: (arrival: Arrival) => void
  /** Ends the connection. */
  readonly broken: (why: PeerError<DeviceErrorCode>) => void
}

/** Receive Maximum (§3.1.2.11.3). Commands are done one at a time; the server keeps the others. */
export const arrivalsMax = 16
/** Makes the library go on reading without saying PUBACK. */
const byHand = new Error('acknowledged later')

export function takeArrivals({ client, socket, isOpen, arrived, broken }: ArrivalParts): void {
  let unacknowledged = 0
  const take = ({ topic, payload, messageId = 0 }: IPublishPacket): void => {
    let isPending = true
    if (++unacknowledged > arrivalsMax)
      return broken(breach(`more than ${arrivalsMax} messages wait to be acknowledged`))
    arrived({
      topic,
      data: Buffer.from(payload),
      acknowledge(code = success) {
        if (!isPending || !isOpen()) return false
        isPending = false
        unacknowledged -= 1
        socket.write(puback(messageId, code))
        return true
      },
    })
  }
  // Before the library does anything with it.
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'publish' && packet.qos !== 1)
      broken(breach(`a message came at QoS ${packet.qos}, and was asked for at QoS 1`))
  })
  client.handleMessage = (packet, readOn) => {
    if (isOpen()) take(packet)
    readOn(byHand)
  }
}

/** MQTT 5 §3.4: success is left out. The library writes whole packets, so this one stands between. */
function puback(id: number, code: number): Buffer {
  const said = code === success ? [] : [code]
  return Buffer.of(0x40, 2 + said.length, id >> 8, id & 0xff, ...said)
}

function breach(what: string): PeerError<DeviceErrorCode> {
  const hint = 'The server speaks another MQTT than it should, or something else answers there.'
  return new PeerError('ERR_MQTT_PROTOCOL', what, {}, { hint })
}
