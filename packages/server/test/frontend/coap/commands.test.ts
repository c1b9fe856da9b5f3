/** Commands over coap: requests of the server to a device, as RFC 7252 sends them and RFC 8613 protects them. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  coapCode,
  contentFormatOption,
  parseMessage,
  pathOf,
  sendInBlocks,
  uriPath,
} from '@countersign/core/coap'
import { fromUtf8, hex, utf8 } from '@countersign/core/codec'
import { oscoreOptionOf } from '@countersign/core/oscore'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { hour } from '../../authority/house.ts'
import { answer, CommandScene, none } from './commandScene.ts'
import { innerMessage, type NarrowDevice } from './device.ts'
import type { CoapHouse } from './house.ts'

const minute = 60_000
/** MAX_TRANSMIT_WAIT with the parameters of RFC 7252 §4.8: 2 s × 31 × 1.5. */
const transmitWait = 93_000

describe('a command', () => {
  let scene: CommandScene
  let house: CoapHouse
  beforeEach(async () => {
    scene = await CommandScene.open()
    house = scene.house
  })
  afterEach(() => scene.close())

  it('is POST /c/<name> with its document, under OSCORE on the context of the device', async () => {
    const device = await scene.present()
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
    const device = await scene.present({ serve: () => 'silent' })
    const command = await house.command(device, 'go')
    await house.until(() => device.served.length === 1)
    await house.rest()
    assert.equal(await house.stateOf(command), 'queued')
  })

  it('goes out one at a time, the oldest first', async () => {
    const names: string[] = []
    let answers = 0
    const device = await scene.present({
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
    await scene.speaks(device)
    await scene.quiet()
    assert.deepEqual(names, ['one', 'one', 'two', 'three'])
  })

  it('is answered by a request of the device, up to 64 KiB in blocks', async () => {
    const device = await scene.present()
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
    const row = await scene.rowOf(command)
    assert.equal(row.state, 'answered')
    assert.deepEqual(Buffer.from(row.result ?? none), Buffer.from(body))
  })

  it('that the device will not do is refused in its words, once', async () => {
    const device = await scene.present()
    const command = await house.command(device, 'explode')
    await house.becomes(command, 'delivered')
    const refusal = innerMessage({
      code: coapCode.post,
      options: [...uriPath('r', command.id, 'refused'), contentFormatOption(0)],
      payload: utf8('not today'),
    })
    for (const _ of [1, 2]) assert.equal((await device.exchange(refusal)).code, coapCode.changed)
    assert.partialDeepStrictEqual(await scene.rowOf(command), {
      state: 'refused',
      reason: 'not today',
    })
  })

  describe('to a device that does not answer', () => {
    it('is sent five times with the same bytes, each wait twice the one before, and given up', async () => {
      const device = await scene.asleep()
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
      await scene.quiet()
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
      const device = await scene.asleep()
      const from = house.net.sent.length
      const command = await house.command(device, 'go')
      await house.until(() => house.sentTo(device, from).length === 1)
      house.timers.advance(transmitWait)
      await scene.quiet()
      house.timers.advance(10 * minute)
      await scene.wakes(device)
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
      const device = await scene.asleep()
      const command = await house.command(device, 'go')
      await scene.busy()
      // The next transmission would be 24 s or more away.
      house.timers.advance(25_000)
      await scene.wakes(device)
      await house.becomes(command, 'delivered')
      assert.equal(device.served.length, 1)
    })

    it('goes to where the device has moved to, and no more to where it was', async () => {
      const device = await scene.asleep()
      const old = device.address
      const command = await house.command(device, 'go')
      await scene.busy()
      device.moveTo('198.51.100.7:6001')
      await scene.speaks(device)
      await house.becomes(command, 'delivered')
      const from = house.net.sent.length
      house.timers.advance(transmitWait)
      assert.deepEqual(house.sentTo({ address: old }, from), [])
    })

    it('goes out under the keys of a new handshake, and no more under the old ones', async () => {
      const device = await scene.asleep()
      const command = await house.command(device, 'go')
      await scene.busy()
      device.moveTo(device.address)
      await device.first('a', { number: scene.nextNumber })
      await house.becomes(command, 'delivered')
      assert.equal(device.served.length, 1)
      await scene.quiet()
      const from = house.net.sent.length
      house.timers.advance(transmitWait)
      await house.rest()
      assert.deepEqual(house.sentTo(device, from), [])
    })

    it('is not sent again and again to one that speaks often and never answers', async () => {
      const device = await scene.present({ serve: () => 'silent' })
      const from = house.net.sent.length
      await house.command(device, 'go')
      await house.until(() => device.served.length === 1)
      for (let second = 0; second < 3600; second += 10) {
        house.timers.advance(10_000)
        await scene.speaks(device)
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
      const device = await scene.asleep()
      const expiresAt = house.house.clock.now() + minute
      const command = await house.command(device, 'go', { expiresAt })
      await scene.busy()
      house.timers.advance(transmitWait)
      await scene.quiet()
      house.timers.advance(hour)
      await scene.wakes(device)
      await scene.quiet()
      assert.equal(await house.stateOf(command), 'expired')
      assert.deepEqual(device.served, [])
    })

    it('is expired, whatever the device says of it', async () => {
      const device = await scene.present({ serve: () => 'silent' })
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
      const device = await scene.asleep()
      const command = await house.command(device, 'go')
      await scene.busy()
      await house.house.registry.revoke(device.identity.row.id, 'keyCompromise')
      await house.becomes(command, 'refused')
      await scene.quiet()
      const from = house.net.sent.length
      house.timers.advance(transmitWait)
      await house.rest()
      assert.deepEqual(house.sentTo(device, from), [])
    })

    it('goes out no more when its product leaves the road, or its certificate is revoked', async () => {
      const { registry } = house.house
      for (const turnOut of [
        () => registry.setProduct('default', { roads: '["https"]' }),
        async (device: NarrowDevice) => {
          const { fingerprint } = certificateIn(device)
          const rows = await house.house.store.find('certificate', 'fingerprint', fingerprint)
          await registry.revokeCertificate(rows[0]?.serial ?? '', 'keyCompromise')
        },
      ]) {
        const device = await scene.asleep()
        const command = await house.command(device, 'go')
        await scene.busy()
        await turnOut(device)
        await scene.quiet()
        const from = house.net.sent.length
        house.timers.advance(transmitWait)
        await house.rest()
        assert.deepEqual(house.sentTo(device, from), [])
        // It is another road's, or a new certificate's.
        assert.equal(await house.stateOf(command), 'queued')
        await registry.setProduct('default', { roads: '["coap"]' })
      }
    })

    it('waits while it is suspended, and comes with its next context', async () => {
      const device = await scene.present()
      const { id } = device.identity.row
      await house.house.registry.suspend(id, 'lost')
      await house.door.settled()
      const command = await house.command(device, 'go')
      await house.rest()
      await scene.speaks(device)
      assert.deepEqual(device.served, [])
      await house.house.registry.resume(id)
      await device.first('a', { number: scene.nextNumber })
      await house.becomes(command, 'delivered')
    })
  })

  for (const how of ['cleanly', 'after a crash'] as const) {
    it(`that was under way when the server began anew ${how} comes when the device speaks`, async () => {
      const device = await scene.asleep()
      const command = await house.command(device, 'go')
      await house.until(() => house.door.load.couriers === 1)
      await house.restart(how)
      assert.equal(await house.stateOf(command), 'queued')
      device.moveTo(device.address)
      await device.exchangeWithEcho(device.reading('a', { number: scene.nextNumber }))
      await house.becomes(command, 'delivered')
      assert.equal(device.served.length, 1)
    })
  }

  it('that was answered as the door closes is delivered when it opens again', async () => {
    const device = await scene.present()
    const command = await house.command(device, 'go')
    await house.until(() => device.served.length === 1)
    await house.restart('cleanly')
    assert.equal(await house.stateOf(command), 'delivered')
  })

  it('of another device is not answered by this one', async () => {
    const [one, other] = [await scene.present(), await scene.present()]
    const command = await house.command(one, 'go')
    await house.becomes(command, 'delivered')
    const options = [...uriPath('r', command.id), contentFormatOption(50)]
    const word = innerMessage({ code: coapCode.post, options, payload: utf8('1') })
    assert.equal((await other.exchange(word)).code, coapCode.notFound)
    assert.equal(await house.stateOf(command), 'delivered')
  })
})

function certificateIn({ identity }: NarrowDevice): { readonly fingerprint: string } {
  return { fingerprint: hex(nodeCrypto.hash('sha256', identity.leaf.der)) }
}
