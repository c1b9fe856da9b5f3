/** mqtt-packet as a second opinion: what it reads, and our packets in its words. */
import assert from 'node:assert/strict'
import { parser as newParser } from 'mqtt-packet'
import type {
  ClientPacket,
  MqttVersion,
  Properties,
  UserProperty,
} from '../../../src/frontend/mqtt/packets.ts'

export type Foreign = Readonly<Record<string, unknown>>

/** The one packet that mqtt-packet reads in these bytes. */
export function foreign(bytes: Buffer, version: MqttVersion | undefined): Foreign {
  const packets: object[] = []
  const parser = newParser({ protocolVersion: version })
  parser.on('packet', (packet) => packets.push(packet))
  parser.on('error', (error) => {
    throw error
  })
  assert.equal(parser.parse(bytes), 0, 'bytes are left')
  assert.equal(packets.length, 1)
  return { ...packets[0] }
}

/**
 * Each value of `part` stands in `whole`, and is the same to the last byte; assert's own partial
 * comparison lets lists and buffers be longer.
 */
export function says(whole: Foreign, part: Foreign, context = ''): void {
  for (const [key, value] of Object.entries(part)) {
    const found = whole[key]
    assert.deepEqual(key === 'subscriptions' ? withoutOptions(found) : found, value, context)
  }
}

/** Subscription Options besides QoS are checked by ours and not kept. */
function withoutOptions(subscriptions: unknown): unknown {
  const list = subscriptions as readonly { readonly topic: string; readonly qos: number }[]
  return list.map(({ topic, qos }) => ({ topic, qos }))
}

/** Our names for properties, and theirs. */
const names: Readonly<Record<string, string>> = {
  payloadFormat: 'payloadFormatIndicator',
  messageExpiry: 'messageExpiryInterval',
  sessionExpiry: 'sessionExpiryInterval',
  willDelay: 'willDelayInterval',
  user: 'userProperties',
}
const booleans: ReadonlySet<string> = new Set([
  'payloadFormat',
  'requestProblemInformation',
  'requestResponseInformation',
])

/** All that mqtt-packet should say of a packet that we have read. */
export function inForeignWords(packet: ClientPacket): Foreign {
  switch (packet.type) {
    case 'connect': {
      const { version, clean, keepAlive, clientId, will, properties } = packet
      return {
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: version,
        clean,
        keepalive: keepAlive,
        clientId,
        ...foreignProperties(properties),
        ...(will === undefined
          ? {}
          : {
              will: {
                topic: will.topic,
                payload: will.payload,
                qos: will.qos,
                retain: will.retain,
                ...foreignProperties(will.properties),
              },
            }),
      }
    }
    case 'publish': {
      const { topic, payload, qos, retain, dup, packetId, properties } = packet
      const id = qos === 0 ? {} : { messageId: packetId }
      const said = { cmd: 'publish', topic, payload, qos, retain, dup }
      return { ...said, ...id, ...foreignProperties(properties) }
    }
    case 'subscribe': {
      const subscriptions = packet.subscriptions.map(({ filter, qos }) => ({ topic: filter, qos }))
      const { packetId: messageId, properties } = packet
      return { cmd: 'subscribe', messageId, subscriptions, ...foreignProperties(properties) }
    }
    case 'unsubscribe':
      return { cmd: 'unsubscribe', messageId: packet.packetId, unsubscriptions: packet.filters }
    case 'disconnect':
      return { cmd: 'disconnect', ...foreignProperties(packet.properties) }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return { cmd: packet.type, messageId: packet.packetId }
    case 'pingreq':
    case 'auth':
      return { cmd: packet.type }
  }
}

function foreignProperties(properties: Properties): Foreign {
  const entries = Object.entries(properties).map(([name, value]) => {
    const said = names[name] ?? name
    if (name === 'user') return [said, foreignUser(properties.user ?? [])] as const
    if (booleans.has(name)) return [said, value === 1] as const
    return [said, value instanceof Uint8Array ? Buffer.from(value) : value] as const
  })
  return entries.length === 0 ? {} : { properties: Object.fromEntries(entries) }
}

/** An object by names; the values of a name that repeats are a list. */
function foreignUser(user: readonly UserProperty[]): Foreign {
  const byName: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of user) {
    const before = byName[name]
    // As mqtt-packet has it: an empty value before does not count.
    if (before === undefined || before === '') byName[name] = value
    else if (typeof before === 'string') byName[name] = [before, value]
    else before.push(value)
  }
  return byName
}
