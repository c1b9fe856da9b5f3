/**
 * Fuzzes the MQTT codec of the server's door: streams of packets through the framer, whole and in
 * two pieces, and single bodies, under both versions. `node fuzz/mqtt.ts --seconds N --seed S`
 */
import { Framer } from '../packages/server/src/frontend/mqtt/framing.ts'
import type { Frame, MqttVersion } from '../packages/server/src/frontend/mqtt/packets.ts'
import { parsePacket } from '../packages/server/src/frontend/mqtt/parse.ts'
import { each, fuzz } from './fuzz.ts'
import { packetBytes, samples } from './mqttPackets.ts'
import { checkPacket } from './mqttPromises.ts'

const versions = [undefined, 4, 5] as const
const packets = samples.map(packetBytes)
/** A connection each: CONNECT and all that may come behind it. */
const streams = ([4, 5] as const).map((level) => {
  const connect = samples.find(({ name }) => name === `CONNECT ${level === 4 ? '3.1.1' : '5'}`)
  const later = samples.filter(({ version }) => version === level)
  return Buffer.concat([connect ?? [], later].flat().map(packetBytes))
})

fuzz('mqtt', [...packets, ...streams], (input) => {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  each([
    ...versions.map((version) => () => readStream([bytes], version)),
    () => readStream([bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)]),
    // The length in the header is right however the body was bent.
    ...versions.map((version) => () => readFrame(frameOf(bytes), version)),
  ])
})

function readStream(chunks: readonly Buffer[], version?: MqttVersion): void {
  const framer = new Framer(64 * 1024)
  let spoken = version
  for (const chunk of chunks) {
    framer.push(chunk)
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      spoken = readFrame(frame, spoken)
    }
  }
}

function readFrame(frame: Frame, version: MqttVersion | undefined): MqttVersion {
  const packet = parsePacket(frame, version)
  const spoken = packet.type === 'connect' ? packet.version : version
  if (spoken === undefined) throw new Error('a packet was read before CONNECT')
  checkPacket(packet, spoken)
  return spoken
}

function frameOf(bytes: Buffer): Frame {
  const first = bytes[0] ?? 0
  return { type: first >> 4, flags: first & 0x0f, body: bytes.subarray(2) }
}
