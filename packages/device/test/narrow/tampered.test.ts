/** What comes to the device is changed, cut, taken from elsewhere or sent again on the way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { edhocContentFormat } from '@countersign/core/channel'
import {
  type CoapMessage,
  coapCode,
  optionNumber,
  parseMessage,
  encodeMessage,
} from '@countersign/core/coap'
import { hex, utf8 } from '@countersign/core/codec'
import { isCountersignError } from '@countersign/core/errors'
import {
  type Device,
  deviceAddress,
  makeScene,
  reading,
  type Scene,
  serverAddress,
  warmStorage,
} from './scene.ts'

const limits = { handshakesPerDayMax: 1_000_000 }

/** How many: each bit turned over, then each length. */
function changesOf({ length }: Uint8Array): number {
  return length * 9
}

function changed(bytes: Uint8Array, change: number): Uint8Array {
  const length = change - bytes.length * 8
  if (length >= 0) return bytes.slice(0, length)
  const turned = bytes.slice()
  turned[change >> 3] = (turned[change >> 3] ?? 0) ^ (1 << (change & 7))
  return turned
}

function isMessage2({ options, payload, code }: CoapMessage): boolean {
  const format = options.find(({ number }) => number === optionNumber.contentFormat)?.value
  return (
    code === coapCode.changed && payload.length > 0 && format?.[0] === edhocContentFormat.message
  )
}

/** The payload of what is found in this way is another one. */
function exchange(
  { network }: Scene,
  isMeant: (message: CoapMessage) => boolean,
  change: (payload: Uint8Array) => Uint8Array,
): void {
  network.through((datagram, from, to) => {
    const message = parseMessage(datagram)
    if (from !== serverAddress || !isMeant(message)) {
      network.carry(datagram, from, to)
      return
    }
    network.carry(encodeMessage({ ...message, payload: change(message.payload) }), from, to)
  })
}

async function attempt(scene: Scene, device: Device): Promise<string> {
  try {
    const { code } = await scene.time.until(device.session.request(reading(1)))
    return String(code)
  } catch (error) {
    assert.ok(isCountersignError(error), String(error))
    return error.code
  } finally {
    device.cut()
  }
}

test('no bit and no length of message_2 can be changed', async () => {
  const scene = makeScene()
  const { server, network } = scene
  const warm = await warmStorage(scene)
  let message2: Uint8Array = new Uint8Array()
  exchange(scene, isMessage2, (payload) => (message2 = payload))
  assert.equal(await attempt(scene, await scene.device({}, warm())), String(coapCode.changed))
  const ends = new Map<string, number>()
  for (let change = 0; change < changesOf(message2); change++) {
    server.stored.clear()
    const before = server.counts.message3
    const device = await scene.device({}, warm())
    exchange(scene, isMessage2, (payload) => changed(payload, change))
    const end = await attempt(scene, device)
    ends.set(end, (ends.get(end) ?? 0) + 1)
    assert.equal(server.counts.message3, before, `change ${change} ended with ${end}`)
    assert.equal(server.stored.size, 0)
    assert.deepEqual(device.faults, [])
  }
  network.through(undefined)
  assert.ok(message2.length > 100)
  assert.ok(!ends.has(String(coapCode.changed)), JSON.stringify([...ends]))
})

test('message_2 of another handshake, and of another server, is not taken', async () => {
  const scene = makeScene()
  const warm = await warmStorage(scene)
  let first: Uint8Array | undefined
  exchange(scene, isMessage2, (payload) => (first = payload))
  await attempt(scene, await scene.device({}, warm()))
  const other = makeScene(9)
  let strange: Uint8Array | undefined
  exchange(other, isMessage2, (payload) => (strange = payload))
  await attempt(other, await other.device({}, (await warmStorage(other))()))
  for (const message2 of [first, strange]) {
    const before = scene.server.counts.message3
    const device = await scene.device({}, warm())
    exchange(scene, isMessage2, () => message2 ?? assert.fail('there was none'))
    assert.match(await attempt(scene, device), /^ERR_(EDHOC|CBOR|COSE)_/)
    assert.equal(scene.server.counts.message3, before)
  }
})

