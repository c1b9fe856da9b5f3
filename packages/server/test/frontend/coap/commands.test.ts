/** Commands over coap: requests of the server to a device, as RFC 7252 sends them and RFC 8613 protects them. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  BlockAssembler,
  type CoapMessage,
  coapCode,
  contentFormatOption,
  type OutgoingResponse,
  optionNumber,
  parseMessage,
  pathOf,
  sendInBlocks,
  uintValue,
  uriPath,
  valuesOf,
} from '@countersign/core/coap'
import { fromUtf8, hex, utf8 } from '@countersign/core/codec'
import { echoOption, oscoreOptionOf } from '@countersign/core/oscore'
import type { Clock } from '@countersign/core/ports'
import { randomBytes } from '@countersign/element/nodeCrypto'
import type { CommandRow } from '../../../src/ports.ts'
import { hour } from '../../authority/house.ts'
import { innerMessage, type NarrowDevice, type NarrowOptions } from './device.ts'
import { CoapHouse } from './house.ts'

const minute = 60_000
/** MAX_TRANSMIT_WAIT with the parameters of RFC 7252 §4.8: 2 s × 31 × 1.5. */
const transmitWait = 93_000
const none = new Uint8Array()

describe('a command', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(async () => {
    const mistakes = house.log.lines.filter(({ level }) => level === 'error')
    await house.close()
    assert.deepEqual(mistakes, [])
  })

  /** With a context, which no command waits for. */
  const present = async (options: NarrowOptions = {}): Promise<NarrowDevice> => {
    const device = await house.device(options)
    await device.first('a', { number: 1 })
    await house.until(() => house.door.load.couriers === 0)
    return device
  }
  const asleep = async (options: NarrowOptions = {}): Promise<NarrowDevice> => {
    const device = await present(options)
    house.net.detach(device.address)
    return device
  }
  let numbers = 1
  const speaks = (device: NarrowDevice): Promise<CoapMessage> =>
    device.post('a', { number: ++numbers })
  const wakes = async (device: NarrowDevice): Promise<void> => {
    device.moveTo(device.address)
    await speaks(device)
  }
  /** Nothing more is under way. */
  const quiet = (): Promise<void> => house.until(() => house.door.load.couriers === 0)

  it('is POST /c/<name> with its document, under OSCORE on the context of the device', async () => {
    const device = await present()
    const command = await house.command(device, 'open.valve', { data: '{"n": 1,\n"m":2}' })
    await house.becomes(command, 'delivered')
    const [request, ...more] = device.served
    assert.ok(request)
    assert.deepEqual(more, [])
    assert.equal(request.code, coapCode.post)
    const expires = new Date(command.expiresAt).toISOString()
    assert.equal(
      fromUtf8(request.payload),
      `{"id":"${command.id}","name":"open.valve","data":{"n": 1, "m":2},"expires":"${expires}"}`,
    )
    assert.deepEqual(
      request.options.map(({ number, value }) => [number, hex(value)]),
      // Uri-Path twice, Content-Format application/json (RFC 7252 §12.2, §12.3).
      [
        [11, hex(utf8('c'))],
        [11, hex(utf8('open.valve'))],
        [12, '32'],
      ],
    )
  })

  it('is delivered when the device has said so, and not before', async () => {
    const device = await present({ serve: () => 'silent' })
    const command = await house.command(device, 'go')
    await house.until(() => device.served.length === 1)
    await house.rest()
    assert.equal(await house.stateOf(command), 'queued')
  })

  it('goes out one at a time, the oldest first', async () => {
    const names: string[] = []
    let answers = 0
    const device = await present({
      serve: (request) => {
        names.push(pathOf(request)[1] ?? '')
        return answers-- > 0 ? answer(coapCode.changed) : 'silent'
      },
    })
    for (const name of ['one', 'two', 'three']) await house.command(device, name)
    await house.until(() => names.length === 1)
    await house.rest()
    assert.deepEqual(names, ['one'])
    answers = 3
    house.timers.advance(2 * 3_000)
    await speaks(device)
    await quiet()
    assert.deepEqual(names, ['one', 'one', 'two', 'three'])
  })

  it('is answered by a request of the device, up to 64 KiB in blocks', async () => {
    const device = await present()
    const command = await house.command(device, 'dump')
    await house.becomes(command, 'delivered')
    const body = utf8(JSON.stringify('x'.repeat(65_536 - 2)))
    const options = [...uriPath('r', command.id), contentFormatOption(50)]
    const response = await sendInBlocks(
      { code: coapCode.post, options, payload: body },
      (part) => device.exchange(innerMessage(part)),
      { random: randomBytes },
    )
    assert.equal(response.code, coapCode.changed)
    const row = await rowOf(command)
    assert.equal(row.state, 'answered')
    assert.deepEqual(Buffer.from(row.result ?? none), Buffer.from(body))
  })

  it('that the device will not do is refused in its words, once', async () => {
    const device = await present()
    const command = await house.command(device, 'explode')
    await house.becomes(command, 'delivered')
    const refusal = innerMessage({
      code: coapCode.post,
      options: [...uriPath('r', command.id, 'refused'), contentFormatOption(0)],
      payload: utf8('not today'),
    })
    for (const _ of [1, 2]) assert.equal((await device.exchange(refusal)).code, coapCode.changed)
    assert.partialDeepStrictEqual(await rowOf(command), { state: 'refused', reason: 'not today' })
  })

  describe('to a device that does not answer', () => {
    it('is sent five times with the same bytes, each wait twice the one before, and given up', async () => {
      const device = await asleep()
      const from = house.net.sent.length
      const began = house.house.clock.now()
      const command = await house.command(device, 'go')
      const times: number[] = []
      await house.until(() => house.sentTo(device, from).length === 1)
      for (let ms = 0; ms <= transmitWait; ms += 100) {
        while (times.length < house.sentTo(device, from).length) {
          times.push(house.house.clock.now() - began)
        }
        house.timers.advance(100)
      }
      await quiet()
      const datagrams = house.sentTo(device, from).map(hex)
      // MAX_RETRANSMIT is 4 (RFC 7252 §4.8).
      assert.equal(datagrams.length, 5)
      assert.equal(new Set(datagrams).size, 1)
      const waits = times.slice(1).map((time, n) => time - (times[n] ?? 0))
      const [first = 0] = waits
      assert.ok(first >= 2_000 && first <= 3_100, `${first}`)
      for (const [n, wait] of waits.entries()) {
        assert.ok(Math.abs(wait - first * 2 ** n) <= 100 * 2 ** n, waits.join())
      }
      assert.equal(await house.stateOf(command), 'queued')
    })

    it('goes out under a new number when the device speaks next', async () => {
      const device = await asleep()
      const from = house.net.sent.length
      const command = await house.command(device, 'go')
      await house.until(() => house.sentTo(device, from).length === 1)
      house.timers.advance(transmitWait)
      await quiet()
      house.timers.advance(10 * minute)
      await wakes(device)
      await house.becomes(command, 'delivered')
      const numbersUsed = house
        .sentTo(device, from)
        .map((datagram) => parseMessage(datagram))
        .filter(({ code }) => code === coapCode.post)
        .map((message) => oscoreOptionOf(message).partialIv)
      assert.equal(new Set(numbersUsed).size, 2)
      assert.equal(device.served.length, 1)
    })

    it('goes out anew at once when the device wakes while it is still being sent', async () => {
      const device = await asleep()
      const command = await house.command(device, 'go')
      await house.until(() => house.door.load.couriers === 1)
      await house.rest()
      // The next transmission would be 24 s or more away.
      house.timers.advance(25_000)
      await wakes(device)
      await house.becomes(command, 'delivered')
      assert.equal(device.served.length, 1)
    })

    it('goes to where the device has moved to, and no more to where it was', async () => {
      const device = await asleep()
      const old = device.address
      const command = await house.command(device, 'go')
      await house.until(() => house.door.load.couriers === 1)
      await house.rest()
      device.moveTo('198.51.100.7:6001')
      await speaks(device)
      await house.becomes(command, 'delivered')
      const from = house.net.sent.length
      house.timers.advance(transmitWait)
      assert.deepEqual(house.sentTo({ address: old }, from), [])
    })

    it('goes out under the keys of a new handshake, and no more under the old ones', async () => {
      const device = await asleep()
      const command = await house.command(device, 'go')
      await house.until(() => house.door.load.couriers === 1)
      await house.rest()
      device.moveTo(device.address)
      await device.first('a', { number: ++numbers })
      await house.becomes(command, 'delivered')
      assert.equal(device.served.length, 1)
      await quiet()
      const from = house.net.sent.length
      house.timers.advance(transmitWait)
      await house.rest()
      assert.deepEqual(house.sentTo(device, from), [])
    })

    it('is not sent again and again to one that speaks often and never answers', async () => {
      const device = await present({ serve: () => 'silent' })
      const from = house.net.sent.length
      await house.command(device, 'go')
      await house.until(() => device.served.length === 1)
      for (let second = 0; second < 3600; second += 10) {
        house.timers.advance(10_000)
        await speaks(device)
      }
      const requests = house
        .sentTo(device, from)
        .filter((datagram) => parseMessage(datagram).code === coapCode.post)
      // 360 readings in the hour; each attempt is five datagrams at most.
      assert.ok(device.served.length <= 12, `${device.served.length}`)
      assert.ok(requests.length <= 60, `${requests.length}`)
    })
  })

  describe('that is too late', () => {
    it('does not go out', async () => {
      const device = await asleep()
      const expiresAt = house.house.clock.now() + minute
      const command = await house.command(device, 'go', { expiresAt })
      await house.until(() => house.door.load.couriers === 1)
      await house.rest()
      house.timers.advance(transmitWait)
      await quiet()
      house.timers.advance(hour)
      await wakes(device)
      await quiet()
      assert.equal(await house.stateOf(command), 'expired')
      assert.deepEqual(device.served, [])
    })

    it('is expired, whatever the device says of it', async () => {
      const device = await present({ serve: () => 'silent' })
      const expiresAt = house.house.clock.now() + 1_000
      const command = await house.command(device, 'go', { expiresAt })
      await house.until(() => device.served.length === 1)
      house.timers.advance(1_000)
      const refusal = innerMessage({
        code: coapCode.post,
        options: [...uriPath('r', command.id, 'refused'), contentFormatOption(0)],
        payload: utf8('too late'),
      })
      const response = await device.exchange(refusal)
      assert.equal(fromUtf8(response.payload), 'ERR_COMMAND_ENDED')
      assert.equal(await house.stateOf(command), 'expired')
    })
  })

  describe('to a device that may not come in any more', () => {
    it('goes out no more from the moment of its revocation', async () => {
      const device = await asleep()
      const command = await house.command(device, 'go')
      await house.until(() => house.door.load.couriers === 1)
      await house.rest()
      await house.house.registry.revoke(device.identity.row.id, 'keyCompromise')
      await house.becomes(command, 'refused')
      await quiet()
      const from = house.net.sent.length
      house.timers.advance(transmitWait)
      await house.rest()
      assert.deepEqual(house.sentTo(device, from), [])
    })

    it('waits while it is suspended, and comes with its next context', async () => {
      const device = await present()
      const { id } = device.identity.row
      await house.house.registry.suspend(id, 'lost')
      await house.door.settled()
      const command = await house.command(device, 'go')
      await house.rest()
      await speaks(device)
      assert.deepEqual(device.served, [])
      await house.house.registry.resume(id)
      await device.first('a', { number: ++numbers })
      await house.becomes(command, 'delivered')
    })
  })

  describe('that the device answers with an error', () => {
    it('of its own fault is refused, with what it says', async () => {
      for (const [code, payload, reason] of [
        [coapCode.notFound, '', 'the device answered with 4.04'],
        [
          coapCode.badRequest,
          'ERR_COMMAND_FORMAT',
          'the device answered with 4.00: ERR_COMMAND_FORMAT',
        ],
        [
          coapCode.requestEntityTooLarge,
          '\u001b[31m\nred',
          'the device answered with 4.13: [31m red',
        ],
        [coapCode.badOption, 'x'.repeat(1000), `the device answered with 4.02: ${'x'.repeat(225)}`],
      ] as const) {
        const device = await present({ serve: () => answer(code, payload) })
        const command = await house.command(device, 'go')
        await house.becomes(command, 'refused')
        assert.equal((await rowOf(command)).reason, reason)
        assert.equal(device.served.length, 1)
      }
    })

    it('of this moment is brought again, and not before Max-Age', async () => {
      for (const code of [coapCode.serviceUnavailable, coapCode.tooManyRequests]) {
        let isReady = false
        const device = await present({
          serve: () => (isReady ? answer(coapCode.changed) : later(code, 120)),
        })
        const command = await house.command(device, 'go')
        await house.until(() => device.served.length === 1)
        await quiet()
        isReady = true
        house.timers.advance(119_000)
        await speaks(device)
        await house.rest()
        assert.equal(await house.stateOf(command), 'queued')
        house.timers.advance(1_000)
        await speaks(device)
        await house.becomes(command, 'delivered')
        assert.equal(device.served.length, 2)
      }
    })

    it('without a Max-Age, or with one that is none, waits a minute', async () => {
      for (const value of [undefined, new Uint8Array(9)]) {
        let isReady = false
        const options = value === undefined ? [] : [{ number: optionNumber.maxAge, value }]
        const device = await present({
          serve: () =>
            isReady
              ? answer(coapCode.changed)
              : { code: coapCode.internalServerError, options, payload: none },
        })
        const command = await house.command(device, 'go')
        await house.until(() => device.served.length === 1)
        await quiet()
        isReady = true
        house.timers.advance(59_000)
        await speaks(device)
        await house.rest()
        assert.equal(device.served.length, 1)
        house.timers.advance(1_000)
        await speaks(device)
        await house.becomes(command, 'delivered')
      }
    })

    it('is not believed unless OSCORE says that it is of the device', async () => {
      const device = await asleep()
      const from = house.net.sent.length
      const command = await house.command(device, 'go')
      await house.until(() => house.sentTo(device, from).length === 1)
      const [datagram = none] = house.sentTo(device, from)
      const { messageId, token } = parseMessage(datagram)
      const header = (type: number, code: number): Uint8Array =>
        Uint8Array.of(0x40 | (type << 4) | token.length, code, messageId >> 8, messageId & 0xff)
      // A Reset, a 4.04, a 2.04: anybody on the path can send them.
      house.net.deliver(Uint8Array.of(0x70, 0, messageId >> 8, messageId & 0xff), device.address)
      for (const code of [0x84, 0x44]) {
        house.net.deliver(Buffer.concat([header(2, code), token]), device.address)
      }
      await house.rest()
      assert.equal(await house.stateOf(command), 'queued')
      await wakes(device)
      house.timers.advance(3_000)
      await house.becomes(command, 'delivered')
    })
  })

  describe('of 16 KiB', () => {
    const data = JSON.stringify('y'.repeat(16_384 - 2))

    it('comes in blocks of 1024 bytes, each a request of its own', async () => {
      const bodies: CoapMessage[] = []
      const device = await present({ serve: assembling(house.house.clock, bodies) })
      const command = await house.command(device, 'configure', { data })
      await house.becomes(command, 'delivered')
      assert.equal(bodies.length, 1)
      const document = JSON.parse(fromUtf8(bodies[0]?.payload ?? none)) as Record<string, unknown>
      assert.partialDeepStrictEqual(document, { id: command.id, name: 'configure' })
      assert.equal(JSON.stringify(document['data']), data)
      assert.equal(device.served.length, 17)
      for (const [at, request] of device.served.entries()) {
        const [block1] = valuesOf(request.options, optionNumber.block1)
        // RFC 7959 §2.2: NUM, M, SZX 6.
        const value = (at << 4) | (at < 16 ? 8 : 0) | 6
        assert.equal(hex(block1 ?? none), hex(uintValue(value)))
        assert.ok(request.payload.length <= 1024)
      }
    })

    it('begins anew when the device has lost the blocks before', async () => {
      const bodies: CoapMessage[] = []
      const device = await present({
        serve: assembling(house.house.clock, bodies, (n) => (n === 8 ? 'forgets' : undefined)),
      })
      const command = await house.command(device, 'configure', { data })
      await house.becomes(command, 'delivered')
      assert.equal(bodies.length, 1)
      assert.equal(device.served.length, 8 + 17)
    })

    it('goes on from the block that was not answered when the device is heard elsewhere', async () => {
      const bodies: CoapMessage[] = []
      const device = await present({
        serve: assembling(house.house.clock, bodies, (n) => (n === 8 ? 'silent' : undefined)),
      })
      const command = await house.command(device, 'configure', { data })
      await house.until(() => device.served.length === 8)
      device.moveTo('198.51.100.9:6100')
      await speaks(device)
      await house.becomes(command, 'delivered')
      assert.equal(bodies.length, 1)
      assert.equal(device.served.length, 18)
    })

    it('is brought later by one that forgets again and again', async () => {
      const device = await present({
        serve: () => answer(coapCode.requestEntityIncomplete),
      })
      const command = await house.command(device, 'configure', { data })
      await house.until(() => device.served.length === 3)
      await quiet()
      assert.equal(await house.stateOf(command), 'queued')
      assert.equal(device.served.length, 3)
    })

    it('is refused by one that answers blocks against their rules', async () => {
      const device = await present()
      const command = await house.command(device, 'configure', { data })
      await house.becomes(command, 'refused')
      assert.match((await rowOf(command)).reason ?? '', /cannot be read/)
    })
  })

  it('is sent again with the Echo of a device that has no clock', async () => {
    const value = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    const device = await present({
      serve: ({ options }) => {
        const [shown] = valuesOf(options, optionNumber.echo)
        if (shown !== undefined) return answer(coapCode.changed)
        return { code: coapCode.unauthorized, options: [echoOption(value)], payload: none }
      },
    })
    const command = await house.command(device, 'go')
    await house.becomes(command, 'delivered')
    assert.equal(device.served.length, 2)
    const [shown] = valuesOf(device.served[1]?.options ?? [], optionNumber.echo)
    assert.equal(hex(shown ?? none), hex(value))
  })

  it('is not lost to one that asks for Echo and is never content', async () => {
    const device = await present({
      serve: () => ({
        code: coapCode.unauthorized,
        options: [echoOption(randomBytes.bytes(8))],
        payload: none,
      }),
    })
    const command = await house.command(device, 'go')
    await house.until(() => device.served.length === 3)
    await quiet()
    assert.equal(device.served.length, 3)
    assert.equal(await house.stateOf(command), 'queued')
  })

  for (const how of ['cleanly', 'after a crash'] as const) {
    it(`that was under way when the server began anew ${how} comes when the device speaks`, async () => {
      const device = await asleep()
      const command = await house.command(device, 'go')
      await house.until(() => house.door.load.couriers === 1)
      await house.restart(how)
      assert.equal(await house.stateOf(command), 'queued')
      device.moveTo(device.address)
      await device.exchangeWithEcho(device.reading('a', { number: ++numbers }))
      await house.becomes(command, 'delivered')
      assert.equal(device.served.length, 1)
    })
  }

  it('of another device is not answered by this one', async () => {
    const [one, other] = [await present(), await present()]
    const command = await house.command(one, 'go')
    await house.becomes(command, 'delivered')
    const options = [...uriPath('r', command.id), contentFormatOption(50)]
    const word = innerMessage({ code: coapCode.post, options, payload: utf8('1') })
    assert.equal((await other.exchange(word)).code, coapCode.notFound)
    assert.equal(await house.stateOf(command), 'delivered')
  })

  async function rowOf({ id }: CommandRow): Promise<CommandRow> {
    const row = await house.house.store.get('command', id)
    assert.ok(row)
    return row
  }
})

function answer(code: number, text = ''): OutgoingResponse {
  return { code, options: [], payload: utf8(text) }
}

function later(code: number, seconds: number): OutgoingResponse {
  const maxAge = { number: optionNumber.maxAge, value: uintValue(seconds) }
  return { ...answer(code), options: [maxAge] }
}

/** A device that puts blocks together; `fail`: what it says to the n-th request instead. */
function assembling(
  clock: Clock,
  bodies: CoapMessage[],
  fail: (n: number) => OutgoingResponse | 'silent' | 'forgets' | undefined = () => undefined,
): NonNullable<NarrowOptions['serve']> {
  let assembler = new BlockAssembler({ clock, random: randomBytes })
  let n = 0
  return (request) => {
    const instead = fail(++n)
    if (instead === 'forgets') assembler = new BlockAssembler({ clock, random: randomBytes })
    else if (instead !== undefined) return instead
    const taken = assembler.take('server', request)
    if (taken.kind === 'answer') return taken.response
    bodies.push(taken.request)
    return taken.answer(answer(coapCode.changed))
  }
}
