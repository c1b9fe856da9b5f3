/** A context ends with the server's certificate, whatever is answered on it; and it is replaced on a schedule. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { coapCode, optionNumber, parseMessage } from '@countersign/core/coap'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type NarrowParts, readNarrowFacts } from '../../src/portable/narrow/index.ts'
import type { Leaf } from './pki.ts'
import {
  certificates,
  type Device,
  makeScene,
  reading,
  type Scene,
  serverAddress,
  serverCredentials,
} from './scene.ts'

const hour = 3_600_000
const day = 24 * hour
const { ca } = certificates
/** A board without a date: ticks, and the date of its firmware. */
const clockless: Partial<NarrowParts> = { hasClock: false, timeFloor: Date.UTC(2025, 5, 1) }
const expired = { code: 'ERR_CERT_EXPIRED' }

async function shortLived({ time, server }: Scene): Promise<Leaf> {
  const leaf = await ca.issue('server', 'serverEdhocSign', { notAfter: time.now() + hour })
  server.signs = leaf
  return leaf
}

/** The first reading is there. */
async function met(scene: Scene, given: Partial<NarrowParts> = {}): Promise<Device> {
  const device = await scene.device(given)
  await scene.time.until(device.session.request(reading(1)))
  assert.equal(scene.server.stored.size, 1)
  return device
}

/** EDHOC does not come through: what is longer than a reading on a context. */
function withoutEdhoc({ network }: Scene): void {
  network.through((datagram, from, to) => {
    if (datagram.length < 100) network.carry(datagram, from, to)
  })
}

/** The same device, 400 days later. */
const later: readonly (readonly [
  string,
  (scene: Scene, device: Device, given: Partial<NarrowParts>) => Promise<Device>,
])[] = [
  [
    'stayed awake',
    async ({ time }, device) => {
      await time.advance(400 * day)
      return device
    },
  ],
  [
    'slept',
    async ({ time }, device) => {
      await device.session.sleep()
      await time.advance(400 * day)
      device.session.wake()
      return device
    },
  ],
  [
    'was off',
    async ({ time, device }, { cut, storage }, given) => {
      cut()
      await time.advance(400 * day)
      return await device(given, storage)
    },
  ],
]

describe('a server whose certificate has ended, and that goes on answering', () => {
  for (const [what, pass] of later) {
    test(`gets nothing more of a device that ${what}`, async () => {
      const scene = makeScene()
      const { time, server } = scene
      await shortLived(scene)
      const before = await met(scene)
      await time.advance(hour / 2)
      await time.until(before.session.request(reading(2)))
      assert.equal(server.counts.message3, 1)
      const { session } = await pass(scene, before, {})
      for (const number of [3, 4]) {
        await assert.rejects(time.until(session.request(reading(number))), expired)
        await time.advance(2 * hour)
      }
      assert.equal(server.stored.size, 2)
      assert.equal(server.counts.message3, 1)
    })
  }

  for (const [what, pass] of later.slice(0, 2)) {
    test(`gets nothing more of a device without a clock that ${what} and counted`, async () => {
      const scene = makeScene()
      const { time, server } = scene
      await shortLived(scene)
      // What it says of the time is a lie: none has passed.
      const said = time.now()
      const { answer } = server
      server.answer = (request) => {
        const { options, code, payload } = answer(request)
        const told = payload.length === 0 ? payload : secondsOf(said)
        return { options, code, payload: told }
      }
      const { session } = await pass(scene, await met(scene, clockless), clockless)
      await assert.rejects(time.until(session.request(reading(2))), expired)
      assert.equal(server.stored.size, 1)
    })
  }

  test('sends a device commands and certificates in vain', async () => {
    const scene = makeScene()
    const { time, server } = scene
    await shortLived(scene)
    const { session, served, storage } = await met(scene)
    assert.equal((await time.until(server.ask({ path: ['c', 'x'] }))).code, coapCode.changed)
    await time.advance(hour + 1_000)
    const next = await ca.issue('server', 'serverEdhocSign')
    for (const asked of [
      { path: ['c', 'x'] },
      { path: ['k'], queries: ['kid=07'], payload: next.der },
    ]) {
      await assert.rejects(time.until(server.ask(asked)), { code: 'ERR_COAP_TIMEOUT' })
    }
    assert.equal(served.length, 1)
    assert.equal(serverCredentials(storage).length, 1)
    await session.sleep()
  })

  test('is not sent message_3 again by a device that waited for its answer', async () => {
    const scene = makeScene()
    const { time, server, network, device } = scene
    await shortLived(scene)
    const { session } = await device()
    network.through((datagram, from, to) => {
      const isOscore = parseMessage(datagram).options.some(
        ({ number }) => number === optionNumber.oscore,
      )
      if (from !== serverAddress || !isOscore) network.carry(datagram, from, to)
    })
    await assert.rejects(time.until(session.request(reading(1))), { code: 'ERR_NARROW_TIMEOUT' })
    network.through(undefined)
    await time.advance(2 * hour)
    await assert.rejects(time.until(session.request(reading(2))), expired)
    assert.equal(server.counts.message3, 1)
    assert.deepEqual([...server.stored.keys()], ['m/room?n=1'])
  })
})

