/**
 * What other parsers let through: one packet for each rule of MQTT 5 and 3.1.1 that a client can
 * break, the error it gets, and where. What is nearly as odd and allowed: allowed.test.ts.
 */
import { test } from 'node:test'
import type { MqttErrorCode, MqttVersion } from '../../../src/frontend/mqtt/packets.ts'
import { hex, packetOf, read, refuses } from './support.ts'

interface Group {
  readonly packet: string
  readonly version: MqttVersion | undefined
  readonly code: MqttErrorCode
  /** `bytes` without the remaining length. */
  readonly rows: readonly (readonly [rule: string, bytes: string, field: string])[]
}

const malformed = 'ERR_MQTT_MALFORMED'
const protocol = 'ERR_MQTT_PROTOCOL'
const wrongVersion = 'ERR_MQTT_VERSION'
const mqtt4 = '00 04 4d 51 54 54 04'
const mqtt5 = '00 04 4d 51 54 54 05'
const ab = '00 03 61 2f 62'

const refused: readonly Group[] = [
  {
    packet: 'connect',
    version: undefined,
    code: malformed,
    rows: [
      ['a protocol name that is not MQTT', '10 00 04 48 54 54 50', 'protocol name'],
      ['mqtt in small letters', '10 00 04 6d 71 74 74 04 02 00 00 00 01 61', 'protocol name'],
      ['flags in the fixed header of CONNECT', `11 ${mqtt4} 02 00 00 00 01 61`, 'flags'],
      [
        'the reserved connect flag [MQTT-3.1.2-3]',
        `10 ${mqtt4} 03 00 00 00 01 61`,
        'connect flags',
      ],
      ['will QoS without a will', `10 ${mqtt4} 0a 00 00 00 01 61`, 'connect flags'],
      ['will retain without a will', `10 ${mqtt5} 22 00 00 00 00 01 61`, 'connect flags'],
      ['will QoS 3', `10 ${mqtt5} 1e 00 00 00 00 01 61 00 ${ab} 00 00`, 'connect flags'],
      [
        'a password without a user name under 3.1.1 [MQTT-3.1.2-22]',
        `10 ${mqtt4} 42 00 00 00 01 61 00 01 70`,
        'connect flags',
      ],
      [
        'a will topic with a wildcard',
        `10 ${mqtt4} 06 00 00 00 01 61 00 03 61 2f 23 00 00`,
        'will topic',
      ],
      ['an empty will topic', `10 ${mqtt4} 06 00 00 00 01 61 00 00 00 00`, 'will topic'],
      ['no client identifier', `10 ${mqtt4} 02 00 00`, 'client identifier'],
      ['U+0000 in the client identifier', `10 ${mqtt4} 02 00 00 00 02 61 00`, 'client identifier'],
      ['a user name that is not UTF-8', `10 ${mqtt4} 82 00 00 00 01 61 00 01 ff`, 'user name'],
      [
        'a password that is announced and not there',
        `10 ${mqtt4} c2 00 00 00 01 61 00 01 75`,
        'password',
      ],
      ['bytes behind CONNECT', `10 ${mqtt4} 02 00 00 00 01 61 00`, 'end'],
      [
        'will delay outside the will',
        `10 ${mqtt5} 02 00 00 05 18 00 00 00 01 00 01 61`,
        'property identifier',
      ],
      [
        'session expiry in the will',
        `10 ${mqtt5} 06 00 00 00 00 01 61 05 11 00 00 00 01 ${ab} 00 00`,
        'property identifier',
      ],
      [
        'an assigned client identifier from a client',
        `10 ${mqtt5} 02 00 00 04 12 00 01 61 00 01 61`,
        'property identifier',
      ],
    ],
  },
  {
    packet: 'connect',
    version: undefined,
    code: wrongVersion,
    rows: [
      ['MQTT 3.1', '10 00 06 4d 51 49 73 64 70 03 02 00 00 00 01 61', 'protocol level'],
      ['level 6', '10 00 04 4d 51 54 54 06', 'protocol level'],
      ['a bridge of level 0x84', '10 00 04 4d 51 54 54 84 02 00 00 00 01 61', 'protocol level'],
    ],
  },
  {
    packet: 'connect',
    version: undefined,
    code: protocol,
    rows: [
      [
        'authentication data without a method',
        `10 ${mqtt5} 02 00 00 04 16 00 01 ff 00 01 61`,
        'authenticationData',
      ],
      ['receive maximum 0', `10 ${mqtt5} 02 00 00 03 21 00 00 00 01 61`, 'receiveMaximum'],
      [
        'maximum packet size 0',
        `10 ${mqtt5} 02 00 00 05 27 00 00 00 00 00 01 61`,
        'maximumPacketSize',
      ],
      [
        'request problem information 2',
        `10 ${mqtt5} 02 00 00 02 17 02 00 01 61`,
        'requestProblemInformation',
      ],
      [
        'session expiry twice',
        `10 ${mqtt5} 02 00 00 0a 11 00 00 00 01 11 00 00 00 01 00 01 61`,
        'sessionExpiry',
      ],
    ],
  },
  {
    packet: 'publish',
    version: 4,
    code: malformed,
    rows: [
      ['QoS 3 [MQTT-3.3.1-4]', `36 ${ab} 00 01`, 'qos'],
      ['DUP with QoS 0 [MQTT-3.3.1-2]', `38 ${ab}`, 'dup'],
      ['a packet identifier that is cut', `32 ${ab} 00`, 'packet identifier'],
      ['# in a topic [MQTT-3.3.2-2]', '30 00 03 61 2f 23', 'topic'],
      ['an empty topic under 3.1.1 [MQTT-4.7.3-1]', '30 00 00', 'topic'],
      ['a topic that runs over the end', '30 00 04 61 2f 62', 'topic'],
      ['U+0000 in a topic [MQTT-1.5.4-2]', '30 00 03 61 00 62', 'topic'],
      ['U+0000 behind wide characters', '30 00 03 c3 bc 00', 'topic'],
      ['U+0000 in two bytes, which is not UTF-8', '30 00 02 c0 80', 'topic'],
      ['a surrogate [MQTT-1.5.4-1]', '30 00 03 ed a0 80', 'topic'],
      ['UTF-8 that is cut', '30 00 02 e2 82', 'topic'],
      ['a code point above U+10FFFF', '30 00 04 f4 90 80 80', 'topic'],
    ],
  },
  {
    packet: 'publish',
    version: 4,
    code: protocol,
    rows: [['packet identifier 0 [MQTT-2.2.1-3]', `32 ${ab} 00 00`, 'packet identifier']],
  },
  {
    packet: 'publish',
    version: 5,
    code: malformed,
    rows: [
      ['+ in a topic', '30 00 02 61 2b 00', 'topic'],
      ['no properties at all under MQTT 5 [MQTT-2.2.2-1]', `30 ${ab}`, 'property length'],
      ['a property length beyond the end', `30 ${ab} 03 01 01`, 'property length'],
      ['a property length in a longer form', `30 ${ab} 80 00`, 'property length'],
      ['a property identifier in a longer form', `30 ${ab} 03 81 00 01`, 'property identifier'],
      [
        'a property that runs over the property length',
        `30 ${ab} 04 03 00 03 61 62 63`,
        'contentType',
      ],
      ['property identifier 0', `30 ${ab} 01 00`, 'property identifier'],
      ['an unknown property', `30 ${ab} 02 7f 00`, 'property identifier'],
      [
        'a property of two bytes that does not exist',
        `30 ${ab} 03 81 01 00`,
        'property identifier',
      ],
      ['a reason string in PUBLISH', `30 ${ab} 04 1f 00 01 61`, 'property identifier'],
      [
        'a response topic with a wildcard [MQTT-3.3.2-14]',
        `30 ${ab} 05 08 00 02 61 23`,
        'responseTopic',
      ],
      ['an empty response topic', `30 ${ab} 03 08 00 00`, 'responseTopic'],
      ['a user property with U+0000 [MQTT-1.5.7-1]', `30 ${ab} 06 26 00 01 00 00 00`, 'user'],
      ['half a user property', `30 ${ab} 04 26 00 01 61`, 'user'],
    ],
  },
  {
    packet: 'publish',
    version: 5,
    code: protocol,
    rows: [
      ['an empty topic without an alias (§3.3.2.1)', '30 00 00 00', 'topic'],
      [
        'a subscription identifier from a client [MQTT-3.3.4-6]',
        `30 ${ab} 02 0b 01`,
        'property identifier',
      ],
      ['payload format 2', `30 ${ab} 02 01 02`, 'payloadFormat'],
      ['payload format 0 twice', `30 ${ab} 04 01 00 01 00`, 'payloadFormat'],
      ['an empty content type twice', `30 ${ab} 06 03 00 00 03 00 00`, 'contentType'],
      ['topic alias 0 [MQTT-3.3.2-8]', `30 ${ab} 03 23 00 00`, 'topicAlias'],
    ],
  },
  {
    packet: 'puback',
    version: 4,
    code: protocol,
    rows: [['PUBACK of packet identifier 0', '40 00 00', 'packet identifier']],
  },
  {
    packet: 'puback',
    version: 4,
    code: malformed,
    rows: [
      ['PUBACK with flags', '42 00 01', 'flags'],
      ['a reason code under 3.1.1', '40 00 01 00', 'end'],
    ],
  },
  {
    packet: 'pubrel',
    version: 5,
    code: malformed,
    rows: [['PUBREL without its flag [MQTT-3.6.1-1]', '60 00 01', 'flags']],
  },
  {
    packet: 'puback',
    version: 5,
    code: protocol,
    rows: [
      ['a reason code that does not exist', '40 00 01 01', 'reason code'],
      ['PUBACK 0x10, which only a server says', '40 00 01 10', 'reason code'],
      ['PUBACK with a reason of PUBREL', '40 00 01 92', 'reason code'],
    ],
  },
  {
    packet: 'pubrel',
    version: 5,
    code: protocol,
    rows: [['PUBREL with a reason of PUBACK', '62 00 01 80', 'reason code']],
  },
  {
    packet: 'pubcomp',
    version: 5,
    code: malformed,
    rows: [
      ['PUBCOMP with a property of CONNECT', '70 00 01 00 03 21 00 01', 'property identifier'],
    ],
  },
  {
    packet: 'pubrec',
    version: 5,
    code: protocol,
    rows: [['a reason string twice', '50 00 01 00 06 1f 00 00 1f 00 00', 'reasonString']],
  },
  {
    packet: 'subscribe',
    version: 4,
    code: protocol,
    rows: [
      ['SUBSCRIBE without filters [MQTT-3.8.3-2]', '82 00 01', 'payload'],
      ['SUBSCRIBE with packet identifier 0', `82 00 00 ${ab} 00`, 'packet identifier'],
    ],
  },
  {
    packet: 'subscribe',
    version: 5,
    code: protocol,
    rows: [
      ['SUBSCRIBE without filters, of MQTT 5', '82 00 01 00', 'payload'],
      ['QoS 3 (§3.8.3.1)', `82 00 01 00 ${ab} 03`, 'subscription options'],
      ['retain handling 3', `82 00 01 00 ${ab} 30`, 'subscription options'],
      [
        'No Local on a shared subscription [MQTT-3.8.3-4]',
        '82 00 01 00 00 0a 24 73 68 61 72 65 2f 67 2f 61 04',
        'subscription options',
      ],
      ['subscription identifier 0', `82 00 01 02 0b 00 ${ab} 00`, 'subscriptionIdentifier'],
      [
        'subscription identifier twice',
        `82 00 01 04 0b 01 0b 02 ${ab} 00`,
        'subscriptionIdentifier',
      ],
    ],
  },
  {
    packet: 'subscribe',
    version: 4,
    code: malformed,
    rows: [
      ['SUBSCRIBE without its flag [MQTT-3.8.1-1]', `80 00 01 ${ab} 00`, 'flags'],
      ['a filter without options', `82 00 01 ${ab}`, 'subscription options'],
      ['an empty filter [MQTT-4.7.3-1]', '82 00 01 00 00 00', 'topic filter'],
      ['# before the end [MQTT-4.7.1-1]', '82 00 01 00 03 23 2f 61 00', 'topic filter'],
      ['# beside characters', '82 00 01 00 02 61 23 00', 'topic filter'],
      ['+ beside characters [MQTT-4.7.1-2]', '82 00 01 00 04 61 2f 2b 62 00', 'topic filter'],
      ['QoS 3 under 3.1.1 [MQTT-3-8.3-4]', `82 00 01 ${ab} 03`, 'subscription options'],
      ['options of MQTT 5 under 3.1.1', `82 00 01 ${ab} 05`, 'subscription options'],
    ],
  },
  {
    packet: 'subscribe',
    version: 5,
    code: malformed,
    rows: [
      ['a reserved option [MQTT-3.8.3-5]', `82 00 01 00 ${ab} 41`, 'subscription options'],
      [
        'a shared subscription without a name [MQTT-4.8.2-1]',
        '82 00 01 00 00 09 24 73 68 61 72 65 2f 2f 61 00',
        'topic filter',
      ],
      [
        'a shared subscription whose name is a wildcard [MQTT-4.8.2-2]',
        '82 00 01 00 00 0a 24 73 68 61 72 65 2f 2b 2f 61 00',
        'topic filter',
      ],
      [
        'a shared subscription without a filter',
        '82 00 01 00 00 08 24 73 68 61 72 65 2f 67 00',
        'topic filter',
      ],
      [
        'a shared subscription with an empty filter',
        '82 00 01 00 00 09 24 73 68 61 72 65 2f 67 2f 00',
        'topic filter',
      ],
      [
        'a subscription identifier of five bytes',
        `82 00 01 06 0b 80 80 80 80 01 ${ab} 00`,
        'subscriptionIdentifier',
      ],
    ],
  },
  {
    packet: 'unsubscribe',
    version: 4,
    code: protocol,
    rows: [['UNSUBSCRIBE without filters [MQTT-3.10.3-2]', 'a2 00 01', 'payload']],
  },
  {
    packet: 'unsubscribe',
    version: 4,
    code: malformed,
    rows: [['UNSUBSCRIBE without its flag [MQTT-3.10.1-1]', `a0 00 01 ${ab}`, 'flags']],
  },
  {
    packet: 'unsubscribe',
    version: 5,
    code: malformed,
    rows: [
      ['UNSUBSCRIBE from a filter that cannot be', 'a2 00 01 00 00 02 61 2b', 'topic filter'],
      [
        'a subscription identifier in UNSUBSCRIBE',
        `a2 00 01 02 0b 01 ${ab}`,
        'property identifier',
      ],
    ],
  },
  {
    packet: 'pingreq',
    version: 4,
    code: malformed,
    rows: [['PINGREQ with a body', 'c0 00', 'end']],
  },
  {
    packet: 'pingreq',
    version: 5,
    code: malformed,
    rows: [['PINGREQ with flags', 'c1', 'flags']],
  },
  {
    packet: 'disconnect',
    version: 4,
    code: malformed,
    rows: [['DISCONNECT with a body under 3.1.1', 'e0 00', 'end']],
  },
  {
    packet: 'disconnect',
    version: 5,
    code: protocol,
    rows: [['DISCONNECT with a reason that only a server has', 'e0 8e', 'reason code']],
  },
  {
    packet: 'disconnect',
    version: 5,
    code: malformed,
    rows: [['DISCONNECT with bytes behind its properties', 'e0 00 00 00', 'end']],
  },
  {
    packet: 'auth',
    version: 4,
    code: malformed,
    rows: [['AUTH under 3.1.1', 'f0 18 00', 'type']],
  },
  {
    packet: 'auth',
    version: 5,
    code: protocol,
    rows: [
      ['AUTH in its short form, which says Success', 'f0', 'reason code'],
      ['AUTH with Success', 'f0 00 00', 'reason code'],
      ['AUTH without a method (§3.15.2.2.2)', 'f0 18 00', 'authenticationMethod'],
    ],
  },
  {
    packet: 'auth',
    version: 5,
    code: malformed,
    rows: [['AUTH that re-authenticates and has flags [MQTT-3.15.1-1]', 'f1 19 00', 'flags']],
  },
]

for (const { packet, version, code, rows } of refused) {
  for (const [rule, bytes, field] of rows) {
    test(`refused: ${rule}`, () => {
      const all = hex(bytes)
      const sent = packetOf(all[0] ?? 0, all.subarray(1))
      refuses(() => read(sent, version), code, `${packet}.${field}`)
    })
  }
}
