/** Commands to real devices at the coap door, what is withheld on the way, and a restored backup. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { forgetWhatMovedOn } from '../../../server/src/compose/restored.ts'
import type { CommandRow } from '../../../server/src/ports.ts'
import { hour } from '../../../server/test/authority/house.ts'
import { CoapHouse } from '../../../server/test/frontend/coap/house.ts'
import { HouseDevice, type HouseDeviceOptions, passing } from './houseDevice.ts'

describe('a command to a real device on coap', () => {
  let house: CoapHouse
  const devices: HouseDevice[] = []
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(async () => {
    for (const device of devices) await device.sleep()
    const faults = devices.splice(0).flatMap((device) => device.faults)
    const mistakes = house.log.lines.filter(({ level }) => level === 'error')
    await house.close()
    assert.deepEqual([...faults, ...mistakes], [])
  })

  const opened = async (options: Partial<HouseDeviceOptions> = {}): Promise<HouseDevice> => {
    const device = await HouseDevice.open(house, { serial: `SN-${devices.length + 1}`, ...options })
    devices.push(device)
    assert.equal((await device.says()).code, coapCode.changed)
    await house.until(() => house.door.load.couriers === 0)
    return device
  }
  const command = (
    device: HouseDevice,
    over: Partial<Pick<CommandRow, 'data' | 'expiresAt'>> = {},
  ): Promise<CommandRow> =>
    house.commands.queue({
      device: device.id,
      name: 'act',
      data: 'null',
      expiresAt: house.house.clock.now() + hour,
      actor: 'operator',
      ...over,
    })
  const becomes = (row: CommandRow, state: CommandRow['state']): Promise<void> =>
    passing(house, house.becomes(row, state))

  for (const hasClock of [true, false]) {
    it(`of 16 KiB is run once, and its result of 64 KiB comes back, ${hasClock ? 'with' : 'without'} a clock`, async () => {
      const data = JSON.stringify('d'.repeat(16_384 - 2))
      const body = utf8(JSON.stringify('r'.repeat(65_536 - 2)))
      let got: unknown
      const device = await opened({
        hasClock,
        answer: (given) => {
          got = given
          return { contentType: 'application/json', body }
        },
      })
      const row = await command(device, { data })
      await becomes(row, 'answered')
      assert.equal(JSON.stringify(got), data)
      assert.deepEqual(device.ran, ['act'])
      const answered = await house.house.store.get('command', row.id)
      assert.equal(Buffer.compare(answered?.result ?? new Uint8Array(), body), 0)
    })
  }

  it('that was withheld on the way until it was too late is refused by the device', async () => {
    const device = await opened()
    device.isWithholding = true
    const row = await command(device, { expiresAt: house.house.clock.now() + 60_000 })
    await house.until(() => device.withheld.length > 0)
    house.timers.advance(61_000)
    device.release()
    await passing(
      house,
      house.until(() => device.refused.length > 0),
    )
    assert.match(device.refused[0] ?? '', /expired/)
    assert.deepEqual(device.ran, [])
    await becomes(row, 'expired')
  })

  it('that was withheld is not run by a device without a clock, which asks whether it is new', async () => {
    const device = await opened({ hasClock: false })
    device.isWithholding = true
    const row = await command(device, { expiresAt: house.house.clock.now() + 60_000 })
    await house.until(() => device.withheld.length > 0)
    // Long after the server has given it up.
    house.timers.advance(2 * hour)
    await house.until(() => house.door.load.couriers === 0)
    device.release()
    await house.rest()
    assert.equal((await device.says()).code, coapCode.changed)
    await house.until(() => house.door.load.couriers === 0)
    assert.deepEqual(device.ran, [])
    assert.equal((await house.commands.show(device.id, row.id))?.state, 'expired')
  })

  it('waits for a device that sleeps, over a restart of each side, and is run once', async () => {
    const device = await opened()
    await device.sleep()
    const row = await command(device)
    await house.until(() => house.door.load.couriers === 1)
    house.timers.advance(300_000)
    await house.restart('after a crash')
    await device.wake()
    await device.says()
    await becomes(row, 'answered')
    assert.deepEqual(device.ran, ['act'])
  })

  it('whose answer is lost comes again, and is run once', async () => {
    const device = await opened()
    house.net.isDeaf = true
    const row = await command(device)
    await house.until(() => device.ran.length === 1)
    house.timers.advance(1_000)
    house.net.isDeaf = false
    await device.says()
    await becomes(row, 'answered')
    assert.deepEqual(device.ran, ['act'])
  })

  it('finds a device whose address has changed, as soon as that has spoken', async () => {
    const device = await opened()
    house.net.detach(device.address)
    const row = await command(device)
    await house.until(() => house.door.load.couriers === 1)
    device.moveTo('198.51.100.20:7000')
    await device.says()
    await becomes(row, 'answered')
    assert.deepEqual(device.ran, ['act'])
  })

  it('of before a backup was restored is not brought; devices come back by themselves', async () => {
    const some = [await opened(), await opened({ method: 1 }), await opened()]
    const [first] = some
    assert.ok(first)
    await first.sleep()
    const row = await command(first)
    await house.until(() => house.door.load.couriers === 1)
    await house.restart('cleanly')
    // As `restore` does before any door opens.
    await house.restart('cleanly', undefined, (store) =>
      forgetWhatMovedOn(store, house.house.clock.now()),
    )
    assert.deepEqual(await house.rows(), [])
    assert.equal(await house.stateOf(row), 'refused')
    await first.wake()
    // A minute on, each budget has room for a handshake.
    house.timers.advance(60_000)
    for (const device of some) {
      device.message1s.length = 0
      assert.equal((await device.says()).code, coapCode.changed)
      assert.equal(device.message1s.length, 1)
    }
    assert.equal((await house.rows()).length, 3)
    assert.deepEqual(first.ran, [])
    // Nothing was stored twice, nothing was lost.
    assert.equal((await house.messages()).length, 6)
    const next = await command(first)
    await becomes(next, 'answered')
  })
})
