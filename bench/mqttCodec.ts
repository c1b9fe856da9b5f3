/**
 * Control packets out of bytes: ours and mqtt-packet, the codec of Node's MQTT clients, on the same
 * PUBLISH of a device. Ours checks what the standards ask for; what the other leaves out is in
 * docs/decisions/0015-mqtt-front-of-our-own.md.
 */
import { generate, parser } from 'mqtt-packet'
import { Framer } from '../packages/server/src/frontend/mqtt/framing.ts'
import { parsePacket } from '../packages/server/src/frontend/mqtt/parse.ts'
import { type Case, forAbout, measure, rateOf } from './measure.ts'
import { atLeast, type Report, rateTable } from './report.ts'

const names = { ours: '**countersign**', theirs: 'mqtt-packet' }
/** Looked at the clock once in so many. */
const atOnce = 1_000

const bytes = generate({
  cmd: 'publish',
  topic: 'devices/02a1b2c3d4000001/room/temperature',
  payload: Buffer.alloc(100, 65),
  qos: 1,
  messageId: 7,
  dup: false,
  retain: false,
})

export async function run(): Promise<Report> {
  const figures = await measure([ours(), theirs()], { rounds: 5, milliseconds: 1000 })
  return {
    tables: [rateTable(figures, 'PUBLISH')],
    goals: [
      ...atLeast('to mqtt-packet', rateOf(figures, names.ours), rateOf(figures, names.theirs), 1),
    ],
    notes: [`${bytes.length} bytes: QoS 1, MQTT 3.1.1, each in a chunk of its own.`],
  }
}

function ours(): Case {
  const framer = new Framer(bytes.length)
  return each(names.ours, () => {
    framer.push(bytes)
    const frame = framer.next()
    if (frame === undefined || parsePacket(frame, 4).type !== 'publish') throw new Error('not read')
  })
}

function theirs(): Case {
  const other = parser({ protocolVersion: 4 })
  let read = 0
  other.on('packet', () => read++)
  return each(names.theirs, () => {
    const before = read
    other.parse(bytes)
    if (read === before) throw new Error('not read')
  })
}

function each(name: string, parse: () => void): Case {
  return {
    name,
    run: async (milliseconds) => {
      const rounds = await forAbout(milliseconds, () => {
        for (let n = 0; n < atOnce; n++) parse()
      })
      return rounds * atOnce
    },
  }
}
