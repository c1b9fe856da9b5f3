/** The store fails, or ends, while devices go on: nothing is acknowledged that is not there. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, test } from 'node:test'
import { codeText, optionNumber } from '@countersign/core/coap'
import { AdapterError } from '@countersign/core/errors'
import type { OpenLink } from '../../../src/frontend/coap/udpSocket.ts'
import type { Store } from '../../../src/ports.ts'
import type { House } from '../../authority/house.ts'
import { type NarrowDevice, Refused, required } from './device.ts'
import { CoapHouse } from './house.ts'
import { Net } from './net.ts'

/** The store of the house, which fails while it is told to. */
class Failing {
  store: Store | undefined
  isBroken = false
  applied = 0

  apply: Store['apply'] = async (change) => {
    this.applied++
    if (this.isBroken) throw new AdapterError('ERR_STORE_IO', 'the disk')
    return await required(this.store).apply(change)
  }
}

describe('while the store fails, the coap door', () => {
  const failing = new Failing()
  let house: CoapHouse
  let device: NarrowDevice
  beforeEach(async () => {
    failing.isBroken = false
    const parts = {
      store: {
        get: (...asked: Parameters<Store['get']>) => required(failing.store).get(...asked),
        find: (...asked: Parameters<Store['find']>) => required(failing.store).find(...asked),
        scan: (...asked: Parameters<Store['scan']>) => required(failing.store).scan(...asked),
        apply: failing.apply,
      } as Store,
    }
    house = await CoapHouse.create({
      parts,
      limits: { contextsInMemoryMax: 1 },
      opening: ({ store }) => void (failing.store = store),
    })
    device = await house.device()
    await device.first('a', { number: 0 })
  })
  afterEach(async () => {
    failing.isBroken = false
    await house.close()
  })

  it('asks the device to come later, and has the message when it does', async () => {
    failing.isBroken = true
    // Without a number of its own that is written down the refusal itself cannot be protected.
    const pending = device.exchange(device.reading('a', { number: 1 }))
    await house.idle()
    failing.isBroken = false
    const response = await pending
    assert.equal(codeText(response.code), '5.03')
    assert.ok(response.options.some(({ number }) => number === optionNumber.maxAge))
    assert.equal((await house.messages()).length, 1)
    assert.equal(codeText((await device.post('a', { number: 1 })).code), '2.04')
    assert.equal((await house.messages()).length, 2)
  })

  it('makes no context last, and the next handshake carries the message', async () => {
    const other = await house.device()
    failing.isBroken = true
    const lost = other.first('a', { number: 1 }).catch((error: unknown) => error)
    await house.idle()
    failing.isBroken = false
    assert.equal((await house.rows()).length, 1)
    // It was opened once (RFC 8613 §7.4): the device learns that it has to say it anew.
    await house.resend(other)
    assert.ok((await lost) instanceof Refused)
    assert.equal(codeText((await other.first('a', { number: 1 })).code), '2.04')
    assert.equal((await house.rows()).length, 2)
    assert.equal((await house.messages()).length, 2)
  })

  it('does not turn in circles over a context that has to leave memory', async () => {
    await device.post('a b', {})
    failing.isBroken = true
    const before = failing.applied
    const others = [await house.device(), await house.device()]
    for (const other of others) await other.handshake()
    for (let n = 0; n < 50; n++) await house.idle()
    assert.ok(failing.applied - before < 10, `${failing.applied - before} attempts`)
  })
})

describe('a coap door that closes', () => {
  it('answers what it has begun, and nothing after it', async () => {
    const house = await CoapHouse.create()
    const device = await house.device()
    await device.first('a', { number: 0 })
    const before = house.net.sent.length
    for (const number of [1, 2, 3]) {
      const datagram = device.datagram(device.reading('a', { number }), number)
      house.net.deliver(datagram, device.address)
    }
    const late = device.datagram(device.reading('a', { number: 9 }), 9)
    const closing = house.door.close(1000)
    await closing
    house.net.deliver(late, device.address)
    await house.idle()
    assert.equal(house.net.sent.length, before + 3)
    assert.equal((await house.messages()).length, 4)
    await house.close()
  })
})

test('a door that cannot write down that it lives gives its port back', async () => {
  let house: House | undefined
  let isOpen = false
  const net = new Net()
  const openLink: OpenLink = async (...asked) => {
    const link = await net.open(...asked)
    isOpen = true
    return { ...link, close: () => link.close().finally(() => void (isOpen = false)) }
  }
  const store = { apply: () => Promise.reject(new AdapterError('ERR_STORE_IO', 'the disk')) }
  const parts = { openLink, store: { get: async () => undefined, ...store } as unknown as Store }
  const opening = (made: House): void => void (house = made)
  await assert.rejects(CoapHouse.create({ parts, opening }), { code: 'ERR_STORE_IO' })
  assert.equal(isOpen, false)
  await required(house).close()
})
