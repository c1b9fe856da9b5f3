/** What devices answer to commands over coap, and what somebody on the path makes of it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  BlockAssembler,
  type CoapMessage,
  coapCode,
  type OutgoingResponse,
  optionNumber,
  parseMessage,
  uintValue,
  valuesOf,
} from '@countersign/core/coap'
import { fromUtf8, hex } from '@countersign/core/codec'
import { echoOption } from '@countersign/core/oscore'
import type { Clock } from '@countersign/core/ports'
import { randomBytes } from '@countersign/element/nodeCrypto'
import { answer, CommandScene, later, none } from './commandScene.ts'
import type { NarrowOptions } from './device.ts'
import type { CoapHouse } from './house.ts'

describe('a command', () => {
  let scene: CommandScene
  let house: CoapHouse
  beforeEach(async () => {
    scene = await CommandScene.open()
    house = scene.house
  })
  afterEach(() => scene.close())

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
        const device = await scene.present({ serve: () => answer(code, payload) })
        const command = await house.command(device, 'go')
        await house.becomes(command, 'refused')
        assert.equal((await scene.rowOf(command)).reason, reason)
        assert.equal(device.served.length, 1)
      }
    })

    it('of this moment is brought again, and not before Max-Age', async () => {
      for (const code of [coapCode.serviceUnavailable, coapCode.tooManyRequests]) {
        let isReady = false
        const device = await scene.present({
          serve: () => (isReady ? answer(coapCode.changed) : later(code, 120)),
        })
        const command = await house.command(device, 'go')
        await house.until(() => device.served.length === 1)
        await scene.quiet()
        isReady = true
        house.timers.advance(119_000)
        await scene.speaks(device)
        await house.rest()
        assert.equal(await house.stateOf(command), 'queued')
        house.timers.advance(1_000)
        await scene.speaks(device)
        await house.becomes(command, 'delivered')
        assert.equal(device.served.length, 2)
      }
    })

    it('without a Max-Age, or with one that is none, waits a minute', async () => {
      for (const value of [undefined, new Uint8Array(9)]) {
        let isReady = false
        const options = value === undefined ? [] : [{ number: optionNumber.maxAge, value }]
        const device = await scene.present({
          serve: () =>
            isReady
              ? answer(coapCode.changed)
              : { code: coapCode.internalServerError, options, payload: none },
        })
        const command = await house.command(device, 'go')
        await house.until(() => device.served.length === 1)
        await scene.quiet()
        isReady = true
        house.timers.advance(59_000)
        await scene.speaks(device)
        await house.rest()
        assert.equal(device.served.length, 1)
        house.timers.advance(1_000)
        await scene.speaks(device)
        await house.becomes(command, 'delivered')
      }
    })

    it('is not believed unless OSCORE says that it is of the device', async () => {
      const device = await scene.asleep()
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
      await scene.wakes(device)
      house.timers.advance(3_000)
      await house.becomes(command, 'delivered')
    })
  })

  describe('whose answer somebody on the path changes', () => {
    const header = 4
    const tokenBytes = 4

    it('is not delivered by any bit of it that is another, nor by any part of it', async () => {
      const { device, command, response } = await scene.answered()
      // The message layer is nobody's secret: type and Message ID are not among what OSCORE protects.
      for (let bit = 8 * header; bit < 8 * response.length; bit++) {
        const changed = response.slice()
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        house.net.deliver(changed, device.address)
      }
      for (let length = 0; length < response.length; length++) {
        house.net.deliver(response.slice(0, length), device.address)
      }
      await house.rest()
      assert.equal(await house.stateOf(command), 'queued')
      house.net.deliver(response, device.address)
      await house.becomes(command, 'delivered')
    })

    it('is not delivered by the answer to another one, whatever token that is given', async () => {
      const first = await scene.answered()
      house.net.deliver(first.response, first.device.address)
      await house.becomes(first.command, 'delivered')
      house.net.isDeaf = true
      const from = house.net.sent.length
      const second = await house.command(first.device, 'go')
      await house.until(() => first.device.served.length === 2)
      await house.rest()
      house.net.isDeaf = false
      const [request] = house.sentTo(first.device, from)
      assert.ok(request)
      const forged = first.response.slice()
      // Message ID and token of the request that waits.
      forged.set(request.subarray(2, header + tokenBytes), 2)
      for (const datagram of [first.response, forged]) {
        house.net.deliver(datagram, first.device.address)
      }
      await house.rest()
      assert.equal(await house.stateOf(second), 'queued')
    })

    it('is not delivered by an answer from elsewhere, and the request goes where the device is', async () => {
      const { command, response } = await scene.answered()
      house.net.deliver(response, '203.0.113.66:5683')
      await house.rest()
      assert.equal(await house.stateOf(command), 'queued')
    })
  })

  describe('of 16 KiB', () => {
    const data = JSON.stringify('y'.repeat(16_384 - 2))

    it('comes in blocks of 1024 bytes, each a request of its own', async () => {
      const bodies: CoapMessage[] = []
      const device = await scene.present({ serve: assembling(house.house.clock, bodies) })
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
      const device = await scene.present({
        serve: assembling(house.house.clock, bodies, (n) => (n === 8 ? 'forgets' : undefined)),
      })
      const command = await house.command(device, 'configure', { data })
      await house.becomes(command, 'delivered')
      assert.equal(bodies.length, 1)
      assert.equal(device.served.length, 8 + 17)
    })

    it('goes on from the block that was not answered when the device is heard elsewhere', async () => {
      const bodies: CoapMessage[] = []
      const device = await scene.present({
        serve: assembling(house.house.clock, bodies, (n) => (n === 8 ? 'silent' : undefined)),
      })
      const command = await house.command(device, 'configure', { data })
      await house.until(() => device.served.length === 8)
      device.moveTo('198.51.100.9:6100')
      await scene.speaks(device)
      await house.becomes(command, 'delivered')
      assert.equal(bodies.length, 1)
      assert.equal(device.served.length, 18)
    })

    it('is brought later by one that forgets again and again', async () => {
      const device = await scene.present({
        serve: () => answer(coapCode.requestEntityIncomplete),
      })
      const command = await house.command(device, 'configure', { data })
      await house.until(() => device.served.length === 3)
      await scene.quiet()
      assert.equal(await house.stateOf(command), 'queued')
      assert.equal(device.served.length, 3)
    })

    it('is refused by one that answers blocks against their rules', async () => {
      const device = await scene.present()
      const command = await house.command(device, 'configure', { data })
      await house.becomes(command, 'refused')
      assert.match((await scene.rowOf(command)).reason ?? '', /cannot be read/)
    })
  })

  it('is sent again with the Echo of a device that has no clock', async () => {
    const value = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    const device = await scene.present({
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
    const device = await scene.present({
      serve: () => ({
        code: coapCode.unauthorized,
        options: [echoOption(randomBytes.bytes(8))],
        payload: none,
      }),
    })
    const command = await house.command(device, 'go')
    await house.until(() => device.served.length === 3)
    await scene.quiet()
    assert.equal(device.served.length, 3)
    assert.equal(await house.stateOf(command), 'queued')
  })
})

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
