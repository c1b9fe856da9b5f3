/**
 * The heap that the narrow channel needs in an engine for small devices (QuickJS with an enforced
 * limit), P-256, hashing and AES-CCM being the board's: the lowest limit under which a device that
 * has never met its server makes its handshake, sends, is commanded, sleeps and sends again, found
 * by trying. Beside it the lowest limit of the program loaded and nothing run.
 */
import { coapCode } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { boardOf } from '../packages/device/test/narrow/quickjs/board.ts'
import { type Crypto, firmwareCode } from '../packages/device/test/narrow/quickjs/engine.ts'
import { makeScene } from '../packages/device/test/narrow/scene.ts'
import { lowestLimit } from './lowestLimit.ts'
import { type Report, whole } from './report.ts'

const wantedKilobytes = 512
/** Its tables of AES alone are larger than the goal. */
const variants: readonly (readonly [Crypto, hasGoal: boolean])[] = [
  ['of the board', true],
  ['in JavaScript', false],
]

export async function run(): Promise<Report> {
  const rows = []
  const goals = []
  for (const [crypto, hasGoal] of variants) {
    const code = await firmwareCode(crypto)
    const loaded = await lowestLimit((limit) => opened(code, limit))
    const used = await lowestLimit((limit) => aDay(code, limit))
    rows.push([`crypto ${crypto}`, whole(code.length), `${loaded} kB`, `**${used} kB**`])
    if (!hasGoal) continue
    const what = `crypto ${crypto}: lowest limit`
    goals.push({
      what,
      ratio: used,
      wanted: wantedKilobytes,
      sense: 'at most' as const,
      unit: ' kB',
    })
  }
  return {
    tables: [
      {
        columns: [
          'program',
          'bytes of bytecode',
          'program loaded, nothing run',
          'handshake by value, readings, a command, sleep',
        ],
        rows,
      },
    ],
    goals,
    notes: [
      '1 kB is 1,000 bytes. Of each limit the engine keeps 65,536 bytes for telling that the rest is used up.',
      'The limit covers what the engine allocates, its own objects included; the stack, and bytecode that lies in flash, are not in it.',
    ],
  }
}

async function opened(code: Uint8Array, limit: number): Promise<void> {
  const board = await boardOf(makeScene(), code, { record: undefined, writes: 0 }, limit)
  board.powerOff()
}

async function aDay(code: Uint8Array, limit: number): Promise<void> {
  const scene = makeScene()
  const { server, time } = scene
  const board = await boardOf(scene, code, { record: undefined, writes: 0 }, limit)
  try {
    requireChanged(await board.send(1, 'warm'))
    requireChanged(await board.send(2, 'warmer'))
    await time.until(server.ask({ path: ['c', 'open'], payload: utf8('now') }))
    board.firmware.sleep()
    await time.advance(86_400_000)
    board.firmware.wake()
    await time.advance(0)
    requireChanged(await board.send(3, 'hot'))
    if (board.served.length !== 1 || board.faults.length > 0) throw new Error('not all of it')
  } finally {
    board.powerOff()
  }
}

function requireChanged(code: number | string): void {
  if (code !== coapCode.changed) throw new Error(`a reading was answered ${code}`)
}
