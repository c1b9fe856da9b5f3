/**
 * What a client may send, from a frame to a typed packet: MQTT 5 §3 and 3.1.1 §3. Nothing is
 * mended: reserved bits, lengths, strings, topics, properties and reason codes are as the section
 * of their packet says, and nothing trails. Which packet may come when is the session's, except
 * that CONNECT comes first and once (§3.1).
 *
 * Leaves out what only a server sends: such a packet is a Protocol Error.
 */
import type { PeerError } from '@countersign/core/errors'
import { readPacketId, readReason, readTopicFilter, toQoS } from './fields.ts'
import { hasWildcard, isShared } from './filters.ts'
import {
  type AckPacket,
  type ClientPacket,
  type DisconnectPacket,
  type Frame,
  type MqttErrorCode,
  type MqttVersion,
  type PublishPacket,
  packetType,
  type SubscribePacket,
  type Subscription,
  type UnsubscribePacket,
} from './packets.ts'
import { parseConnect } from './parseConnect.ts'
import { noProperties, readProperties } from './properties.ts'
import { Reader } from './reader.ts'
import { refusal } from './refusals.ts'

/** `version` is the one that CONNECT asked for; undefined: it has not come yet. */
export function parsePacket(frame: Frame, version: MqttVersion | undefined): ClientPacket {
  if (version !== undefined) return parseLater(frame, version)
  // [MQTT-3.1.0-1]
  if (frame.type !== packetType.connect) throw unexpected(frame, 'before CONNECT')
  return parseConnect(body(frame, 'connect'))
}

function parseLater(frame: Frame, version: MqttVersion): ClientPacket {
  switch (frame.type) {
    case packetType.publish:
      return parsePublish(frame, version)
    case packetType.puback:
      return parseAck('puback', body(frame, 'puback'), version)
    case packetType.pubrec:
      return parseAck('pubrec', body(frame, 'pubrec'), version)
    case packetType.pubrel:
      // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]: these three have bit 1 set.
      return parseAck('pubrel', body(frame, 'pubrel', 2), version)
    case packetType.pubcomp:
      return parseAck('pubcomp', body(frame, 'pubcomp'), version)
    case packetType.subscribe:
      return parseSubscribe(body(frame, 'subscribe', 2), version)
    case packetType.unsubscribe:
      return parseUnsubscribe(body(frame, 'unsubscribe', 2), version)
    case packetType.pingreq:
      body(frame, 'pingreq').end()
      return { type: 'pingreq' }
    case packetType.disconnect:
      return parseDisconnect(body(frame, 'disconnect'), version)
    case packetType.auth:
      return parseAuth(body(frame, 'auth'), version)
    case packetType.connect:
      // [MQTT-3.1.0-2]
      throw unexpected(frame, 'a second time')
    case packetType.connack:
    case packetType.suback:
    case packetType.unsuback:
    case packetType.pingresp:
      throw unexpected(frame, 'from a client')
    default:
      // MQTT 5 §2.1.2, 3.1.1 §2.2.1: forbidden.
      throw refusal('ERR_MQTT_MALFORMED', 'packet type 0 is reserved', 'fixed header.type')
  }
}

/** The hot path: besides the packet, its topic and the view of its payload, nothing is kept. */
function parsePublish(frame: Frame, version: MqttVersion): PublishPacket {
  const { flags } = frame
  const reader = new Reader(frame.body, 'publish')
  const qos = toQoS((flags >> 1) & 0x03)
  const dup = (flags & 0x08) !== 0
  // [MQTT-3.3.1-4]
  if (qos === undefined) throw reader.malformed('qos', 'is 3')
  // [MQTT-3.3.1-2]
  if (dup && qos === 0) throw reader.malformed('dup', 'is set with QoS 0')
  const topic = reader.utf8('topic')
  // [MQTT-3.3.2-2]
  if (hasWildcard(topic)) throw reader.malformed('topic', 'has a wildcard')
  // [MQTT-2.2.1-2]
  const packetId = qos === 0 ? 0 : readPacketId(reader)
  const properties = version === 5 ? readProperties(reader, 'publish') : noProperties
  if (topic === '' && properties.topicAlias === undefined) throw emptyTopic(reader, version)
  const retain = (flags & 0x01) !== 0
  return { type: 'publish', topic, payload: reader.rest(), qos, retain, dup, packetId, properties }
}

/** MQTT 5 §3.3.2.1; 3.1.1 [MQTT-4.7.3-1]. Whether an alias may be used at all is the session's. */
function emptyTopic(reader: Reader, version: MqttVersion): PeerError<MqttErrorCode> {
  return version === 5
    ? reader.protocolError('topic', 'is empty, without a topic alias')
    : reader.malformed('topic', 'is empty')
}

/** Tables 3-4 and 3-5 without 0x10, which only a server sends. */
const publishReasons: ReadonlySet<number> = new Set([
  0x00, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99,
])
/** Tables 3-6 and 3-7. */
const releaseReasons: ReadonlySet<number> = new Set([0x00, 0x92])

