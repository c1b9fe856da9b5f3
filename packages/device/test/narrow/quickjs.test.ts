/**
 * The narrow channel in an engine for small devices: the language and nothing else, a heap with an
 * enforced limit, all crypto in JavaScript. The key, the storage and the datagrams are the board's.
 */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { seeded, seededRandom } from '@countersign/testbed'
import { coseSigner } from './pki.ts'
import type { Board, Firmware } from './quickjs/bridge.ts'
import { type Engine, firmwareCode, powerOn } from './quickjs/engine.ts'
import { certificates, deviceAddress, makeScene, type Scene, serverAddress } from './scene.ts'

/** Bytes, of which the tables of AES are 655 kB. */
const memoryLimit = 4_000_000

const { ca, deviceLeaf } = certificates

interface Powered {
  readonly firmware: Firmware
  /** The code of the response, or the failure. */
  send(number: number, text: string): Promise<number | string>
  readonly served: string[]
  readonly faults: string[]
  readonly flash: { record: Uint8Array | undefined; writes: number }
  powerOff(): void
}

suite('the narrow channel in a small engine', () => {
  let code: Uint8Array = new Uint8Array()
  before(async () => {
    code = await firmwareCode()
  })

  test('it meets its server, sends, is commanded, sleeps, and goes on after its power was cut', async () => {
    const scene = makeScene()
    const { server, time } = scene
    const flash: Powered['flash'] = { record: undefined, writes: 0 }
    const first = await boardOf(scene, code, flash)
    assert.equal(await first.send(1, 'warm'), coapCode.changed)
    assert.equal(await first.send(2, 'warmer'), coapCode.changed)
    await time.until(server.ask({ path: ['c', 'open'], payload: utf8('now') }))
    assert.deepEqual(first.served, ['now'])
    first.firmware.sleep()
    await time.advance(86_400_000)
    first.firmware.wake()
    await time.advance(0)
    assert.equal(await first.send(3, 'hot'), coapCode.changed)
    first.powerOff()
    const second = await boardOf(scene, code, flash)
    assert.equal(await second.send(4, 'cold'), coapCode.changed)
    assert.equal(server.counts.message3, 1)
    assert.equal(server.stored.size, 4)
    assert.deepEqual([...first.faults, ...second.faults], [])
    second.powerOff()
  })

  test('it tells nothing to a server of another anchor', async () => {
    const scene = makeScene()
    const board = await boardOf(scene, code, { record: undefined, writes: 0 }, new Uint8Array(32))
    assert.equal(await board.send(1, 'secret'), 'ERR_ANCHOR_MISMATCH')
    assert.equal(scene.server.counts.message3, 0)
    board.powerOff()
  })
})

async function boardOf(
  scene: Scene,
  code: Uint8Array,
  flash: Powered['flash'],
  anchor: Uint8Array = ca.anchor,
): Promise<Powered> {
  const { time, network } = scene
  const life = time.life()
  const random = seededRandom(seeded(flash.writes + 1))
  const signer = coseSigner(deviceLeaf.key)
  const alarms = new Map<number, { cancel(): void }>()
  const requests = new Map<number, (came: number | string) => void>()
  const served: string[] = []
  const faults: string[] = []
  let engine: Engine | undefined
  // What the program asked for is answered after it has returned.
  const later = (act: (firmware: Firmware) => void): void => {
    life.after(0, () => engine && act(engine.firmware))
  }
  const end = (request: number, came: number | string): void => {
    requests.get(request)?.(came)
    requests.delete(request)
  }
  const board: Board = {
    now: () => time.now(),
    random: (length) => random.bytes(length),
    after(timer, milliseconds) {
      const ring = (): void => {
        alarms.delete(timer)
        engine?.firmware.ring(timer)
      }
      alarms.set(timer, life.after(milliseconds, ring))
    },
    cancel(timer) {
      alarms.get(timer)?.cancel()
      alarms.delete(timer)
    },
    send: (datagram) => link.send(datagram, serverAddress),
    load: () => flash.record,
    save(record, write) {
      flash.record = record
      flash.writes++
      later((firmware) => firmware.saved(write))
    },
    sign(message, work) {
      void signer
        .sign(message)
        .then((signature) => later((firmware) => firmware.signed(work, signature)))
    },
    answered: end,
    failed: (request, failure) => end(request, failure),
    served: (payload) => void served.push(Buffer.from(payload).toString()),
    fault: (words) => void faults.push(words),
  }
  const link = network.open(deviceAddress, (datagram) => engine?.firmware.receive(datagram))
  engine = await powerOn(code, board, memoryLimit)
  const { firmware } = engine
  firmware.open(deviceLeaf.der, signer.spki, anchor)
  return {
    firmware,
    served,
    faults,
    flash,
    send(number, text) {
      const { promise, resolve } = Promise.withResolvers<number | string>()
      requests.set(number, resolve)
      firmware.send(number, 'room', number, utf8(text))
      return time.until(promise)
    },
    powerOff() {
      life.end()
      link.close()
      engine?.[Symbol.dispose]()
      engine = undefined
    },
  }
}