test('C_R that becomes C_I on the way is refused, before any proof is looked at', async () => {
  // CIPHERTEXT_2 is a keystream (RFC 9528 §5.3.2), and C_R is the first byte under it.
  const scene = makeScene()
  const warm = await warmStorage(scene)
  scene.server.drawIdentifier = ([cI = 0]) => Uint8Array.of(cI ^ 1)
  exchange(scene, isMessage2, (payload) => {
    // 58 and a length, 32 bytes of G_Y.
    return changed(payload, 34 * 8)
  })
  const { session } = await scene.device({}, warm())
  await assert.rejects(scene.time.until(session.request(reading(1))), {
    code: 'ERR_EDHOC_MESSAGE',
    message: /C_R is the same as C_I/,
  })
  assert.equal(scene.server.counts.message3, 1)
})

test('no bit and no length of a response can be changed: the true one is taken after them all', async () => {
  const scene = makeScene()
  const { time, server, network } = scene
  const { session, faults } = await scene.device()
  await time.until(session.request(reading(1)))
  let changes = 0
  let isDone = false
  network.through((datagram, from, to) => {
    if (from === serverAddress && !isDone) {
      isDone = true
      while (changes < changesOf(datagram)) network.carry(changed(datagram, changes++), from, to)
    }
    network.carry(datagram, from, to)
  })
  server.answer = () => ({ code: coapCode.changed, options: [], payload: utf8('the true one') })
  const response = await time.until(session.request(reading(2)))
  assert.equal(Buffer.from(response.payload).toString(), 'the true one')
  assert.ok(changes > 200)
  assert.equal(server.counts.message3, 1)
  assert.deepEqual(faults, [])
})

test('the response to one request is none to another, and the device answers no reflection', async () => {
  const scene = makeScene()
  const { time, server, network } = scene
  const { session, served, faults } = await scene.device()
  await time.until(session.request(reading(1)))
  const responses: Uint8Array[] = []
  const requests: Uint8Array[] = []
  network.observe(({ act, datagram, from }) => {
    if (act === 'sent') (from === serverAddress ? responses : requests).push(datagram)
  })
  server.answer = (request) => ({ code: coapCode.changed, options: [], payload: request.payload })
  await time.until(session.request(reading(2)))
  network.through((datagram, from, to) => {
    if (to === serverAddress) {
      // Its own words come back, and an answer of before under the token of now.
      network.carry(datagram, serverAddress, deviceAddress)
      const [old] = responses
      const { token, messageId } = parseMessage(datagram)
      if (old !== undefined) {
        const moved = encodeMessage({ ...parseMessage(old), token, messageId })
        network.carry(moved, serverAddress, deviceAddress)
      }
      for (const request of requests) network.carry(request, serverAddress, deviceAddress)
    }
    network.carry(datagram, from, to)
  })
  const response = await time.until(session.request(reading(3)))
  assert.equal(hex(response.payload), hex(utf8('reading 3')))
  await time.advance(60_000)
  assert.deepEqual(served, [])
  assert.deepEqual(faults, [])
  assert.equal(server.counts.message3, 1)
})

test('message_4 is demanded, and one that was changed confirms nothing', async () => {
  const scene = makeScene()
  const { time, server, network } = scene
  const warm = await warmStorage(scene)
  const device = await scene.device({ demandMessage4: true, limits }, warm())
  let seen = 0
  network.through((datagram, from, to) => {
    const message = parseMessage(datagram)
    if (from === serverAddress && isMessage2(message) && seen++ > 0) {
      const { payload } = message
      for (let change = 0; change < changesOf(payload); change++) {
        network.carry(encodeMessage({ ...message, payload: changed(payload, change) }), from, to)
      }
      return
    }
    network.carry(datagram, from, to)
  })
  const asked = device.session.request(reading(1))
  await assert.rejects(time.until(asked), { code: /^ERR_NARROW_/ })
  assert.equal(server.stored.size, 1)
  network.through(undefined)
  await time.advance(3_600_000)
  const { code } = await time.until(device.session.request(reading(2)))
  assert.equal(code, coapCode.changed)
  assert.deepEqual([...server.stored.keys()], ['m/room?n=0', 'm/room?n=2'])
})
