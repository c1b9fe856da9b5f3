/**
 * What packets.ts promises of every packet that was read, said a second time and in other words
 * than the parser's: for the fuzzer and the hostile tests.
 */
import type {
  ClientPacket,
  MqttVersion,
  Properties,
  PublishPacket,
  Will,
} from '../packages/server/src/frontend/mqtt/packets.ts'

const message = ['payloadFormat', 'messageExpiry', 'contentType', 'responseTopic']
const propertiesOf: Readonly<Record<string, readonly string[]>> = {
  connect: [
    'sessionExpiry',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'authenticationMethod',
    'authenticationData',
    'user',
  ],
  will: [...message, 'correlationData', 'user', 'willDelay'],
  publish: [...message, 'correlationData', 'user', 'topicAlias'],
  subscribe: ['subscriptionIdentifier', 'user'],
  disconnect: ['sessionExpiry', 'reasonString', 'user', 'serverReference'],
}
/** Least and greatest. */
const rangeOf: Readonly<Record<string, readonly [number, number]>> = {
  payloadFormat: [0, 1],
  requestProblemInformation: [0, 1],
  requestResponseInformation: [0, 1],
  receiveMaximum: [1, 0xffff],
  topicAlias: [1, 0xffff],
  topicAliasMaximum: [0, 0xffff],
  subscriptionIdentifier: [1, 268_435_455],
  maximumPacketSize: [1, 0xffff_ffff],
  sessionExpiry: [0, 0xffff_ffff],
  messageExpiry: [0, 0xffff_ffff],
  willDelay: [0, 0xffff_ffff],
}

/** Throws an Error when the packet is not what packets.ts promises of it. */
export function checkPacket(packet: ClientPacket, version: MqttVersion): void {
  for (const text of texts(packet)) {
    must(text.isWellFormed() && !text.includes('\0'), 'a string is not what it must be')
  }
  if ('packetId' in packet && packet.type !== 'publish') checkId(packet.packetId)
  switch (packet.type) {
    case 'connect':
      must(packet.version === version, 'version')
      must(version === 5 || packet.hasUserName || !packet.hasPassword, 'a password alone')
      must(integer(packet.keepAlive, 0, 0xffff), 'keep alive')
      checkProperties(packet.properties, 'connect', version)
      if (packet.will !== undefined) checkWill(packet.will, version)
      return
    case 'publish':
      checkPublish(packet, version)
      return
    case 'subscribe':
      must(packet.subscriptions.length > 0, 'no subscription')
      for (const { filter, qos } of packet.subscriptions) {
        checkFilter(filter)
        must(integer(qos, 0, 2), 'QoS')
      }
      checkProperties(packet.properties, 'subscribe', version)
      return
    case 'unsubscribe':
      must(packet.filters.length > 0, 'no filter')
      packet.filters.forEach(checkFilter)
      return
    case 'disconnect':
      checkReason(packet.reason, '00 04 80 81 82 83 90 93 94 95 96 97 98 99', version)
      checkProperties(packet.properties, 'disconnect', version)
      return
    case 'puback':
    case 'pubrec':
      checkReason(packet.reason, '00 80 83 87 90 91 97 99', version)
      return
    case 'pubrel':
    case 'pubcomp':
      checkReason(packet.reason, '00 92', version)
      return
    case 'auth':
      must(version === 5, 'AUTH')
      return
    case 'pingreq':
  }
}

function checkPublish(packet: PublishPacket, version: MqttVersion): void {
  must(integer(packet.qos, 0, 2), 'QoS')
  if (packet.qos > 0) checkId(packet.packetId)
  else must(packet.packetId === 0 && !packet.dup, 'packet identifier or DUP with QoS 0')
  must(!/[+#]/.test(packet.topic), 'wildcard')
  must(packet.topic !== '' || (packet.properties.topicAlias ?? 0) > 0, 'no topic')
  checkProperties(packet.properties, 'publish', version)
}

function checkWill(will: Will, version: MqttVersion): void {
  must(integer(will.qos, 0, 2) && /^[^+#]+$/s.test(will.topic), 'will')
  checkProperties(will.properties, 'will', version)
}

function checkProperties(properties: Properties, place: string, version: MqttVersion): void {
  const allowed = version === 5 ? (propertiesOf[place] ?? []) : []
  for (const [name, value] of Object.entries(properties)) {
    must(allowed.includes(name), `${name} in ${place}`)
    const [least, greatest] = rangeOf[name] ?? [0, 0]
    must(typeof value !== 'number' || integer(value, least, greatest), `${name} out of range`)
  }
  must((properties.user?.length ?? 1) > 0 && (properties.user?.length ?? 0) <= 64, 'user')
  must(!/[+#]/.test(properties.responseTopic ?? ''), 'response topic')
}

function checkFilter(filter: string): void {
  const levels = filter.split('/')
  const good = levels.every(
    (level, index) =>
      level === '+' || !/[+#]/.test(level) || (level === '#' && index === levels.length - 1),
  )
  must(good && filter !== '', 'filter')
}

function checkReason(reason: number, allowed: string, version: MqttVersion): void {
  const digits = reason.toString(16).padStart(2, '0')
  must(version === 5 ? allowed.split(' ').includes(digits) : reason === 0, `reason ${digits}`)
}

function checkId(packetId: number): void {
  must(integer(packetId, 1, 0xffff), 'packet identifier')
}

function integer(value: number, least: number, greatest: number): boolean {
  return Number.isInteger(value) && value >= least && value <= greatest
}

/** All strings in it, at any depth. */
function texts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return []
  return Object.values(value).flatMap(texts)
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`a packet was read that cannot be: ${what}`)
}
