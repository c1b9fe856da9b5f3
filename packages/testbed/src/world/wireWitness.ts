/**
 * Sees on the wire alone, without a key, that no nonce of OSCORE is used for different ciphertexts
 * (RFC 8613 §5.2, §12.3): Partial IVs and the names of contexts go over it in clear, and what an
 * answer belongs to says its token. For processes of their own, where nobody looks into their
 * memory; elsewhere SealWitness sees more. Of one device at a time: C_I is one byte, and another
 * device's may be the same.
 *
 * @example
 * const witness = new WireWitness()
 * const relay = await startUdpRelay({ …, seen: witness.see })
 * assert.deepEqual(witness.reused, [])
 */
import { edhocPath, isCombined, parseEdhocPayload, separate } from '@countersign/core/channel'
import {
  type CoapMessage,
  codeKind,
  optionNumber,
  parseMessage,
  pathOf,
} from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { parseMessage1 } from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { oscoreOptionOf } from '@countersign/core/oscore'

/** `nonce`: whose key, and what the nonce is made of. */
export interface WireReuse {
  readonly nonce: string
  readonly first: string
  readonly second: string
}

type Side = 'device' | 'server'

/** A request that was seen, by its token. */
interface Asked {
  readonly context: string
  readonly partialIv: number
}

export class WireWitness {
  readonly #sealed: Map<string, string> = new Map()
  readonly #reused: WireReuse[] = []
  readonly #asked: Map<string, Asked> = new Map()
  /** By C_I of the device: the context that has it now, by C_R. */
  readonly #contexts: Map<string, string> = new Map()
  readonly #known: Set<string> = new Set()
  /** Of the latest message_1. */
  #cI = ''

  /** A datagram that the device (up) or the server has sent; `address`: of the device. */
  readonly see = (datagram: Uint8Array, address: string, direction: 'up' | 'down'): void => {
    try {
      const message = parseMessage(datagram)
      if (direction === 'up') this.#message1(message)
      if (!message.options.some(({ number }) => number === optionNumber.oscore)) return
      const from = direction === 'up' ? 'device' : 'server'
      const name = `${address} ${hex(message.token)}`
      if (codeKind(message.code) === 'request') this.#request(message, from, name)
      else this.#response(message, from, name)
    } catch (error) {
      // Neither CoAP nor EDHOC.
      if (!(error instanceof PeerError)) throw error
    }
  }

  get reused(): readonly WireReuse[] {
    return this.#reused
  }

  /** Nonces: a witness that saw nothing proves nothing. */
  get seen(): number {
    return this.#sealed.size
  }

  #message1(message: CoapMessage): void {
    if (pathOf(message).join('/') !== edhocPath.join('/')) return
    const payload = parseEdhocPayload(message.payload)
    if (payload.kind === 'message_1') this.#cI = hex(parseMessage1(payload.message).cI)
  }

  #request(message: CoapMessage, from: Side, name: string): void {
    const { payload } = isCombined(message) ? separate(message).request : message
    const { kid, partialIv } = oscoreOptionOf(message)
    if (kid === undefined || partialIv === undefined) return
    const context = from === 'device' ? this.#byCR(hex(kid)) : this.#contexts.get(hex(kid))
    // The server asks on contexts alone that the device has used.
    if (context === undefined) return
    this.#asked.set(`${from} ${name}`, { context, partialIv })
    this.#note(from, context, `its own ${partialIv}`, payload)
  }

  /** RFC 8613 §5.2: with a Partial IV of its own, or under the nonce of its request. */
  #response(message: CoapMessage, from: Side, name: string): void {
    const asker = from === 'device' ? 'server' : 'device'
    const asked = this.#asked.get(`${asker} ${name}`)
    if (asked === undefined) return
    const { partialIv } = oscoreOptionOf(message)
    const nonce =
      partialIv === undefined ? `the request's ${asked.partialIv}` : `its own ${partialIv}`
    this.#note(from, asked.context, nonce, message.payload)
  }

  /** A new one is of the handshake that was begun last. */
  #byCR(cR: string): string {
    if (!this.#known.has(cR)) {
      this.#known.add(cR)
      this.#contexts.set(this.#cI, cR)
    }
    return cR
  }

  #note(side: Side, context: string, number: string, ciphertext: Uint8Array): void {
    const nonce = `${side} ${context} ${number}`
    const [first, second] = [this.#sealed.get(nonce), hex(ciphertext)]
    if (first === undefined) this.#sealed.set(nonce, second)
    else if (first !== second) this.#reused.push({ nonce, first, second })
  }
}
