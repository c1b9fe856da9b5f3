/** Contexts outlive the process, numbers and nonces with them. */
import assert from 'node:assert/strict'
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { encodeContinued } from '@countersign/core/channel'
import {
  coapCode,
  codeText,
  encodeMessage,
  optionNumber,
  parseMessage,
} from '@countersign/core/coap'
import { fromHex, hex } from '@countersign/core/codec'
import { oscoreOptionOf } from '@countersign/core/oscore'
import { forgetWhatMovedOn } from '../../../src/compose/restored.ts'
import { isProtected, type NarrowDevice, Refused, required } from './device.ts'
import { CoapHouse } from './house.ts'

let port = 1000

describe('after a restart with the same folder', () => {
  let house: CoapHouse
  let device: NarrowDevice
  beforeEach(async () => {
    house = await CoapHouse.create()
    device = await house.device()
    await device.first('a', { number: 1 })
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    assertNoncesOnce(house)
    await house.close()
  })

  async function count(): Promise<number> {
    return (await house.messages()).length
  }

  /** A frame that the door takes, and that somebody has recorded. */
  async function recorded(number: number): Promise<Uint8Array> {
    const datagram = device.datagram(device.reading('a', { number }), 700 + number)
    await house.inject(datagram, device.address)
    return datagram
  }

  async function replay(datagram: Uint8Array): Promise<string> {
    // From a port of its own: a repetition would be answered from memory (RFC 7252 §4.5).
    const [answer] = await house.inject(datagram, `203.0.113.5:${++port}`)
    const message = parseMessage(required(answer))
    return isProtected(message) ? 'protected' : codeText(message.code)
  }

  it('that ended cleanly the context goes on, and knows what it has taken', async () => {
    const frames = [await recorded(2), await recorded(3)]
    assert.equal(await count(), 3)
    await house.restart('cleanly')
    assert.equal(codeText((await device.post('a', { number: 4 })).code), '2.04')
    for (const frame of frames) assert.equal(await replay(frame), '4.01')
    assert.equal(await count(), 4)
    assert.equal((await house.rows()).length, 1)
  })

  it('that ended cleanly what was refused is known too', async () => {
    const refused = device.datagram(device.reading('a b', {}), 800)
    await house.inject(refused, device.address)
    await house.restart('cleanly')
    assert.equal(await replay(refused), '4.01')
  })

  it('after a crash the device shows by Echo that it is alive, once', async () => {
    const frames = [await recorded(2), await recorded(3)]
    await house.restart('after a crash')
    // What is not proved fresh is answered, under OSCORE, and never acted upon.
    for (const frame of frames) assert.match(await replay(frame), /protected|4\.01/)
    assert.equal(await count(), 3)
    const request = device.reading('a', { number: 4 })
    const challenge = await device.exchange(request)
    assert.equal(codeText(challenge.code), '4.01')
    assert.ok(challenge.options.some(({ number }) => number === optionNumber.echo))
    assert.equal(await count(), 3)
    assert.equal(codeText((await device.exchangeWithEcho(request)).code), '2.04')
    assert.equal(codeText((await device.post('a', { number: 5 })).code), '2.04')
    assert.equal(await count(), 5)
    for (const frame of frames) assert.equal(await replay(frame), '4.01')
    assert.equal(await count(), 5)
  })

  it('after a crash frames that nobody has verified cause no write', async () => {
    await house.restart('after a crash')
    const { store } = house.house
    const apply = store.apply.bind(store)
    let writes = 0
    store.apply = async (change) => {
      writes++
      return await apply(change)
    }
    const kid = fromHex(required((await house.rows())[0]).id)
    for (let number = 0; number < 100; number++) {
      const option = { number: optionNumber.oscore, value: Uint8Array.of(0x09, number, ...kid) }
      const forged = encodeMessage({
        type: 'NON',
        code: coapCode.post,
        messageId: number,
        token: Uint8Array.of(number),
        options: [option],
        payload: new Uint8Array(12),
      })
      await house.inject(forged, `203.0.113.5:${++port}`)
    }
    assert.equal(writes, 0)
    assert.equal(codeText((await device.exchange(device.reading('a', {}))).code), '4.01')
    assert.equal(writes, 1)
  })

  it('after crash upon crash no nonce comes twice', async () => {
    for (let n = 0; n < 4; n++) {
      await house.restart('after a crash')
      const request = device.reading('a', { number: 10 + n })
      assert.equal(codeText((await device.exchangeWithEcho(request)).code), '2.04')
      // Refused before anything of it is stored: a number of the server's own each time.
      const refused = await device.post('a b', { number: 50 })
      assert.equal(codeText(refused.code), '4.00')
    }
    const own = [...ownNumbers(house)]
    assert.ok(own.length >= 8, `${own.length} answers had a number of their own`)
  })

  it('an Echo of an earlier life proves nothing', async () => {
    await house.restart('after a crash')
    const request = device.reading('a', { number: 2 })
    const challenge = await device.exchange(request)
    const echo = required(challenge.options.find(({ number }) => number === optionNumber.echo))
    await house.restart('after a crash')
    const again = { ...request, options: [...request.options, echo].toSorted(byNumber) }
    const answer = await device.exchange(again)
    assert.equal(codeText(answer.code), '4.01')
    assert.equal(await count(), 1)
    assert.equal(codeText((await device.exchangeWithEcho(again)).code), '2.04')
  })

  it('that was clean a crash before it still makes the windows of its time doubtful', async () => {
    await house.restart('after a crash')
    await house.restart('cleanly')
    const challenge = await device.exchange(device.reading('a', { number: 2 }))
    assert.equal(codeText(challenge.code), '4.01')
    assert.equal(
      codeText((await device.exchangeWithEcho(device.reading('a', { number: 2 }))).code),
      '2.04',
    )
    await house.restart('cleanly')
    assert.equal(codeText((await device.post('a', { number: 3 })).code), '2.04')
  })

  it('a handshake that was under way begins anew', async () => {
    const { message3, next } = await device.begin()
    await house.restart('cleanly')
    await assert.rejects(device.edhoc(encodeContinued(next.session.cR, message3)), Refused)
    assert.equal(codeText((await device.first('a', { number: 2 })).code), '2.04')
  })

  it('a context that had carried nothing is gone, and its device is told so', async () => {
    const other = await house.device()
    await other.handshake()
    await house.restart('cleanly')
    const error: unknown = await other.post('a', { number: 1 }).catch((reason: unknown) => reason)
    assert.ok(error instanceof Refused)
    assert.equal(codeText(error.response.code), '4.01')
    assert.equal(codeText((await other.first('a', { number: 1 })).code), '2.04')
  })

  it('of a backup no context is left, and nothing that was recorded is delivered', async () => {
    const before = await recorded(2)
    const copy = join(house.house.directory, 'copy.db')
    await house.house.store.backup(copy)
    const later = await recorded(3)
    await house.restart('cleanly', async (directory) => {
      for (const end of ['', '-wal', '-shm']) {
        await rm(join(directory, `store.db${end}`), { force: true })
      }
      await copyFile(copy, join(directory, 'store.db'))
    })
    await forgetWhatMovedOn(house.house.store, house.house.clock.now())
    assert.equal(await count(), 2)
    assert.deepEqual(await house.rows(), [])
    for (const frame of [before, later]) assert.equal(await replay(frame), '4.01')
    await assert.rejects(device.post('a', { number: 4 }), Refused)
    assert.equal(codeText((await device.first('a', { number: 4 })).code), '2.04')
    for (const frame of [before, later]) assert.equal(await replay(frame), '4.01')
    assert.equal(await count(), 3)
  })

  it('a row that was made another device’s does not open', async () => {
    const other = await house.device()
    await other.first('a', { number: 1 })
    await house.restart('cleanly')
    const [one, two] = await house.rows()
    const mine = [one, two].find((row) => row?.device === device.identity.row.id)
    const set = { device: other.identity.row.id }
    await house.house.store.apply({
      writes: [{ kind: 'update', table: 'coapContext', key: required(mine).id, set }],
    })
    const datagram = device.datagram(device.reading('a', { number: 2 }), 900)
    assert.deepEqual(await house.inject(datagram, device.address), [])
    assert.equal(await count(), 2)
    assert.match(required(house.errors[0]), /does not open|another key|sealed/i)
    house.log.lines.splice(0)
  })

  it('a server whose own numbers are used up says no more, and a new context works', async () => {
    await house.restart('cleanly')
    const [row] = await house.rows()
    const { id } = required(row)
    const set = { reserved: 2 ** 40 }
    await house.house.store.apply({
      writes: [{ kind: 'update', table: 'coapContext', key: id, set }],
    })
    // What is stored is answered under the nonce of its request.
    assert.equal(codeText((await device.post('a', { number: 2 })).code), '2.04')
    await assert.rejects(device.post('a b', { number: 3 }), Refused)
    await house.restart('after a crash')
    await assert.rejects(device.post('a', { number: 3 }), Refused)
    assert.equal(codeText((await device.first('a', { number: 4 })).code), '2.04')
  })
})

function byNumber(one: { readonly number: number }, other: { readonly number: number }): number {
  return one.number - other.number
}

/** Numbers of the server's own, by context, each with the ciphertexts that it protects. */
function ownNumbers({ net }: CoapHouse): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const { datagram } of net.sent) {
    const message = parseMessage(datagram)
    if (!isProtected(message)) continue
    const { partialIv } = oscoreOptionOf(message)
    if (partialIv === undefined) continue
    const key = String(partialIv)
    found.set(key, (found.get(key) ?? new Set()).add(hex(message.payload)))
  }
  return found
}

/** One device, one context at a time: whatever goes out twice under a number is the same bytes. */
function assertNoncesOnce(house: CoapHouse): void {
  for (const [number, ciphertexts] of ownNumbers(house)) {
    assert.equal(ciphertexts.size, 1, `Partial IV ${number} protects two messages`)
  }
}
