/**
 * What a server sends, as bytes: MQTT 5 §3 and 3.1.1 §3. Each packet is measured first and then
 * written into one buffer. Whether it is larger than its receiver takes (Maximum Packet Size,
 * [MQTT-3.1.2-24]) is the caller's to see. What cannot be encoded is a CallerError: it would end
 * somebody's connection, or be read as something else.
 *
 * Leaves out RETAIN: nothing is retained here. AUTH: nobody is asked.
 */
import { type AckPacket, type MqttVersion, packetType, type QoS } from './packets.ts'
import { ByteWriter, textBytes, unencodable, varintBytes } from './writeBytes.ts'
import {
  type ConnackProperties,
  connackRows,
  type PublishProperties,
  propertiesBytes,
  publishRows,
  writeProperties,
} from './writeProperties.ts'

export interface Connack {
  readonly version: MqttVersion
  readonly sessionPresent: boolean
  /** 3.1.1 §3.2.2.3: 0 to 5. MQTT 5 §3.2.2.2: a reason code. */
  readonly code: number
  /** Not sent under 3.1.1. */
  readonly properties?: ConnackProperties
}

export function connack({ version, sessionPresent, code, properties = {} }: Connack): Buffer {
  // MQTT 5 [MQTT-3.2.2-6], 3.1.1 [MQTT-3.2.2-4]: never with a refusal.
  const flags = sessionPresent && code === 0 ? 1 : 0
  if (version === 4 && code > 5) throw unencodable('connack.code', '3.1.1 has return codes 0 to 5')
  if (version === 4) return Buffer.of(packetType.connack << 4, 2, flags, code)
  const length = propertiesBytes(connackRows, properties)
  const writer = packet(packetType.connack, 0, 2 + varintBytes(length) + length)
  writer.u8(flags)
  writer.u8(code)
  writeProperties(writer, connackRows, properties, length)
  return writer.bytes
}

export interface Publish {
  readonly version: MqttVersion
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly dup: boolean
  /** 1 to 65535; not sent with QoS 0. */
  readonly packetId: number
  /** Not sent under 3.1.1. */
  readonly properties?: PublishProperties
}

export function publish(message: Publish): Buffer {
  const { version, topic, payload, qos, packetId } = message
  // [MQTT-3.3.1-2]
  const dup = message.dup && qos > 0
  const properties = version === 5 ? (message.properties ?? {}) : undefined
  const length = properties === undefined ? 0 : propertiesBytes(publishRows, properties)
  const propertiesWhole = properties === undefined ? 0 : varintBytes(length) + length
  const bytes = textBytes(topic, 'publish.topic') + (qos > 0 ? 2 : 0) + propertiesWhole
  const flags = (dup ? 0x08 : 0) | (qos << 1)
  const writer = packet(packetType.publish, flags, bytes + payload.length)
  writer.text(topic)
  if (qos > 0) writer.u16(checkedId(packetId))
  if (properties !== undefined) writeProperties(writer, publishRows, properties, length)
  writer.raw(payload)
  return writer.bytes
}

/**
 * PUBACK, PUBREC, PUBREL, PUBCOMP (MQTT 5 §3.4 to §3.7). 3.1.1 has no reason codes: there a refusal
 * looks like consent, or the caller closes the connection.
 */
export function ack(
  type: AckPacket['type'],
  packetId: number,
  version: MqttVersion,
  reason: number,
): Buffer {
  const withReason = version === 5 && reason !== 0
  // [MQTT-3.6.1-1]
  const writer = packet(packetType[type], type === 'pubrel' ? 2 : 0, withReason ? 3 : 2)
  writer.u16(checkedId(packetId))
  // Without a property length, which is left out below four bytes (§3.4.2.2.1).
  if (withReason) writer.u8(reason)
  return writer.bytes
}

/** One code for each filter, in their order [MQTT-3.8.4-6]. */
export function suback(packetId: number, version: MqttVersion, codes: readonly number[]): Buffer {
  const writer = subscriptionAck(packetType.suback, packetId, version, codes.length)
  // 3.1.1 [MQTT-3.9.3-2]: besides the granted QoS there is one way to refuse.
  for (const code of codes) writer.u8(version === 4 && code >= 0x80 ? 0x80 : code)
  return writer.bytes
}

/** As `suback`; 3.1.1 §3.11.3 has no codes, and nothing to say about failure. */
export function unsuback(packetId: number, version: MqttVersion, codes: readonly number[]): Buffer {
  const count = version === 5 ? codes.length : 0
  const writer = subscriptionAck(packetType.unsuback, packetId, version, count)
  if (version === 5) for (const code of codes) writer.u8(code)
  return writer.bytes
}

function subscriptionAck(
  type: number,
  packetId: number,
  version: MqttVersion,
  codes: number,
): ByteWriter {
  const writer = packet(type, 0, 2 + (version === 5 ? 1 : 0) + codes)
  writer.u16(checkedId(packetId))
  if (version === 5) writer.u8(0)
  return writer
}

export function pingresp(): Buffer {
  return Buffer.of(packetType.pingresp << 4, 0)
}

/** MQTT 5 §3.14. Under 3.1.1 only a client sends it: the server closes the connection. */
export function disconnect(reason: number): Buffer {
  const first = packetType.disconnect << 4
  // §3.14.2.1: the short form means 0x00.
  return reason === 0 ? Buffer.of(first, 0) : Buffer.of(first, 1, reason)
}

/** A buffer for the whole packet, with its fixed header. */
function packet(type: number, flags: number, length: number): ByteWriter {
  const writer = new ByteWriter(1 + varintBytes(length) + length)
  writer.u8((type << 4) | flags)
  writer.varint(length)
  return writer
}

function checkedId(packetId: number): number {
  if (packetId >= 1 && packetId <= 0xffff) return packetId
  throw unencodable('packet identifier', 'it is not from 1 to 65535')
}
