/** Fields that stand in several packets: packet identifier, topics, QoS, reason codes. */
import { hasWildcard, isShared, isSharedFilter, isTopicFilter, isTopicName } from './filters.ts'
import type { MqttVersion, QoS } from './packets.ts'
import type { Reader } from './reader.ts'

/** Not zero [MQTT-2.2.1-3], [MQTT-2.2.1-4]; 3.1.1 [MQTT-2.3.1-1]. */
export function readPacketId(reader: Reader): number {
  const id = reader.u16('packet identifier')
  if (id === 0) throw reader.protocolError('packet identifier', 'is zero')
  return id
}

/** Undefined for 3, which no packet may say. */
export function toQoS(bits: number): QoS | undefined {
  return bits === 0 || bits === 1 || bits === 2 ? bits : undefined
}

export function readTopicName(reader: Reader, field: string): string {
  const topic = reader.utf8(field)
  if (isTopicName(topic)) return topic
  throw reader.malformed(field, hasWildcard(topic) ? 'has a wildcard' : 'is empty')
}

export function readTopicFilter(reader: Reader, version: MqttVersion): string {
  const filter = reader.utf8('topic filter')
  if (!isTopicFilter(filter)) {
    const what = filter === '' ? 'is empty' : 'has a wildcard that is not alone in its level'
    throw reader.malformed('topic filter', what)
  }
  // Under 3.1.1 `$share` is a name like any other.
  if (version === 5 && isShared(filter) && !isSharedFilter(filter)) {
    throw reader.malformed('topic filter', 'is not $share/NAME/FILTER')
  }
  return filter
}

/** One of those that a client may say in this packet. */
export function readReason(reader: Reader, allowed: ReadonlySet<number>): number {
  const code = reader.u8('reason code')
  if (allowed.has(code)) return code
  const hex = `0x${code.toString(16).padStart(2, '0')}`
  throw reader.protocolError('reason code', `${hex} is not for a client to send here`)
}
