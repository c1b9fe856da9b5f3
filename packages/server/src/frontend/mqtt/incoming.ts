/**
 * What a PUBLISH says beside its topic: its data with their type, and the device's own number. In
 * MQTT 5 the type is the Content Type property and the number a user property; 3.1.1 has a place
 * for neither, and the type is found out.
 */
import { isUtf8 } from 'node:buffer'
import { PeerError } from '@countersign/core/errors'
import { parseMediaType, payload, untypedPayload } from '../../payload.ts'
import type { RoadErrorCode } from '../../ports.ts'
import { type Incoming, messageNumber, numberName } from '../intake.ts'
import type { Properties } from './packets.ts'

/** Throws PeerError. */
export function incomingOf({
  payload: body,
  properties,
}: {
  readonly payload: Buffer
  readonly properties: Properties
}): Omit<Incoming, 'topic'> {
  const { contentType, payloadFormat, user } = properties
  // MQTT 5 §3.3.2.3.2.
  if (payloadFormat === 1 && !isUtf8(body))
    throw refuse('ERR_MESSAGE_TYPE', 'the payload is said to be UTF-8 and is not', 'payload format')
  const data =
    contentType === undefined ? untypedPayload(body) : payload(parseMediaType(contentType), body)
  const number = user?.find(([name]) => name === numberName)?.[1]
  if (number !== undefined && !messageNumber.test(number))
    throw refuse('ERR_MESSAGE_NUMBER', 'the message number is no decimal of 16 digits', numberName)
  return { data, number }
}

/** CONNACK said so: whatever the topic is, it may stand for another one. Throws PeerError. */
export function requireNoAlias({ topicAlias }: Properties): void {
  if (topicAlias === undefined) return
  throw refuse('ERR_MQTT_ALIAS', 'this server takes no topic alias', 'topic alias')
}

function refuse(code: RoadErrorCode, message: string, where: string): PeerError<RoadErrorCode> {
  return new PeerError(code, message, {}, { where })
}
