/** A device's MQTT connection, and a server of which the test says every word. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { generate, type Packet, parser } from 'mqtt-packet'
import type { Arrival } from '../src/mqttArrivals.ts'
import { MqttConnection } from '../src/mqttConnection.ts'
import { parseTarget } from '../src/target.ts'

export const target = parseTarget('mqtts://localhost', 'ab'.repeat(32), 'mqtts')
export const clientId = '02005efffe000001'
export const connack = {
  cmd: 'connack',
  sessionPresent: false,
  reasonCode: 0,
} as const satisfies Packet

export interface Scene {
  readonly connection: MqttConnection
  readonly ours: Duplex
  /** The server's end. */
  readonly socket: Duplex
  /** The next packet of the device. */
  readonly next: () => Promise<Packet>
  readonly say: (packet: Packet) => void
}

/** `arrived`: of a device that takes what the server publishes. */
export function meet(answerMs = 10_000, arrived?: (arrival: Arrival) => void): Scene {
  const [ours, socket] = duplexPair()
  const read = parser({ protocolVersion: 5 })
  const packets: Packet[] = []
  read.on('packet', (packet) => {
    packets.push(packet)
    socket.emit('packet')
  })
  socket.on('data', (chunk: Buffer) => read.parse(chunk))
  return {
    connection: new MqttConnection(ours, {
      target,
      clientId,
      answerMs,
      ...(arrived === undefined ? {} : { arrived }),
    }),
    ours,
    socket,
    async next() {
      if (packets.length === 0) await once(socket, 'packet')
      return packets.shift() ?? assert.fail('no packet')
    },
    say: (packet) => void socket.write(generate(packet, { protocolVersion: 5 })),
  }
}

/** A device that has been let in. */
export async function meetInside(arrived?: (arrival: Arrival) => void): Promise<Scene> {
  const scene = meet(undefined, arrived)
  const connected = scene.connection.connected()
  await scene.next()
  scene.say(connack)
  assert.deepEqual(await connected, { packet: 'connack', code: 0 })
  return scene
}
