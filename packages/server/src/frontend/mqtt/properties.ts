/**
 * Properties of MQTT 5 (§2.2.2) that a client may send: one table says where each may stand, and
 * what it may be. An identifier that is unknown or does not belong to the packet is malformed
 * (§2.2.2.2); one that comes twice, or has a value that its section forbids, is a Protocol Error.
 * Only names of this table become keys; those of User Properties stay values.
 */
import type { PeerError } from '@countersign/core/errors'
import { readTopicName } from './fields.ts'
import type { MqttErrorCode, Properties, UserProperty } from './packets.ts'
import type { Reader } from './reader.ts'

/** Where properties stand. PUBACK, PUBREC, PUBREL and PUBCOMP have the same ones. */
export type Place =
  | 'connect'
  | 'will'
  | 'publish'
  | 'ack'
  | 'subscribe'
  | 'unsubscribe'
  | 'disconnect'
  | 'auth'

/**
 * In one set. The specification knows no limit; each pair costs two strings, and a packet of empty
 * ones would be five bytes for each.
 */
export const userPropertiesMax = 64

type Draft = { -readonly [Name in keyof Properties]: Properties[Name] }
type NamesOf<Value> = {
  [Name in keyof Properties]-?: Exclude<Properties[Name], undefined> extends Value
    ? Value extends Exclude<Properties[Name], undefined>
      ? Name
      : never
    : never
}[keyof Properties]

/** Values: `u16` and the like may be zero, `positive` says that they may not. */
type Spec = {
  readonly id: number
  readonly in: readonly Place[]
  /** Where only a server may say it. */
  readonly fromServer?: readonly Place[]
} & (
  | { readonly kind: 'flag'; readonly name: NamesOf<0 | 1> }
  | {
      readonly kind: 'u16' | 'u32' | 'varint'
      readonly name: NamesOf<number>
      readonly positive?: true
    }
  | { readonly kind: 'utf8' | 'topic'; readonly name: NamesOf<string> }
  | { readonly kind: 'binary'; readonly name: NamesOf<Uint8Array> }
  | { readonly kind: 'pair'; readonly name: 'user' }
)

/** Table 2-4 without CONNACK, SUBACK and UNSUBACK. */
const specs: readonly Spec[] = [
  { id: 0x01, name: 'payloadFormat', kind: 'flag', in: ['publish', 'will'] },
  { id: 0x02, name: 'messageExpiry', kind: 'u32', in: ['publish', 'will'] },
  { id: 0x03, name: 'contentType', kind: 'utf8', in: ['publish', 'will'] },
  { id: 0x08, name: 'responseTopic', kind: 'topic', in: ['publish', 'will'] },
  { id: 0x09, name: 'correlationData', kind: 'binary', in: ['publish', 'will'] },
  {
    id: 0x0b,
    name: 'subscriptionIdentifier',
    kind: 'varint',
    in: ['subscribe'],
    fromServer: ['publish'],
    positive: true,
  },
  { id: 0x11, name: 'sessionExpiry', kind: 'u32', in: ['connect', 'disconnect'] },
  { id: 0x15, name: 'authenticationMethod', kind: 'utf8', in: ['connect', 'auth'] },
  { id: 0x16, name: 'authenticationData', kind: 'binary', in: ['connect', 'auth'] },
  { id: 0x17, name: 'requestProblemInformation', kind: 'flag', in: ['connect'] },
  { id: 0x18, name: 'willDelay', kind: 'u32', in: ['will'] },
  { id: 0x19, name: 'requestResponseInformation', kind: 'flag', in: ['connect'] },
  { id: 0x1c, name: 'serverReference', kind: 'utf8', in: ['disconnect'] },
  { id: 0x1f, name: 'reasonString', kind: 'utf8', in: ['ack', 'disconnect', 'auth'] },
  { id: 0x21, name: 'receiveMaximum', kind: 'u16', in: ['connect'], positive: true },
  { id: 0x22, name: 'topicAliasMaximum', kind: 'u16', in: ['connect'] },
  { id: 0x23, name: 'topicAlias', kind: 'u16', in: ['publish'], positive: true },
  {
    id: 0x26,
    name: 'user',
    kind: 'pair',
    in: ['connect', 'will', 'publish', 'ack', 'subscribe', 'unsubscribe', 'disconnect', 'auth'],
  },
  { id: 0x27, name: 'maximumPacketSize', kind: 'u32', in: ['connect'], positive: true },
]

const specById: readonly (Spec | undefined)[] = Array.from({ length: 0x28 }, (_, id) =>
  specs.find((spec) => spec.id === id),
)

/** Of packets without any, and of 3.1.1. */
export const noProperties: Properties = Object.freeze({})

/** The property length and as many bytes of properties, which must stand at `place`. */
export function readProperties(reader: Reader, place: Place): Properties {
  const length = reader.varint('property length')
  if (length === 0) return noProperties
  const outer = reader.narrow(length, 'property length')
  const found: Draft = {}
  const user: UserProperty[] = []
  while (!reader.done) readProperty(reader, place, found, user)
  reader.widen(outer)
  if (user.length > 0) found.user = user
  return found
}

function readProperty(reader: Reader, place: Place, found: Draft, user: UserProperty[]): void {
  // A Variable Byte Integer, though all of them have one byte (§2.2.2.2, non-normative).
  const id = reader.varint('property identifier')
  const spec = specById[id]
  if (spec === undefined || !spec.in.includes(place)) throw misplaced(reader, place, id)
  const { name } = spec
  if (found[name] !== undefined) throw reader.protocolError(name, 'comes twice')
  switch (spec.kind) {
    case 'flag':
      found[spec.name] = flag(reader, name)
      return
    case 'u16':
    case 'u32':
    case 'varint': {
      const value = reader[spec.kind](name)
      if (value === 0 && spec.positive) throw reader.protocolError(name, 'is zero')
      found[spec.name] = value
      return
    }
    case 'utf8':
      found[spec.name] = reader.utf8(name)
      return
    case 'topic':
      // [MQTT-3.3.2-14], [MQTT-4.7.3-1]
      found[spec.name] = readTopicName(reader, name)
      return
    case 'binary':
      // A copy: properties are kept for long, and a view would keep the whole chunk with it.
      found[spec.name] = new Uint8Array(reader.binary(name))
      return
    case 'pair':
      user.push(userProperty(reader, user.length))
  }
}

function misplaced(reader: Reader, place: Place, id: number): PeerError<MqttErrorCode> {
  const hex = `0x${id.toString(16).padStart(2, '0')}`
  // [MQTT-3.3.4-6]: it belongs to PUBLISH, and not to a client's.
  const fromServer = specById[id]?.fromServer?.includes(place) === true
  return fromServer
    ? reader.protocolError('property identifier', `${hex} is for a server to send`)
    : reader.malformed('property identifier', `${hex} does not belong to ${place}`)
}

function flag(reader: Reader, name: string): 0 | 1 {
  const value = reader.u8(name)
  if (value === 0 || value === 1) return value
  throw reader.protocolError(name, 'is neither 0 nor 1')
}

function userProperty(reader: Reader, before: number): UserProperty {
  if (before === userPropertiesMax) {
    throw reader.refuse('ERR_MQTT_TOO_LARGE', 'user', `comes more than ${userPropertiesMax} times`)
  }
  return [reader.utf8('user'), reader.utf8('user')]
}
