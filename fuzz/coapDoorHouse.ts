/**
 * The server's coap door as the fuzzer meets it, and what must hold whatever comes: no fault of ours in
 * the log, nothing stored for whoever has not shown a key, strangers get three times what they sent at
 * most, and what is held stays small.
 */
import { encodeContinued } from '@countersign/core/channel'
import { coapCode, encodeMessage, optionNumber, uriPath } from '@countersign/core/coap'
import { PeerError } from '@countersign/core/errors'
import { type SecurityContext, oscoreOptionOf } from '@countersign/core/oscore'
import { additionalData, nonceOf } from '../packages/core/src/oscore/derivation.ts'
import type { NarrowDevice } from '../packages/server/test/frontend/coap/device.ts'
import { CoapHouse } from '../packages/server/test/frontend/coap/house.ts'

const stranger = '203.0.113.1:1'
const plenty = 1e9
const all = { perSecond: plenty, burst: plenty }
/** Exchanges are forgotten after some minutes, certificates end after some weeks. */
const betweenMs = 5000

export class DoorHouse {
  readonly #house: CoapHouse
  readonly #device: NarrowDevice
  readonly #context: SecurityContext
  #stored = 0
  #messageId = 0

  private constructor(house: CoapHouse, device: NarrowDevice, context: SecurityContext) {
    this.#house = house
    this.#device = device
    this.#context = context
    house.house.notices.listen(({ kind }) => {
      if (kind === 'messages') this.#stored++
    })
  }

  static async open(): Promise<DoorHouse> {
    const house = await CoapHouse.create({
      limits: {
        handshakesPerAddressPerSecond: plenty,
        handshakesPerAddressBurst: plenty,
        halfOpenUnprovenPerAddressMax: plenty,
        strangerAnswersPerAddress: all,
        strangerAnswers: all,
      },
    })
    const device = await house.device()
    await device.first('a', { number: 0 })
    while (!(await hasNews(house))) await house.idle()
    const { context } = device
    if (context === undefined) throw new Error('no context')
    return new DoorHouse(house, device, context)
  }

  /** Datagrams of nobody. */
  async strangers(datagrams: readonly Uint8Array[]): Promise<void> {
    await this.#turn(0, async () => {
      for (const datagram of datagrams) {
        const answers = await this.#house.inject(datagram, stranger)
        const bytes = answers.reduce((sum, { length }) => sum + length, 0)
        must(bytes <= 3 * datagram.length || bytes <= 4, `${bytes} bytes for ${datagram.length}`)
      }
    })
  }

  /** What an enrolled device seals: any plaintext. */
  async device(plaintexts: readonly Uint8Array[]): Promise<void> {
    await this.#turn(plaintexts.length, async () => {
      for (const plaintext of plaintexts) {
        await this.#house.inject(this.#sealed(plaintext), this.#device.address)
      }
    })
  }

  /** In the place of message_3, alone or in front of a request. */
  async third(messages: readonly Uint8Array[], isCombined: boolean): Promise<void> {
    await this.#turn(0, async () => {
      for (const message of messages) {
        const { next } = await this.#device.begin()
        const { cR } = next.session
        const { address } = this.#device
        await this.#house.inject(
          isCombined ? this.#combined(cR, message) : this.#continued(cR, message),
          address,
        )
      }
    })
  }

  /** An enrolled device that never had anything to hide: what comes after is as before. */
  async #turn(storedMax: number, run: () => Promise<void>): Promise<void> {
    this.#stored = 0
    await run()
    await this.#house.idle()
    const { errors, net, log, door, timers } = this.#house
    must(errors.length === 0, errors.join('; '))
    must(this.#stored <= storedMax, `${this.#stored} messages were stored`)
    const { inFlight, contexts, halfOpen } = door.load
    must(inFlight === 0 && contexts <= 2 && halfOpen <= 1000, JSON.stringify(door.load))
    const wasTaken = this.#stored > 0
    net.sent.length = 0
    log.lines.length = 0
    this.#device.sent.length = 0
    this.#device.received.length = 0
    timers.advance(betweenMs)
    if (!wasTaken) throw new PeerError('ERR_FUZZ', 'nothing came of it')
  }

  #sealed(plaintext: Uint8Array): Uint8Array {
    const { sender, commonIv, algorithm, crypto } = this.#context
    const name = { kid: sender.id, partialIv: sender.sequence.take() }
    const nonce = nonceOf(commonIv, name.kid, name.partialIv)
    const aad = additionalData(algorithm.id, name)
    const payload = crypto.seal(algorithm.aead, sender.key, nonce, aad, plaintext)
    return this.#post([{ number: optionNumber.oscore, value: oscoreValue(name) }], payload)
  }

  #continued(cR: Uint8Array, message: Uint8Array): Uint8Array {
    return this.#post(uriPath('.well-known', 'edhoc'), encodeContinued(cR, message))
  }

  #combined(kid: Uint8Array, payload: Uint8Array): Uint8Array {
    const oscore = { number: optionNumber.oscore, value: oscoreValue({ kid, partialIv: 0 }) }
    const edhoc = { number: optionNumber.edhoc, value: new Uint8Array() }
    return this.#post([oscore, edhoc], payload)
  }

  #post(options: Parameters<typeof encodeMessage>[0]['options'], payload: Uint8Array): Uint8Array {
    const messageId = this.#messageId++ & 0xffff
    const token = Uint8Array.of(this.#messageId >> 16)
    return encodeMessage({ type: 'CON', code: coapCode.post, messageId, token, options, payload })
  }
}

/** That a device has come is written behind. */
async function hasNews({ house: { store } }: CoapHouse): Promise<boolean> {
  const rows = await store.scan('message', { limit: 100 })
  return rows.some(({ type }) => type === 'countersign.session.opened')
}

/** RFC 8613 §6.1, with a Partial IV of five bytes less the zeros in front. */
function oscoreValue({ kid, partialIv }: { kid: Uint8Array; partialIv: number }): Uint8Array {
  const digits = partialIv.toString(16)
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
  const value = Uint8Array.of(0x08 | bytes.length, ...bytes, ...kid)
  const read = oscoreOptionOf({ options: [{ number: optionNumber.oscore, value }] })
  must(read.partialIv === partialIv, 'the option says something else')
  return value
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}
