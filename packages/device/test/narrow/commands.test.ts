/** Requests of the server to the device. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  blockIn,
  type CoapMessage,
  coapCode,
  optionNumber,
  parseMessage,
} from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import type { NarrowParts } from '../../src/portable/narrow/index.ts'
import { deviceAddress, makeScene, reading, response, type Scene, serverAddress } from './scene.ts'

const command = { path: ['c', 'open'], payload: utf8('{"id":"1"}') }

/** Of the firmware: a device without a clock knows that it is later than that. */
const madeAt = Date.UTC(2025, 5, 1)

/** Requests of the server to the device, as they went by. */
function heard({ network }: Scene): Uint8Array[] {
  const datagrams: Uint8Array[] = []
  network.observe(({ act, datagram, from }) => {
    if (act !== 'sent' || from !== serverAddress) return
    if (parseMessage(datagram).code >> 5 === 0) datagrams.push(datagram)
  })
  return datagrams
}

test('a command is verified, served once, and answered under OSCORE', async () => {
  const scene = makeScene()
  const { time, server, network, device } = scene
  const { session, served, faults } = await device()
  await time.until(session.request(reading(1)))
  const requests = heard(scene)
  const answer = await time.until(server.ask(command))
  assert.equal(answer.code, coapCode.changed)
  assert.deepEqual(
    served.map(({ payload }) => Buffer.from(payload).toString()),
    ['{"id":"1"}'],
  )
  const [request] = requests
  assert.ok(request)
  for (let count = 0; count < 1000; count++) network.carry(request, serverAddress, deviceAddress)
  await time.advance(600_000)
  assert.equal(served.length, 1)
  assert.deepEqual(faults, [])
})

test('no bit and no length of a command can be changed', async () => {
  const scene = makeScene()
  const { time, server, network, device } = scene
  const { session, served, faults } = await device()
  await time.until(session.request(reading(1)))
  let count = 0
  network.through((datagram, from, to) => {
    if (from === serverAddress) {
      for (let bit = 0; bit < datagram.length * 8; bit++, count++) {
        const turned = Uint8Array.from(datagram)
        turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        network.carry(turned, from, to)
      }
      for (let length = 0; length < datagram.length; length++, count++) {
        network.carry(datagram.subarray(0, length), from, to)
      }
    }
    network.carry(datagram, from, to)
  })
  await time.until(server.ask(command))
  await time.advance(600_000)
  assert.ok(count > 300)
  // A Message ID or a token that was changed carries the same words, and they are taken once.
  assert.equal(served.length, 1)
  assert.deepEqual(faults, [])
})

test('a command that was recorded is not taken again after a power cut', async () => {
  const scene = makeScene()
  const { time, server, network, witness, device } = scene
  const first = await device()
  await time.until(first.session.request(reading(1)))
  const requests = heard(scene)
  await time.until(server.ask(command))
  assert.equal(first.served.length, 1)
  first.cut()
  const second = await device({}, first.storage)
  for (const request of requests) network.carry(request, serverAddress, deviceAddress)
  await time.advance(600_000)
  assert.deepEqual(second.served, [])
  // A new one is.
  await time.until(second.session.request(reading(2)))
  await time.until(server.ask(command))
  assert.equal(second.served.length, 1)
  assert.deepEqual(witness.reused, [])
})

test('a command whose window could not be stored is not run, and not answered', async () => {
  const { time, server, device } = makeScene()
  const { session, storage, served, faults } = await device()
  await time.until(session.request(reading(1)))
  storage.hook = async () => {
    throw new Error('the flash is worn out')
  }
  await assert.rejects(time.until(server.ask(command)), { code: 'ERR_COAP_TIMEOUT' })
  assert.deepEqual(served, [])
  assert.ok(faults.length > 0)
})

async function broken(): Promise<never> {
  throw new Error('no such relay')
}

test('a handler that fails is a fault of the device, and the server is told so', async () => {
  const { time, server, device } = makeScene()
  const { session, faults } = await device({ serve: broken })
  await time.until(session.request(reading(1)))
  const { code, payload } = await time.until(server.ask(command))
  assert.equal(code, coapCode.internalServerError)
  assert.equal(payload.length, 0)
  assert.equal(faults.length, 1)
})

test('a critical option that is not known is refused, and nothing runs', async () => {
  const { time, server, device } = makeScene()
  const { session, served } = await device()
  await time.until(session.request(reading(1)))
  const options = [{ number: 2049, value: new Uint8Array() }]
  const { code } = await time.until(server.ask({ ...command, options }))
  assert.equal(code, coapCode.badOption)
  assert.deepEqual(served, [])
})

test('a device without a clock acts on a command when the server has shown that it is new', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const { session, served } = await device({ hasClock: false, timeFloor: madeAt })
  await time.until(session.request(reading(1)))
  const challenge = await time.until(server.ask(command))
  assert.equal(challenge.code, coapCode.unauthorized)
  assert.deepEqual(served, [])
  const echo = challenge.options.filter(({ number }) => number === optionNumber.echo)
  assert.equal(echo.length, 1)
  const { code } = await time.until(server.ask({ ...command, options: echo }))
  assert.equal(code, coapCode.changed)
  assert.equal(served.length, 1)
})

test('a late command: what was held back on the way to a device without a clock is asked about first', async () => {
  const scene = makeScene()
  const { time, server, network, device } = scene
  const { session, served } = await device({ hasClock: false, timeFloor: madeAt })
  await time.until(session.request(reading(1)))
  const held: Uint8Array[] = []
  network.through((datagram, from, to) => {
    const isCommand = from === serverAddress && parseMessage(datagram).code >> 5 === 0
    if (isCommand) held.push(datagram)
    else network.carry(datagram, from, to)
  })
  const asked = server.ask(command)
  await assert.rejects(time.until(asked), { code: 'ERR_COAP_TIMEOUT' })
  network.through(undefined)
  await time.advance(86_400_000)
  for (const one of held) network.carry(one, serverAddress, deviceAddress)
  await time.advance(60_000)
  assert.ok(held.length > 1)
  assert.deepEqual(served, [])
})

test('a command of 16 KiB comes in blocks, and its answer goes in blocks', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const long = utf8('y'.repeat(16_384))
  const asked: CoapMessage[] = []
  const serve: NarrowParts['serve'] = async (request) => {
    asked.push(request)
    return response(coapCode.changed, long)
  }
  const { session } = await device({ serve })
  await time.until(session.request(reading(1)))
  const answer = await time.until(server.askInBlocks({ ...command, payload: long }))
  assert.equal(answer.code, coapCode.changed)
  assert.equal(answer.payload.length, long.length)
  assert.equal(asked.length, 1)
  assert.equal(asked[0]?.payload.length, long.length)
  assert.equal(asked[0] && blockIn(asked[0], 'block1'), undefined)
})
