/** The server says, under OSCORE, that it wants new keys: they are made while the old ones serve. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coapCode, optionNumber } from '@countersign/core/coap'
import { fromHex } from '@countersign/core/codec'
import { type Device, makeScene, reading, type Scene } from './scene.ts'

const minute = 60_000
/** CBOR of 2026-01-01T00:00:00Z. */
const seconds = '1a6955b900'

/** What the server answers from now on, beside doing what it was asked for. */
function answers({ server }: Scene, payload: string, code: number, format: number): void {
  const { answer } = server
  server.answer = (request) => {
    answer(request)
    const options = [{ number: optionNumber.contentFormat, value: Uint8Array.of(format) }]
    return { code, options, payload: fromHex(payload) }
  }
}

async function met(scene: Scene): Promise<Device> {
  const device = await scene.device()
  await scene.time.until(device.session.request(reading(1)))
  await scene.time.advance(minute)
  return device
}

const cases: readonly (readonly [string, string, number, number, boolean])[] = [
  ['an array of nothing', '80', coapCode.changed, 60, true],
  ['the time in an array', `81${seconds}`, coapCode.changed, 60, true],
  ['the time', seconds, coapCode.changed, 60, false],
  ['an array of true', '81f5', coapCode.changed, 60, false],
  ['an array of two', `82${seconds}00`, coapCode.changed, 60, false],
  ['an array and more', '8000', coapCode.changed, 60, false],
  ['nothing', '', coapCode.changed, 60, false],
  ['another format', '80', coapCode.changed, 42, false],
  ['a refusal', '80', coapCode.badRequest, 60, false],
]

for (const [what, payload, code, format, isWanted] of cases) {
  test(`${what} in an answer ${isWanted ? 'asks' : 'does not ask'} for new keys`, async () => {
    const scene = makeScene()
    const { time, server } = scene
    const { session } = await met(scene)
    const { answer } = server
    answers(scene, payload, code, format)
    assert.equal((await time.until(session.request(reading(2)))).code, code)
    server.answer = answer
    await time.until(session.request(reading(3)))
    await time.until(session.request(reading(4)))
    assert.equal(server.counts.message3, isWanted ? 2 : 1)
    assert.equal(server.stored.size, 4)
  })
}

test('until the new keys have come through the old ones serve, in the next life too', async () => {
  const scene = makeScene()
  const { time, server, network, witness, device } = scene
  const { session, storage, cut } = await met(scene)
  const { answer } = server
  answers(scene, '80', coapCode.changed, 60)
  await time.until(session.request(reading(2)))
  server.answer = answer
  network.through((datagram, from, to) => {
    if (datagram.length < 100) network.carry(datagram, from, to)
  })
  await time.until(session.request(reading(3)))
  assert.equal(server.counts.message3, 1)
  cut()
  network.through(undefined)
  await time.advance(minute)
  const next = await device({}, storage)
  await time.until(next.session.request(reading(4)))
  assert.equal(server.counts.message3, 2)
  assert.equal(server.requests.length, 4)
  assert.deepEqual(witness.reused, [])
})

test('a server that wants new keys in every answer gets as many as the budget of the day has', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const { session } = await device({ limits: { handshakesPerDayMax: 3 } })
  answers(scene, '80', coapCode.changed, 60)
  for (let number = 1; number <= 6; number++) {
    await time.until(session.request(reading(number)))
    await time.advance(minute)
  }
  assert.equal(server.stored.size, 6)
  assert.equal(server.counts.message3, 3)
})
