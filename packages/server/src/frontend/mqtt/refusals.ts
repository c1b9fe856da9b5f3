/**
 * How this codec refuses bytes. MQTT 5 §1.2 parts them: a Malformed Packet cannot be read by the
 * specification, a Protocol Error is read and says what it may not say. 3.1.1 knows no such codes;
 * there both close the connection (§4.8).
 */
import { type ErrorDetails, PeerError } from '@countersign/core/errors'
import type { MqttErrorCode } from './packets.ts'

const hints: Readonly<Record<MqttErrorCode, string>> = {
  ERR_MQTT_MALFORMED:
    'Encode the named field by the OASIS standard of the version that CONNECT asked for.',
  ERR_MQTT_PROTOCOL: 'Send only what the named packet may say, and only when it may come.',
  ERR_MQTT_VERSION: 'Connect with MQTT 5 (protocol level 5) or 3.1.1 (protocol level 4).',
  ERR_MQTT_TOO_LARGE: 'Send less in one packet; CONNACK of MQTT 5 says how much is taken.',
  ERR_MQTT_ALIAS: 'Send every topic in full: CONNACK gives no topic alias maximum.',
  ERR_MQTT_IDENTIFIERS: 'Subscribe without identifiers: CONNACK says that they are not available.',
}

/** `where` names packet and field; details carry sizes and codes, never what a client wrote. */
export function refusal(
  code: MqttErrorCode,
  message: string,
  where: string,
  details: ErrorDetails = {},
): PeerError<MqttErrorCode> {
  return new PeerError(code, message, details, { where, hint: hints[code] })
}
