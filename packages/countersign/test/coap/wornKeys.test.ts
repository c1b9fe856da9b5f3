/**
 * Real devices at the coap door while somebody who has seen the kids of their contexts sends forged
 * messages in their name: keys that were worn are replaced, and used-up ones are no dead end.
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { coapCode, encodeMessage, optionNumber, uriQuery } from '@countersign/core/coap'
import { concat, fromHex } from '@countersign/core/codec'
import { coapLimitsOfDoor } from '../../../server/src/frontend/coap/limits.ts'
import type { CoapContextRow } from '../../../server/src/ports.ts'
import { CoapHouse } from '../../../server/test/frontend/coap/house.ts'
import { HouseDevice, type HouseDeviceOptions, passing } from './houseDevice.ts'

/** In the place of 2^14, 2^20 and a day. */
const failedWanted = 4
const failedMax = 12
const youngMs = 60_000

describe('messages that are forged in the name of a device', () => {
  let house: CoapHouse
  const devices: HouseDevice[] = []
  beforeEach(async () => {
    const keyUsage = { failedWanted, failedMax }
    house = await CoapHouse.create({ limits: { keyUsage, keysWantedAfterMs: youngMs } })
  })
  afterEach(async () => {
    for (const device of devices) await device.sleep()
    const faults = devices.splice(0).flatMap((device) => device.faults)
    const mistakes = house.log.lines.filter(({ level }) => level === 'error')
    await house.close()
    assert.deepEqual([...faults, ...mistakes], [])
  })

  const opened = async (options: Partial<HouseDeviceOptions> = {}): Promise<HouseDevice> => {
    const device = await HouseDevice.open(house, { serial: 'SN-1', ...options })
    devices.push(device)
    await says(device)
    device.message1s.length = 0
    return device
  }
  const says = async (device: HouseDevice): Promise<void> => {
    assert.equal((await device.says()).code, coapCode.changed)
    await house.idle()
  }
  const rowOf = async ({ id }: HouseDevice): Promise<CoapContextRow> => {
    const [row, ...others] = (await house.rows()).filter(({ device }) => device === id)
    assert.ok(row !== undefined && others.length === 0)
    return row
  }
  let forged = 0
  /** Each with a number and an address of its own: none of them is a replay. */
  const forge = async (device: HouseDevice, count: number): Promise<void> => {
    const { id } = await rowOf(device)
    for (let n = 0; n < count; n++) {
      const number = ++forged
      // RFC 8613 §6.1: kid, a Partial IV of two bytes.
      const value = concat(Uint8Array.of(0x0a, 0x20, number), fromHex(id))
      const datagram = encodeMessage({
        type: 'NON',
        code: coapCode.post,
        messageId: number,
        token: new Uint8Array(),
        options: [{ number: optionNumber.oscore, value }],
        payload: new Uint8Array(16),
      })
      await house.inject(datagram, `203.0.113.9:${1000 + number}`)
    }
  }
  /** Numbers of readings, as they were stored. */
  const taken = async (): Promise<readonly number[]> => {
    const readings = (await house.messages()).filter(({ type }) => type === 'countersign.message')
    return readings.map(({ id }) => Number(id.replace(/^.*-/, '')))
  }

  it('make it want new keys, which it makes with its next reading, once in a day', async () => {
    const device = await opened()
    const before = await rowOf(device)
    await forge(device, failedWanted - 1)
    house.timers.advance(youngMs)
    for (let n = 0; n < 2; n++) await says(device)
    assert.equal((await rowOf(device)).id, before.id)
    await forge(device, 1)
    // What answers this one says it, as CBOR: an array of nothing. The next one does it.
    const { code, payload } = await device.says()
    assert.deepEqual([code, ...payload], [coapCode.changed, 0x80])
    assert.deepEqual(device.message1s, [])
    await says(device)
    assert.equal(device.message1s.length, 1)
    assert.notEqual((await rowOf(device)).id, before.id)
    // And again at once: these keys are young.
    await forge(device, failedWanted + 1)
    for (let n = 0; n < 3; n++) await says(device)
    assert.equal(device.message1s.length, 1)
    house.timers.advance(youngMs)
    for (let n = 0; n < 2; n++) await says(device)
    assert.equal(device.message1s.length, 2)
    assert.deepEqual(await taken(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  it('are remembered by a server that begins anew, and by a device that is switched off', async () => {
    const device = await opened({ hasClock: false })
    house.timers.advance(youngMs)
    await forge(device, failedWanted)
    await says(device)
    await house.restart('after a crash')
    const { failed } = await rowOf(device)
    assert.equal(failed, failedWanted)
    await device.sleep()
    await device.wake()
    await says(device)
    assert.equal(device.message1s.length, 1)
  })

  it('make it want new keys in an answer that says the time too', async () => {
    const device = await opened()
    await forge(device, failedWanted)
    const ask = { code: coapCode.post, options: uriQuery('t'), payload: new Uint8Array() }
    const young = await device.ask(ask)
    assert.equal(young.payload[0], 0x1a)
    house.timers.advance(youngMs)
    const { payload } = await device.ask(ask)
    assert.deepEqual([...payload.subarray(0, 2)], [0x81, 0x1a])
    const seconds = new DataView(payload.buffer, payload.byteOffset).getUint32(2)
    assert.equal(seconds, Math.floor(house.house.clock.now() / 1000))
  })

  it('use up its keys at last, and it comes back by itself with the reading that waits', async () => {
    const device = await opened()
    const before = await rowOf(device)
    const wish = { device: device.id, name: 'act', data: 'null', actor: 'operator' }
    await forge(device, failedMax)
    const expiresAt = house.house.clock.now() + 3_600_000
    const command = await house.commands.queue({ ...wish, expiresAt })
    await says(device)
    assert.notEqual((await rowOf(device)).id, before.id)
    assert.equal(device.message1s.length, 1)
    await passing(house, house.becomes(command, 'answered'))
    assert.deepEqual(device.ran, ['act'])
    await says(device)
    assert.deepEqual(await taken(), [1, 2, 3])
  })
})

it('outside of tests new keys are wanted from 2^14 forged messages on, of a context that is a day old', () => {
  assert.equal(coapLimitsOfDoor.keysWantedAfterMs, 86_400_000)
  assert.deepEqual(coapLimitsOfDoor.keyUsage, {})
})
