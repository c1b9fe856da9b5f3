import assert from 'node:assert/strict'
import { test } from 'node:test'
import { random, revision } from '../../../src/drivers/atecc608/basics.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { loadNonce, signExternal } from '../../../src/drivers/atecc608/keys.ts'
import { type ChipSession, openChipSession } from '../../../src/drivers/atecc608/session.ts'
import {
  answer,
  bytes,
  hexOf,
  ManualTime,
  opening,
  ScriptedChip,
  type Step,
  serialHex,
} from './scripted.ts'

interface Bench {
  readonly chip: ScriptedChip
  readonly time: ManualTime
  readonly session: ChipSession
}

async function open(...steps: readonly Step[]): Promise<Bench> {
  const time = new ManualTime()
  const chip = new ScriptedChip(time, [opening(), ...steps])
  const session = await openChipSession(i2cWire(chip, time), time)
  chip.log.length = 0
  return { chip, time, session }
}

const infoPacket = '07 30 00 00 00 03 5d'
const revisionB = answer('00 00 60 03')

test('a command is woken for, and the chip idles after it', async () => {
  const { chip, session } = await open([infoPacket, revisionB])
  assert.equal(session.serial, serialHex)
  assert.equal(hexOf(await revision(session)), '00006003')
  assert.deepEqual(chip.log, ['wake', '3000', 'idle'])
  chip.done()
})

test('a busy chip is asked until it answers', async () => {
  const { chip, session, time } = await open([
    '07 1b 00 00 00 24 cd',
    answer('a7'.repeat(32)),
    { busyMs: 22 },
  ])
  const begun = time.now()
  assert.equal(hexOf(await random(session)), 'a7'.repeat(32))
  assert.ok(time.now() - begun < 30)
  chip.done()
})

test('the commands of a sequence have no idle between them', async () => {
  const digest = bytes('5a'.repeat(32))
  const { chip, session } = await open(
    [`27 16 03 00 00 ${'5a'.repeat(32)} 50 b0`, answer('00'), { busyMs: 15 }],
    ['07 41 80 00 00 28 05', answer('c3'.repeat(64)), { busyMs: 60 }],
  )
  const signature = await session.sequence(async (line) => {
    await loadNonce(line, digest)
    return signExternal(line, 0)
  })
  assert.equal(hexOf(signature), 'c3'.repeat(64))
  assert.deepEqual(chip.log, ['wake', '1603', '4180', 'idle'])
  chip.done()
})
