/** Packets drawn at random in the words of mqtt-packet, all of which a client may send. */
import * as fc from 'fast-check'
import type { Packet } from 'mqtt-packet'
import type { MqttVersion, QoS } from '../../../src/frontend/mqtt/packets.ts'

const shaped = { noNullPrototype: true } as const
const word = fc
  .string({ unit: 'binary', maxLength: 12 })
  .filter((text) => !text.includes('\0') && text.isWellFormed())
const nonempty = word.filter((text) => text !== '')
const topic = nonempty.filter((text) => !/[+#]/.test(text))
const filter = fc.oneof(topic, fc.constantFrom('#', '+', 'a/+/b', 'a/#', '/', '+/+', '$SYS/#'))
const filters = fc.array(filter, { minLength: 1, maxLength: 5 })
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const qos = fc.constantFrom<QoS>(0, 1, 2)
const id = fc.integer({ min: 1, max: 0xffff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })

/**
 * At least one: mqtt-packet writes an object without any as a property length that is cut. Its own
 * parser makes objects without prototype.
 */
const userProperties = fc
  .dictionary(
    word.filter((text) => text !== '__proto__'),
    fc.oneof(word, fc.array(nonempty, { minLength: 2, maxLength: 3 })),
    { minKeys: 1, maxKeys: 4 },
  )
  .map((user) => Object.assign(Object.create(null), user))

const messageProperties = {
  payloadFormatIndicator: fc.boolean(),
  messageExpiryInterval: u32,
  contentType: word,
  responseTopic: topic,
  correlationData: bytes,
  userProperties,
}
const connectProperties = {
  sessionExpiryInterval: u32,
  receiveMaximum: id,
  maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
  topicAliasMaximum: u16,
  requestResponseInformation: fc.boolean(),
  requestProblemInformation: fc.boolean(),
  authenticationMethod: word,
  userProperties,
}

/** Some of the properties; under 3.1.1 there are none. */
function some<T extends object>(
  version: MqttVersion,
  model: { [Key in keyof T]: fc.Arbitrary<T[Key]> },
) {
  const drawn = fc.record(model, { ...shaped, requiredKeys: [] })
  // As mqtt-packet reads it: no key for an object without any.
  return drawn.map((properties) =>
    version === 4 || Object.keys(properties).length === 0 ? {} : { properties },
  )
}

export function connects(version: MqttVersion): fc.Arbitrary<Packet> {
  const will = fc
    .tuple(
      fc.record({ topic, payload: bytes, qos, retain: fc.boolean() }, shaped),
      some(version, { ...messageProperties, willDelayInterval: u32 }),
    )
    .map(([fields, properties]) => ({ ...fields, ...properties }))
  const fields = fc.record(
    { clean: fc.boolean(), clientId: nonempty, keepalive: u16, username: nonempty, will },
    { ...shaped, requiredKeys: ['clean', 'clientId'] },
  )
  return fc.tuple(fields, some(version, connectProperties)).map(([packet, properties]) => ({
    cmd: 'connect',
    protocolVersion: version,
    ...packet,
    ...properties,
  }))
}

/** Any packet but CONNECT and AUTH. */
export function later(version: MqttVersion): fc.Arbitrary<Packet> {
  return fc.oneof(
    publishes(version),
    acks(['puback', 'pubrec'], [0, 0x80, 0x87, 0x97]),
    acks(['pubrel', 'pubcomp'], [0, 0x92]),
    subscribes(version),
    unsubscribes(version),
    disconnects(version),
    fc.constant<Packet>({ cmd: 'pingreq' }),
  )
}

export function publishes(version: MqttVersion): fc.Arbitrary<Packet> {
  const fields = { topic, payload: bytes, qos, retain: fc.boolean(), dup: fc.boolean() }
  return fc
    .tuple(fc.record(fields), id, some(version, { ...messageProperties, topicAlias: id }))
    .map(([packet, messageId, properties]) => ({
      ...packet,
      cmd: 'publish',
      dup: packet.dup && packet.qos > 0,
      messageId,
      ...properties,
    }))
}

function acks(
  cmds: readonly ('puback' | 'pubrec' | 'pubrel' | 'pubcomp')[],
  reasons: readonly number[],
): fc.Arbitrary<Packet> {
  return fc
    .tuple(fc.constantFrom(...cmds), id, fc.constantFrom(...reasons))
    .map(([cmd, messageId, reasonCode]) => ({ cmd, messageId, reasonCode }))
}

function subscribes(version: MqttVersion): fc.Arbitrary<Packet> {
  const options5 = { nl: fc.boolean(), rap: fc.boolean(), rh: fc.constantFrom(0, 1, 2) }
  const subscription = fc.record({ topic: filter, qos, ...(version === 5 ? options5 : {}) }, shaped)
  const identifier = fc.integer({ min: 1, max: 268_435_455 })
  return fc
    .tuple(
      id,
      fc.array(subscription, { minLength: 1, maxLength: 5 }),
      some(version, { subscriptionIdentifier: identifier, userProperties }),
    )
    .map(([messageId, subscriptions, properties]) => ({
      cmd: 'subscribe',
      messageId,
      subscriptions,
      ...properties,
    }))
}

function unsubscribes(version: MqttVersion): fc.Arbitrary<Packet> {
  return fc
    .tuple(id, filters, some(version, { userProperties }))
    .map(([messageId, unsubscriptions, properties]) => ({
      cmd: 'unsubscribe',
      messageId,
      unsubscriptions,
      ...properties,
    }))
}

function disconnects(version: MqttVersion): fc.Arbitrary<Packet> {
  const model = { sessionExpiryInterval: u32, reasonString: word, userProperties }
  return fc
    .tuple(fc.constantFrom(0, 4, 0x81, 0x98), some(version, model))
    .map(([reasonCode, properties]) => ({ cmd: 'disconnect', reasonCode, ...properties }))
}