test('the end is the earliest of the chain, and stands in the record', async () => {
  const scene = makeScene()
  scene.server.signs = await ca.issue('server', 'serverEdhocSign', {
    notAfter: Date.UTC(2045, 0, 1),
  })
  const { storage } = await met(scene)
  const { context } = readNarrowFacts(nodeCrypto, storage.bytes ?? new Uint8Array())
  // Of the CA.
  assert.equal(context?.until, Date.UTC(2035, 0, 1))
})

test('after the end a server with its next certificate gets the reading, under new keys alone', async () => {
  const scene = makeScene()
  const { time, server, witness, network } = scene
  await shortLived(scene)
  const { session, storage } = await met(scene)
  server.signs = await ca.issue('server', 'serverEdhocSign')
  await time.advance(2 * hour)
  withoutEdhoc(scene)
  await assert.rejects(time.until(session.request(reading(2))), { code: 'ERR_NARROW_TIMEOUT' })
  assert.equal(server.stored.size, 1)
  // Not in a later life either, of a clock that was set back.
  assert.equal(readNarrowFacts(nodeCrypto, storage.bytes ?? new Uint8Array()).context, undefined)
  network.through(undefined)
  await time.advance(2 * hour)
  await time.until(session.request(reading(2)))
  assert.equal(server.counts.message3, 2)
  assert.deepEqual(server.requests, ['m/room?n=1', 'm/room?n=2'])
  assert.deepEqual(witness.reused, [])
})

test('a long reading that is half sent when the certificate ends goes on under new keys', async () => {
  const scene = makeScene()
  const { time, server } = scene
  await shortLived(scene)
  let sinceMs = 0
  const { session } = await met(scene, { clock: { now: () => time.now() + sinceMs } })
  const next = await ca.issue('server', 'serverEdhocSign')
  const on: number[] = []
  server.answer = ({ options }) => {
    const block = options.find(({ number }) => number === optionNumber.block1)
    on.push(server.counts.message3)
    if (on.length === 2) {
      server.signs = next
      sinceMs = 2 * hour
    }
    const isLast = ((block?.value.at(-1) ?? 0) & 8) === 0
    const code = isLast ? coapCode.changed : coapCode.continue
    return { code, options: block === undefined ? [] : [block], payload: new Uint8Array() }
  }
  const { code } = await time.until(session.request(reading(2, 'z'.repeat(4096))))
  assert.equal(code, coapCode.changed)
  assert.deepEqual(on, [1, 1, 2, 2, 2, 2])
})

async function aYearLater(scene: Scene, { cut, storage }: Device): Promise<Device> {
  cut()
  await scene.time.advance(400 * day)
  return await scene.device(clockless, storage)
}

