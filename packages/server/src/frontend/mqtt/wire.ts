/** What the peer learns of a refusal: one total function from codes to MQTT's words. */
import type { PeerError } from '@countersign/core/errors'
import type { ConnectPacket, DisconnectPacket, Frame, MqttVersion } from './packets.ts'
import { packetType, reason } from './packets.ts'
import { refusal } from './refusals.ts'
import { connack } from './write.ts'

/** Every code that a packet can be refused with, and its reason code (MQTT 5 §2.4). */
const reasons: ReadonlyMap<string, number> = new Map([
  ['ERR_MQTT_MALFORMED', reason.malformed],
  ['ERR_MQTT_PROTOCOL', reason.protocolError],
  ['ERR_MQTT_VERSION', reason.notSupportedVersion],
  ['ERR_MQTT_TOO_LARGE', reason.packetTooLarge],
  ['ERR_MQTT_ALIAS', reason.topicAliasInvalid],
  ['ERR_MQTT_IDENTIFIERS', reason.subscriptionIdentifiersNotSupported],
  ['ERR_MQTT_AUTH', reason.badAuthMethod],
  ['ERR_MQTT_RETAIN', reason.retainNotSupported],
  ['ERR_TOPIC', reason.topicNameInvalid],
  ['ERR_TOPIC_FOREIGN', reason.notAuthorized],
  ['ERR_CLIENT_ID', reason.clientIdNotValid],
  ['ERR_CLIENT_ID_FOREIGN', reason.notAuthorized],
  ['ERR_CERT_MISSING', reason.notAuthorized],
  ['ERR_MESSAGE_JSON', reason.payloadFormatInvalid],
  ['ERR_MESSAGE_TYPE', reason.payloadFormatInvalid],
  ['ERR_MESSAGE_NUMBER', reason.payloadFormatInvalid],
  // 0x95 is of packets, and no acknowledgement may say it (§3.4.2.1).
  ['ERR_MESSAGE_SIZE', reason.quotaExceeded],
  ['ERR_MQTT_UNRELEASED', reason.receiveMaximumExceeded],
  ['ERR_MESSAGE_RATE', reason.quotaExceeded],
])

/** Unknown to the table: the peer learns that it was refused, and no more. */
export function reasonFor({ code }: PeerError): number {
  return reasons.get(code) ?? reason.unspecified
}

/** Faults of the message alone: under MQTT 5 the acknowledgement says so and the connection stays. */
const ofTheMessage: ReadonlySet<string> = new Set([
  'ERR_TOPIC',
  'ERR_TOPIC_FOREIGN',
  'ERR_MESSAGE_JSON',
  'ERR_MESSAGE_TYPE',
  'ERR_MESSAGE_NUMBER',
  'ERR_MESSAGE_SIZE',
])

export function endsConnection({ code }: PeerError): boolean {
  return !ofTheMessage.has(code)
}

/** Return codes of CONNACK in 3.1.1 (§3.2.2.3), by the reason code of MQTT 5. */
const returnCodes: ReadonlyMap<number, number> = new Map([
  [reason.notSupportedVersion, 1],
  [reason.clientIdNotValid, 2],
  [reason.serverUnavailable, 3],
  [reason.serverBusy, 3],
])
const notAuthorizedReturn = 5

/** CONNACK of a refused CONNECT. */
export function refusedConnack(version: MqttVersion, code: number): Buffer {
  const said = version === 5 ? code : (returnCodes.get(code) ?? notAuthorizedReturn)
  return connack({ version, sessionPresent: false, code: said })
}

/**
 * CONNACK for a version that we do not speak, in the form of whichever of ours is next to it
 * (3.1.1 §3.1.2.2, MQTT 5 §3.1.2.2); undefined for other faults.
 */
export function versionConnack({ code, details }: PeerError): Buffer | undefined {
  if (code !== 'ERR_MQTT_VERSION') return undefined
  return refusedConnack(Number(details['level']) > 4 ? 5 : 4, reason.notSupportedVersion)
}

/**
 * What DISCONNECT makes of a session's expiry (MQTT 5 §3.14.2.2.2); undefined: it says nothing of it.
 * Throws PeerError.
 */
export function changedExpiry(
  { properties: { sessionExpiry } }: DisconnectPacket,
  { expiryMs }: { readonly expiryMs: number },
  boundMs: number,
): number | undefined {
  if (sessionExpiry === undefined) return undefined
  if (expiryMs === 0 && sessionExpiry !== 0)
    throw refusal('ERR_MQTT_PROTOCOL', 'a session without expiry gets one', 'disconnect')
  return Math.min(sessionExpiry * 1000, boundMs)
}

/** Protocol name and level of MQTT 5 §3.1.2.1 and §3.1.2.2. */
const mqtt5: Buffer = Buffer.from('\u0000\u0004MQTT\u0005', 'latin1')

/** Whether it can be answered in the form of MQTT 5, also when the rest cannot be read. */
export function isMqtt5Connect({ type, body }: Frame): boolean {
  return type === packetType.connect && body.subarray(0, mqtt5.length).equals(mqtt5)
}

/** Seconds in a property of CONNECT as milliseconds, within a bound; absent is 0 (MQTT 5 §3.1.2.11.2). */
export function expiryOf(connect: ConnectPacket, boundMs: number): number {
  // 3.1.1 §3.1.2.4 knows no end of a session that is not clean.
  if (connect.version === 4) return connect.clean ? 0 : boundMs
  const seconds = connect.properties.sessionExpiry ?? 0
  return Math.min(seconds * 1000, boundMs)
}
