/** A board in the world of a scene: its engine, its flash, its timers, the element of its key. */
import { utf8 } from '@countersign/core/codec'
import { seeded, seededRandom } from '@countersign/testbed'
import { coseSigner } from '../pki.ts'
import { certificates, deviceAddress, type Scene, serverAddress } from '../scene.ts'
import type { Board, Firmware } from './bridge.ts'
import { type Engine, powerOn } from './engine.ts'

const { ca, deviceLeaf } = certificates

export interface Powered {
  readonly firmware: Firmware
  /** The code of the response, or the failure. */
  send(number: number, text: string): Promise<number | string>
  readonly served: string[]
  readonly faults: string[]
  readonly flash: { record: Uint8Array | undefined; writes: number }
  powerOff(): void
}

export async function boardOf(
  scene: Scene,
  code: Uint8Array,
  flash: Powered['flash'],
  memoryLimit: number,
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