describe('a device without a clock that was off cannot know that a certificate has ended', () => {
  test('it ends the context as soon as it hears the time, between two certificates that it has', async () => {
    const scene = makeScene()
    const { time, server } = scene
    await shortLived(scene)
    const before = await met(scene, clockless)
    const next = await ca.issue('server', 'serverEdhocSign')
    const push = { path: ['k'], queries: ['kid=07'], payload: next.der }
    const asksEcho = await time.until(server.ask(push))
    const options = asksEcho.options.filter(({ number }) => number === optionNumber.echo)
    assert.equal((await time.until(server.ask({ ...push, options }))).code, coapCode.changed)
    const { session } = await aYearLater(scene, before)
    await time.until(session.request(reading(2)))
    assert.equal(server.counts.message3, 1)
    await assert.rejects(time.until(session.request(reading(3))), expired)
    assert.equal(server.stored.size, 2)
    server.signs = next
    await time.advance(hour)
    await time.until(session.request(reading(3)))
    assert.equal(server.counts.message3, 2)
  })

  test('a time past all that it has ends the context, for later lives too, and is not believed', async () => {
    const scene = makeScene()
    const { time, server } = scene
    await shortLived(scene)
    const { session, cut, storage } = await aYearLater(scene, await met(scene, clockless))
    await time.until(session.request(reading(2)))
    assert.ok(session.time.now() < time.now() - 300 * day)
    cut()
    server.signs = await ca.issue('server', 'serverEdhocSign')
    const { session: last } = await scene.device(clockless, storage)
    await time.until(last.request(reading(3)))
    assert.equal(server.counts.message3, 2)
    assert.ok(Math.abs(last.time.now() - time.now()) < 2_000)
  })
})

describe('new keys on a schedule', () => {
  test('a context is replaced after seven days, and serves until the new one has come through', async () => {
    const scene = makeScene()
    const { time, server, network, witness } = scene
    const { session } = await met(scene)
    await time.advance(7 * day - hour)
    await time.until(session.request(reading(2)))
    assert.equal(server.counts.message3, 1)
    await time.advance(hour)
    withoutEdhoc(scene)
    await time.until(session.request(reading(3)))
    assert.equal(server.counts.message3, 1)
    network.through(undefined)
    await time.advance(hour)
    await time.until(session.request(reading(4)))
    await time.until(session.request(reading(5)))
    assert.equal(server.counts.message3, 2)
    assert.equal(server.requests.length, 5)
    assert.deepEqual(witness.reused, [])
  })

  test('the time between is the device maker’s, and goes on while the device is off', async () => {
    const scene = makeScene()
    const { time, server, device } = scene
    const given = { limits: { rekeyAfterMs: hour } }
    const { cut, storage } = await met(scene, given)
    cut()
    await time.advance(hour)
    const { session } = await device(given, storage)
    await time.until(session.request(reading(2)))
    assert.equal(server.counts.message3, 2)
  })

  test('a device without a clock counts from when it heard the time, in this life and the next', async () => {
    const scene = makeScene()
    const { time, server, device } = scene
    const { session, cut, storage } = await met(scene, clockless)
    // That it is months later than it thought is no age of its keys.
    await time.until(session.request(reading(2)))
    cut()
    const next = await device(clockless, storage)
    await time.until(next.session.request(reading(3)))
    await time.until(next.session.request(reading(4)))
    assert.equal(server.counts.message3, 1)
    await session.sleep()
    await time.advance(7 * day)
    await time.until(next.session.request(reading(5)))
    assert.equal(server.counts.message3, 2)
  })

  test('a device without a clock that was off for a week learns it with one reading', async () => {
    const scene = makeScene()
    const { time, server, device } = scene
    const { cut, storage } = await met(scene, clockless)
    cut()
    await time.advance(8 * day)
    const { session } = await device(clockless, storage)
    await time.until(session.request(reading(2)))
    assert.equal(server.counts.message3, 1)
    await time.until(session.request(reading(3)))
    assert.equal(server.counts.message3, 2)
  })
})

/** CBOR of seconds since 1970, by hand. */
function secondsOf(time: number): Uint8Array {
  const bytes = new Uint8Array(5)
  bytes[0] = 0x1a
  new DataView(bytes.buffer).setUint32(1, Math.floor(time / 1000))
  return bytes
}
