/** A firmware: the narrow channel on whatever crypto, and nothing of the language's hosts. */
import { coapCode, uriPath, uriQuery } from '@countersign/core/coap'
import { isCountersignError } from '@countersign/core/errors'
import type { ChannelCrypto, Random, Timers } from '@countersign/core/ports'
import { NarrowSession, trustPinnedIssuer } from '@countersign/device/narrow'
import type { Firmware } from './bridge.ts'

const { board } = globalThis
export const random: Random = { bytes: (length) => board.random(length) }

/** What waits for the board, by number. */
class Waiting<Value> {
  readonly #waiting: Map<number, (value: Value) => void> = new Map()
  #next = 0

  add(resolve: (value: Value) => void): number {
    this.#waiting.set(++this.#next, resolve)
    return this.#next
  }

  take(number: number, value: Value): void {
    const resolve = this.#waiting.get(number)
    this.#waiting.delete(number)
    resolve?.(value)
  }

  forget(number: number): void {
    this.#waiting.delete(number)
  }
}

const alarms = new Waiting<undefined>()
const writes = new Waiting<undefined>()
const signatures = new Waiting<Uint8Array>()

const timers: Timers = {
  after(milliseconds, run) {
    const timer = alarms.add(run)
    board.after(timer, milliseconds)
    return {
      cancel() {
        alarms.forget(timer)
        board.cancel(timer)
      },
    }
  },
}

let session: NarrowSession | undefined

async function open(
  crypto: ChannelCrypto,
  leaf: Uint8Array,
  spki: Uint8Array,
  anchor: Uint8Array,
): Promise<void> {
  session = await NarrowSession.open({
    crypto,
    random,
    timers,
    clock: { now: () => board.now() },
    send: (datagram) => board.send(datagram),
    storage: {
      load: async () => board.load(),
      save: (record) =>
        new Promise((resolve) =>
          board.save(
            record,
            writes.add(() => resolve()),
          ),
        ),
    },
    credential: {
      leaf,
      signer: {
        scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' },
        spki,
        sign: (message) => new Promise((resolve) => board.sign(message, signatures.add(resolve))),
      },
    },
    trust: trustPinnedIssuer(crypto, anchor),
    async serve({ payload }) {
      board.served(payload)
      return { code: coapCode.changed, options: [], payload: new Uint8Array() }
    },
    fault: (error) => board.fault(String(error)),
  })
}

async function send(
  request: number,
  topic: string,
  number: number,
  payload: Uint8Array,
): Promise<void> {
  if (session === undefined) return board.failed(request, 'ERR_ASLEEP', 'it is not open')
  const options = [...uriPath('m', topic), ...uriQuery(`n=${number}`)]
  try {
    const { code } = await session.request({ code: coapCode.post, options, payload })
    board.answered(request, code)
  } catch (error) {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    board.failed(request, code, String(error))
  }
}

export function firmwareOn(crypto: ChannelCrypto): Firmware {
  return {
    open: (...given) => told(open(crypto, ...given)),
    receive: (datagram) => session?.receive(datagram),
    ring: (timer) => alarms.take(timer, undefined),
    saved: (write) => writes.take(write, undefined),
    signed: (work, signature) => signatures.take(work, signature),
    send: (...given) => told(send(...given)),
    sleep: () => told(session?.sleep()),
    wake: () => session?.wake(),
  }
}

function told(work: Promise<void> | undefined): void {
  work?.catch((error: unknown) => board.fault(String(error)))
}