const ackReasons: Readonly<Record<AckPacket['type'], ReadonlySet<number>>> = {
  puback: publishReasons,
  pubrec: publishReasons,
  pubrel: releaseReasons,
  pubcomp: releaseReasons,
}

/** MQTT 5 §3.4 to §3.7: two, three, or four bytes and more. 3.1.1: two. */
function parseAck(type: AckPacket['type'], reader: Reader, version: MqttVersion): AckPacket {
  const packetId = readPacketId(reader)
  let reason = 0
  if (version === 5 && !reader.done) reason = readReason(reader, ackReasons[type])
  if (version === 5 && !reader.done) readProperties(reader, 'ack')
  reader.end()
  return { type, packetId, reason }
}

function parseSubscribe(reader: Reader, version: MqttVersion): SubscribePacket {
  const packetId = readPacketId(reader)
  const properties = version === 5 ? readProperties(reader, 'subscribe') : noProperties
  const subscriptions: Subscription[] = []
  while (!reader.done) subscriptions.push(readSubscription(reader, version))
  // [MQTT-3.8.3-2]; 3.1.1 [MQTT-3.8.3-3]
  if (subscriptions.length === 0) throw reader.protocolError('payload', 'has no topic filter')
  return { type: 'subscribe', packetId, subscriptions, properties }
}

/**
 * Subscription Options: MQTT 5 §3.8.3.1, 3.1.1 §3.8.3. Those about retained messages and No Local
 * are checked and not kept.
 */
function readSubscription(reader: Reader, version: MqttVersion): Subscription {
  const filter = readTopicFilter(reader, version)
  const options = reader.u8('subscription options')
  // 3.1.1 [MQTT-3-8.3-4]; MQTT 5 [MQTT-3.8.3-5]
  const reserved = version === 5 ? 0xc0 : 0xfc
  if ((options & reserved) !== 0)
    throw reader.malformed('subscription options', 'has reserved bits')
  const qos = toQoS(options & 0x03)
  if (qos === undefined) {
    // A Protocol Error of MQTT 5; 3.1.1 [MQTT-3-8.3-4] calls it malformed.
    const code = version === 5 ? 'ERR_MQTT_PROTOCOL' : 'ERR_MQTT_MALFORMED'
    throw reader.refuse(code, 'subscription options', 'has QoS 3')
  }
  if ((options & 0x30) === 0x30) {
    throw reader.protocolError('subscription options', 'has retain handling 3')
  }
  // [MQTT-3.8.3-4]
  if ((options & 0x04) !== 0 && isShared(filter)) {
    throw reader.protocolError('subscription options', 'has No Local on a shared subscription')
  }
  return { filter, qos }
}

function parseUnsubscribe(reader: Reader, version: MqttVersion): UnsubscribePacket {
  const packetId = readPacketId(reader)
  if (version === 5) readProperties(reader, 'unsubscribe')
  const filters: string[] = []
  while (!reader.done) filters.push(readTopicFilter(reader, version))
  // [MQTT-3.10.3-2]
  if (filters.length === 0) throw reader.protocolError('payload', 'has no topic filter')
  return { type: 'unsubscribe', packetId, filters }
}

/** Table 3-10 without what only a server sends. */
const disconnectReasons: ReadonlySet<number> = new Set([
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
])

/** MQTT 5 §3.14: any of none, one, or two bytes and more. 3.1.1: none. */
function parseDisconnect(reader: Reader, version: MqttVersion): DisconnectPacket {
  const more = version === 5 && !reader.done
  const reason = more ? readReason(reader, disconnectReasons) : 0
  const properties = more && !reader.done ? readProperties(reader, 'disconnect') : noProperties
  reader.end()
  return { type: 'disconnect', reason, properties }
}

/** Table 3-11 without 0x00, which only a server says: so the short form (§3.15.2.1) is its too. */
const authReasons: ReadonlySet<number> = new Set([0x18, 0x19])

function parseAuth(reader: Reader, version: MqttVersion): ClientPacket {
  // 3.1.1 §2.2.1: type 15 is reserved.
  if (version !== 5) throw reader.malformed('type', 'is reserved under 3.1.1')
  if (reader.done) throw reader.protocolError('reason code', '0x00 is for a server to say')
  readReason(reader, authReasons)
  const properties = readProperties(reader, 'auth')
  // §3.15.2.2.2
  if (properties.authenticationMethod === undefined) {
    throw reader.protocolError('authenticationMethod', 'is missing')
  }
  reader.end()
  return { type: 'auth' }
}

/** A reader of the body; the flags of the fixed header are reserved [MQTT-2.1.3-1]. */
function body(frame: Frame, name: string, flags = 0): Reader {
  const reader = new Reader(frame.body, name)
  if (frame.flags !== flags) throw reader.malformed('flags', 'are reserved and not as they must be')
  return reader
}

function unexpected({ type }: Frame, when: string): PeerError<MqttErrorCode> {
  const message = `a packet of type ${type} came ${when}`
  return refusal('ERR_MQTT_PROTOCOL', message, 'fixed header.type', { type })
}
