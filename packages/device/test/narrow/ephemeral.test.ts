/**
 * Ephemeral keys of the device's handshakes made in its element: an emulated ATECC608, whose bus can
 * go away, and the software twin.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { coapCode, parseMessage } from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import type { SecureElement } from '@countersign/core/ports'
import { openElement } from '@countersign/element/compose'
import { elementEphemeral } from '@countersign/element/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type { I2cBus } from '../../../element/src/bus/ports.ts'
import { paperTime } from '../../../element/src/bus/time.ts'
import { openAtecc608 } from '../../../element/src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../element/src/drivers/atecc608/i2cWire.ts'
import { coreOf } from '../../../element/src/emulators/atecc608/core.ts'
import { parseEepromSnapshot } from '../../../element/src/emulators/atecc608/eeprom.ts'
import { emulatedI2c } from '../../../element/src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../element/src/emulators/atecc608/part.ts'
import { partsFor } from '../../../element/test/drivers/atecc608/livesWorld.ts'
import type { NarrowParts, NarrowSession } from '../../src/portable/narrow/index.ts'
import { decodeRecord } from '../../src/portable/narrow/record.ts'
import {
  certificates,
  credentialOf,
  handshakesOf,
  makeScene,
  type MemoryStorage,
  reading,
  type Scene,
} from './scene.ts'

interface Chip {
  readonly element: SecureElement
  readonly part: EmulatedPart
  /** The wire is off. */
  isAway: boolean
}

async function openChip(): Promise<Chip> {
  const time = paperTime()
  const { own } = await partsFor('i2c')
  const part = new EmulatedPart(coreOf(parseEepromSnapshot(own)), { time })
  const bus = emulatedI2c([part])
  const wire: I2cBus = {
    ...bus,
    write: async (address, bytes) => !chip.isAway && (await bus.write(address, bytes)),
    read: async (address, length) => (chip.isAway ? undefined : bus.read(address, length)),
  }
  const chip = { part, isAway: false }
  const element = await openAtecc608(i2cWire(wire, time), time)
  return Object.assign(chip, { element })
}

function inside({ element }: Pick<Chip, 'element'>): Partial<NarrowParts> {
  return { ephemeral: elementEphemeral(element, nodeCrypto) }
}

/** G_X of each message_1 that went out: behind `f5`, method 0, suite 2 and the head of its string. */
function sharesSeen({ network }: Scene): Set<string> {
  const shares = new Set<string>()
  network.observe(({ act, datagram }) => {
    if (act !== 'sent') return
    const { payload } = parseMessage(datagram)
    if (hex(payload.subarray(0, 5)) === 'f500025820') shares.add(hex(payload.subarray(5, 37)))
  })
  return shares
}

test('a handshake is made with the key in the chip, and the next one with another', async () => {
  const scene = makeScene()
  const { time, server, witness, device } = scene
  const chip = await openChip()
  const points = spied(chip)
  const shares = sharesSeen(scene)
  const { session, faults } = await device(inside(chip))
  assert.equal((await time.until(session.request(reading(1)))).code, coapCode.changed)
  server.forget()
  await time.advance(60_000)
  assert.equal((await time.until(session.request(reading(2)))).code, coapCode.changed)
  assert.equal(server.stored.size, 2)
  assert.deepEqual(witness.reused, [])
  assert.deepEqual(faults, [])
  // What travelled is what the chip made, each once.
  assert.ok(shares.size >= 2)
  assert.deepEqual([...shares], points)
})

/** X of each key that it makes. */
function spied(chip: Chip): string[] {
  const points: string[] = []
  const { element } = chip
  const make = element.ephemeral?.bind(element) ?? assert.fail('no ephemeral keys')
  element.ephemeral = async (agreements) => {
    const key = await make(agreements)
    points.push(hex(key.point.subarray(0, 32)))
    return key
  }
  return points
}

test('a chip that is away when the key is due: nothing is sent, and it is tried again under the backoff', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const chip = await openChip()
  const { session, storage } = await device(inside(chip))
  chip.isAway = true
  const first = session.request(reading(1))
  await assert.rejects(time.until(first), { code: 'ERR_ELEMENT_GONE' })
  assert.equal(server.counts.message1, 0)
  await assertNothingMade(scene, storage, 1)
  await recovers(scene, chip, session, storage)
})

for (const [what, lose, code] of [
  ['is away', (chip: Chip) => (chip.isAway = true), 'ERR_ELEMENT_GONE'],
  ['has slept', (chip: Chip) => chip.part.sleep(), 'ERR_ELEMENT_WATCHDOG'],
] as const)
  test(`a chip that ${what} when message_2 comes: no message_3, and it is tried again under the backoff`, async () => {
    const scene = makeScene()
    const { time, network, server, device } = scene
    const chip = await openChip()
    const { session, storage } = await device(inside(chip))
    let isLost = false
    network.observe(({ act, datagram }) => {
      // The first 2.04 brings message_2.
      if (isLost || act !== 'sent' || parseMessage(datagram).code !== coapCode.changed) return
      isLost = true
      lose(chip)
    })
    await assert.rejects(time.until(session.request(reading(1))), { code })
    assert.equal(server.counts.message3, 0)
    await assertNothingMade(scene, storage, 1)
    await recovers(scene, chip, session, storage)
  })

/** No context at either end, one handshake counted, and none may begin now. */
async function assertNothingMade({ server }: Scene, storage: MemoryStorage, count: number) {
  const record = decodeRecord(nodeCrypto, storage.bytes ?? assert.fail('nothing is stored'))
  assert.equal(record.current, undefined)
  assert.equal(server.contexts.size, 0)
  assert.equal(server.stored.size, 0)
  assert.equal(handshakesOf(storage), count)
}

async function recovers(
  { time, server }: Scene,
  chip: Chip,
  session: NarrowSession,
  storage: MemoryStorage,
): Promise<void> {
  chip.isAway = false
  const early = session.request(reading(1))
  await assert.rejects(time.until(early), { code: 'ERR_NARROW_BUDGET' })
  await time.advance(16_000)
  await time.until(session.request(reading(1)))
  assert.deepEqual([...server.stored], [['m/room?n=1', 'reading 1']])
  assert.equal(handshakesOf(storage), 2)
}

test('a chip that fails in a handshake beside a good context leaves the device with that one', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const chip = await openChip()
  const { session, storage } = await device(inside(chip))
  await time.until(session.request(reading(1)))
  await time.advance(60_000)
  chip.isAway = true
  // A renewal: the next request would make a handshake.
  const renewed = await certificates.owner.issue('device', 'clientAuth')
  session.changeCredential(credentialOf(renewed))
  await time.until(session.request(reading(2)))
  assert.equal(server.stored.size, 2)
  assert.equal(handshakesOf(storage), 2)
  assert.equal(server.counts.message3, 1)
})

test('method 1 with an element whose keys agree more than once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-ephemeral-'))
  t.after(() => rm(folder, { recursive: true }))
  const element = await openElement('sw:', { folder })
  const { time, server, device } = makeScene()
  const { session } = await device({ ...inside({ element }), method: 1 })
  await time.until(session.request(reading(1)))
  assert.equal(server.stored.size, 1)
})

test('method 1 wants more of a key than the chip can: it is said before anything is sent', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device({ ...inside(await openChip()), method: 1 })
  await assert.rejects(time.until(session.request(reading(1))), {
    code: 'ERR_ELEMENT_UNSUPPORTED',
    hint: /the other end signs/,
  })
  assert.equal(server.counts.message1, 0)
})
