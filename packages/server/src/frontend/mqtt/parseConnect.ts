/**
 * CONNECT (MQTT 5 §3.1, 3.1.1 §3.1). Of user name and password only their presence is kept:
 * identity comes from the certificate.
 *
 * Leaves out, for the caller to judge: an empty client identifier without Clean Session under 3.1.1
 * [MQTT-3.1.3-8], for which CONNACK has a return code, and whether a will's payload is the UTF-8
 * that its properties promise (§3.1.3.2.3).
 */
import { readTopicName, toQoS } from './fields.ts'
import type { ConnectPacket, MqttVersion, QoS, Will } from './packets.ts'
import { noProperties, readProperties } from './properties.ts'
import type { Reader } from './reader.ts'

interface ConnectFlags {
  readonly clean: boolean
  readonly will: boolean
  readonly willQos: QoS
  readonly willRetain: boolean
  readonly password: boolean
  readonly userName: boolean
}

export function parseConnect(reader: Reader): ConnectPacket {
  const version = readVersion(reader)
  const flags = readFlags(reader, version)
  const keepAlive = reader.u16('keep alive')
  const properties = version === 5 ? readProperties(reader, 'connect') : noProperties
  // §3.1.2.11.10
  if (properties.authenticationData && properties.authenticationMethod === undefined) {
    throw reader.protocolError('authenticationData', 'comes without a method')
  }
  // [MQTT-3.1.3-1]: in this order.
  const clientId = reader.utf8('client identifier')
  const will = flags.will ? readWill(reader, flags, version) : undefined
  if (flags.userName) reader.utf8('user name')
  if (flags.password) reader.skipBinary('password')
  reader.end()
  return {
    type: 'connect',
    version,
    clean: flags.clean,
    keepAlive,
    clientId,
    will,
    hasUserName: flags.userName,
    hasPassword: flags.password,
    properties,
  }
}

/**
 * Protocol name and level. Both versions let a server say in CONNACK that it speaks another one
 * (3.1.1 [MQTT-3.1.2-2], MQTT 5 [MQTT-3.1.2-2]); the level says in which form. Nothing behind it is
 * read: how that looks, only its own version knows.
 */
function readVersion(reader: Reader): MqttVersion {
  const name = reader.utf8('protocol name')
  // MQTT 3.1 is the only other name that was ever MQTT's.
  if (name !== 'MQTT' && name !== 'MQIsdp') {
    throw reader.malformed('protocol name', 'is not MQTT')
  }
  const level = reader.u8('protocol level')
  if (name === 'MQTT' && (level === 4 || level === 5)) return level
  const what = name === 'MQTT' ? `${level} is not spoken here` : 'is that of MQTT 3.1'
  throw reader.refuse('ERR_MQTT_VERSION', 'protocol level', what, { level })
}

function readFlags(reader: Reader, version: MqttVersion): ConnectFlags {
  const bits = reader.u8('connect flags')
  const flags = {
    clean: (bits & 0x02) !== 0,
    will: (bits & 0x04) !== 0,
    willRetain: (bits & 0x20) !== 0,
    password: (bits & 0x40) !== 0,
    userName: (bits & 0x80) !== 0,
  }
  const willQos = toQoS((bits >> 3) & 0x03)
  // [MQTT-3.1.2-3]
  if ((bits & 0x01) !== 0) throw reader.malformed('connect flags', 'has the reserved bit')
  // [MQTT-3.1.2-12]; 3.1.1 [MQTT-3.1.2-14]
  if (willQos === undefined) throw reader.malformed('connect flags', 'has will QoS 3')
  // [MQTT-3.1.2-11] and [MQTT-3.1.2-13]; 3.1.1 [MQTT-3.1.2-13] and [MQTT-3.1.2-15]
  if (!flags.will && (willQos !== 0 || flags.willRetain)) {
    throw reader.malformed('connect flags', 'says how to publish a will that is not there')
  }
  // 3.1.1 [MQTT-3.1.2-22]; MQTT 5 §3.1.2.9 allows it.
  if (version === 4 && flags.password && !flags.userName) {
    throw reader.malformed('connect flags', 'has a password without a user name')
  }
  return { ...flags, willQos }
}

function readWill(reader: Reader, flags: ConnectFlags, version: MqttVersion): Will {
  const properties = version === 5 ? readProperties(reader, 'will') : noProperties
  const topic = readTopicName(reader, 'will topic')
  // A copy: it is kept as long as the connection, and a view would keep the whole chunk with it.
  const payload = Buffer.from(reader.binary('will payload'))
  return { topic, payload, qos: flags.willQos, retain: flags.willRetain, properties }
}
