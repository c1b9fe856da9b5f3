/** More contexts than memory has room for, and many frames for each at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeText, parseMessage } from '@countersign/core/coap'
import { fromUtf8, hex } from '@countersign/core/codec'
import { oscoreOptionOf } from '@countersign/core/oscore'
import type { Store } from '../../../src/ports.ts'
import type { House } from '../../authority/house.ts'
import { isProtected, type NarrowDevice, required } from './device.ts'
import { turn } from '../house.ts'
import { CoapHouse } from './house.ts'

test('a context is loaded once, whatever has to leave memory meanwhile', async () => {
  const limits = { contextsInMemoryMax: 1, reservedAhead: 2 }
  const house = await CoapHouse.create({ limits })
  try {
    const devices = [await house.device(), await house.device(), await house.device()]
    for (const device of devices) await device.first('a', { number: 1 })
    const frames = [2, 3, 4, 5].flatMap((number) => devices.map((each) => frameOf(each, number)))
    // Their windows are lost: each frame is answered under a number of the server's own.
    await house.restart('after a crash')
    for (const [index, { datagram }] of frames.entries()) {
      house.net.deliver(datagram, addressOf(index))
      // In the middle of what the ones before have begun.
      if (index % devices.length === 0) await turn()
    }
    await house.idle()
    for (const device of devices) {
      const numbers = frames.flatMap((frame, index) =>
        frame.device === device ? answersTo(house, addressOf(index)) : [],
      )
      assert.equal(numbers.length, 4)
      assert.equal(new Set(numbers).size, 4, `numbers ${numbers.join(', ')}`)
    }
    assert.deepEqual(house.errors, [])
  } finally {
    await house.close()
  }
})

test('keys grow old in a context that leaves memory after each message', async () => {
  const house = await CoapHouse.create({ limits: { contextsInMemoryMax: 1 } })
  try {
    const devices = [await house.device(), await house.device()]
    for (const device of devices) await device.first('a', { number: 0 })
    for (let number = 1; number <= 5; number++) {
      for (const device of devices) await device.post('a', { number })
    }
    assert.equal(house.door.load.contexts, 1)
    const counts = (await house.rows()).map(({ sealed, failed }) => [sealed, failed])
    assert.deepEqual(counts, [
      [6, 0],
      [6, 0],
    ])
    assert.deepEqual(house.errors, [])
  } finally {
    await house.close()
  }
})

test('keys that forgers have worn are worn when the context comes back into memory', async () => {
  const house = await CoapHouse.create({ limits: { contextsInMemoryMax: 1 } })
  try {
    const [device, other] = [await house.device(), await house.device()]
    await device.first('a', { number: 1 })
    for (let number = 2; number < 302; number++) {
      const frame = device.datagram(device.reading('a', { number }), number)
      frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1
      house.net.deliver(frame, addressOf(number))
    }
    await house.idle()
    await other.first('a', { number: 1 })
    await house.idle()
    const rows = await house.rows()
    assert.equal(rows.find((row) => row.device === device.identity.row.id)?.failed, 300)
    assert.deepEqual(house.errors, [])
  } finally {
    await house.close()
  }
})

test('a context that was read while a newer one took its place leaves memory again', async () => {
  let house: CoapHouse | undefined
  const slow = new SlowReads()
  try {
    house = await CoapHouse.create({ parts: { store: slow.store }, opening: slow.of })
    const device = await house.device()
    await device.first('a', { number: 1 })
    const old = required(device.context)
    // Out of memory.
    await house.restart('cleanly', undefined, slow.again)
    const late = device.datagram(device.reading('a', { number: 2 }), 900)
    const release = slow.hold(hex(old.sender.id))
    house.net.deliver(late, '203.0.113.5:2000')
    await device.first('a', { number: 3 })
    release()
    await house.idle()
    const [answer] = house.sentTo({ address: '203.0.113.5:2000' })
    assert.equal(fromUtf8(parseMessage(required(answer)).payload), 'Security context not found')
    assert.equal(house.door.load.contexts, 1)
    // An end that was clean: nobody is asked for Echo.
    await house.restart('cleanly', undefined, slow.again)
    assert.equal(codeText((await device.post('a', { number: 4 })).code), '2.04')
    assert.deepEqual(house.errors, [])
  } finally {
    await house?.close()
  }
})

/** The store of a house; what it has read of one context can be held back. */
class SlowReads {
  readonly store: Store
  #inner: Store | undefined
  #id = ''
  #gate: Promise<void> = Promise.resolve()

  constructor() {
    this.store = new Proxy({} as Store, {
      get: (_target, name) => (name === 'get' ? this.#get : this.#method(name)),
    })
  }

  readonly of = ({ store }: Pick<House, 'store'>): void => void (this.#inner = store)

  readonly again = (store: Store): Promise<void> => Promise.resolve(this.of({ store }))

  hold(id: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#id = id
    this.#gate = promise
    return resolve
  }

  readonly #get: Store['get'] = async (table, key) => {
    const row = await required(this.#inner).get(table, key)
    if (key === this.#id) await this.#gate
    return row
  }

  #method(name: string | symbol): unknown {
    const inner = required(this.#inner)
    const method: unknown = Reflect.get(inner, name)
    return typeof method === 'function' ? method.bind(inner) : method
  }
}

interface Frame {
  readonly device: NarrowDevice
  readonly datagram: Uint8Array
}

function frameOf(device: NarrowDevice, number: number): Frame {
  return { device, datagram: device.datagram(device.reading('a', { number }), 700 + number) }
}

/** One for each frame, so that its answer is known by it. */
function addressOf(index: number): string {
  return `203.0.113.5:${2000 + index}`
}

/** Partial IVs of what was answered there under OSCORE. */
function answersTo(house: CoapHouse, address: string): readonly (number | undefined)[] {
  return house.net.sent
    .filter(({ to }) => to === address)
    .map(({ datagram }) => parseMessage(datagram))
    .filter(isProtected)
    .map((message) => oscoreOptionOf(message).partialIv)
}
