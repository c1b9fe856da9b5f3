/**
 * Packets of MQTT that a client may send, written out by hand: what the fuzzer and the hostile
 * tests start from.
 */
import type { MqttVersion } from '../packages/server/src/frontend/mqtt/packets.ts'

export interface Sample {
  readonly name: string
  /** Under which it is sent; undefined: CONNECT. */
  readonly version: MqttVersion | undefined
  readonly first: number
  readonly body: Buffer
}

/** Bytes of hexadecimal digits; spaces, and what stands behind `#` in a line, say nothing. */
export function hex(text: string): Buffer {
  const digits = text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, '')
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hexadecimal: ${digits}`)
  return Buffer.from(digits, 'hex')
}

const mqtt = '00 04 4d 51 54 54'
const ab = '00 03 61 2f 62'
const user = '26 00 01 6b 00 01 76'

const connects: readonly Sample[] = [
  {
    name: 'CONNECT 3.1.1',
    version: undefined,
    first: 0x10,
    body: hex(`${mqtt} 04 02 00 3c 00 03 61 2d 37`),
  },
  {
    name: 'CONNECT 3.1.1 with everything',
    version: undefined,
    first: 0x10,
    body: hex(`
      ${mqtt} 04 f6 00 0a
      00 03 61 2d 37
      ${ab} 00 04 67 6f 6e 65
      00 04 75 73 65 72
      00 04 70 61 73 73
    `),
  },
  {
    name: 'CONNECT 5',
    version: undefined,
    first: 0x10,
    body: hex(`${mqtt} 05 02 00 3c 00 00 00`),
  },
  {
    name: 'CONNECT 5 with everything',
    version: undefined,
    first: 0x10,
    body: hex(`
      ${mqtt} 05 ce 00 0a
      27                     # properties
      11 00 00 0e 10         # session expiry
      21 00 14               # receive maximum
      27 00 01 00 00         # maximum packet size
      22 00 0a               # topic alias maximum
      19 01                  # request response information
      17 00                  # request problem information
      15 00 04 74 6f 6b 65   # authentication method
      16 00 02 ff 00         # authentication data
      ${user}
      00 03 61 2d 37
      24                     # will properties
      18 00 00 00 05         # will delay
      01 01                  # payload format
      02 00 00 00 3c         # message expiry
      03 00 03 61 2f 62      # content type
      08 00 04 72 2f 73 31   # response topic
      09 00 02 01 02         # correlation data
      26 00 01 6b 00 00      # user property with an empty value
      ${ab} 00 04 67 6f 6e 65
      00 04 75 73 65 72
      00 04 70 61 73 73
    `),
  },
]

function ofVersion(version: MqttVersion): readonly Sample[] {
  const none = version === 5 ? '00' : ''
  const filters = `${ab} 01 00 01 23 02 00 05 2b 2f 63 2f 23 00`
  const packets: readonly (readonly [name: string, first: number, body: string])[] = [
    ['PUBLISH QoS 0', 0x31, `${ab} ${none} 68 69`],
    ['PUBLISH QoS 1', 0x32, `${ab} 00 0a ${none} 68 69`],
    ['PUBLISH QoS 2 again', 0x3c, `${ab} ff ff ${none}`],
    ['PUBLISH in Unicode', 0x30, `00 0c 41 f0 aa 9b 94 2f c3 bc e2 82 ac 21 ${none}`],
    ['PUBACK', 0x40, '12 34'],
    ['PUBREC', 0x50, '12 34'],
    ['PUBREL', 0x62, '12 34'],
    ['PUBCOMP', 0x70, '12 34'],
    ['SUBSCRIBE', 0x82, `00 0a ${none} ${filters}`],
    ['UNSUBSCRIBE', 0xa2, `00 0a ${none} ${ab} 00 01 23`],
    ['PINGREQ', 0xc0, ''],
    ['DISCONNECT', 0xe0, ''],
  ]
  return packets.map(([name, first, body]) => ({
    name: `${name} of level ${version}`,
    version,
    first,
    body: hex(body),
  }))
}

const only5: readonly (readonly [name: string, first: number, body: string])[] = [
  [
    'PUBLISH 5 with everything',
    0x3b,
    `
      ${ab} 00 0a
      31                     # properties
      01 01                  # payload format
      02 00 00 00 3c         # message expiry
      03 00 04 74 2f 70 6c   # content type
      08 00 03 72 2f 73      # response topic
      09 00 02 01 02         # correlation data
      23 00 01               # topic alias
      ${user}
      26 00 09 5f 5f 70 72 6f 74 6f 5f 5f 00 00  # __proto__
      7b 7d
    `,
  ],
  ['PUBLISH 5 by its alias', 0x30, '00 00 03 23 00 07 68 69'],
  ['PUBACK 5 with a reason', 0x40, '12 34 87'],
  ['PUBREC 5 with everything', 0x50, `12 34 97 0d 1f 00 03 62 75 73 ${user}`],
  ['PUBREL 5 with a reason', 0x62, '12 34 92 00'],
  ['PUBCOMP 5 with everything', 0x70, `12 34 92 07 ${user}`],
  [
    'SUBSCRIBE 5 with everything',
    0x82,
    `
      00 0a
      0a 0b 80 01 ${user}    # subscription identifier, user
      ${ab} 2e               # retain handling 2, retain as published, No Local, QoS 2
      00 0a 24 73 68 61 72 65 2f 67 2f 23 19  # $share/g/#
    `,
  ],
  ['UNSUBSCRIBE 5 with everything', 0xa2, `00 0a 07 ${user} ${ab}`],
  ['DISCONNECT 5 with a will', 0xe0, '04'],
  [
    'DISCONNECT 5 with everything',
    0xe0,
    `
      98 18
      11 00 00 00 00         # session expiry
      1f 00 03 62 79 65      # reason string
      1c 00 03 61 2f 62      # server reference
      ${user}
    `,
  ],
  [
    'AUTH 5',
    0xf0,
    `
      18 17
      15 00 04 74 6f 6b 65   # authentication method
      16 00 01 ff            # authentication data
      1f 00 02 6f 6b         # reason string
      ${user}
    `,
  ],
]

export const samples: readonly Sample[] = [
  ...connects,
  ...ofVersion(4),
  ...ofVersion(5),
  ...only5.map(([name, first, body]) => ({ name, version: 5, first, body: hex(body) }) as const),
]

/** The packet with its fixed header. */
export function packetBytes({ first, body }: Pick<Sample, 'first' | 'body'>): Buffer {
  const header = [first]
  let left = body.length
  for (; left > 127; left >>= 7) header.push((left & 127) | 128)
  return Buffer.concat([Buffer.of(...header, left), body])
}
