/** A server of bodies in blocks that checks what it gets and what it says. */
import {
  BlockAssembler,
  type CoapMessage,
  coapCode,
  encodeMessage,
  optionNumber,
  type OutgoingResponse,
} from '@countersign/core/coap'
import { HandTime, seeded } from '../packages/core/test/coap/world.ts'

const limits = { bodyBytesMax: 4096, bodiesMax: 3, allBytesMax: 8192, idleMs: 60_000 }
/** Whoever answers gives this, or as much of it as the request's last byte says. */
const large = Uint8Array.from({ length: limits.bodyBytesMax }, (_, index) => index ^ (index >> 8))

export class Assembled {
  readonly #time: HandTime = new HandTime()
  readonly #assembler: BlockAssembler

  constructor() {
    this.#assembler = new BlockAssembler({ clock: this.#time, random: seeded(5), limits })
  }

  /** The body, when it is whole. */
  take(key: string, message: CoapMessage): Uint8Array | undefined {
    const taken = this.#assembler.take(key, message)
    this.#time.advance(1000)
    if (taken.kind === 'answer') return this.#answered(message, taken.response)
    const { options, payload } = taken.request
    const isLeft = [optionNumber.block1, optionNumber.block2].some((number) =>
      options.some((option) => option.number === number),
    )
    if (isLeft || payload.length > limits.bodyBytesMax) throw new Error('that is no whole body')
    const share = (payload.at(-1) ?? 0) / 255
    const answer = large.subarray(0, Math.round(share * large.length))
    const response = { code: coapCode.content, options: [], payload: answer }
    this.#answered(message, taken.answer(response))
    return payload
  }

  #answered({ messageId, token }: CoapMessage, response: OutgoingResponse): undefined {
    if (this.#assembler.bytes > 2 * limits.allBytesMax) throw new Error('it holds too much')
    // Throws what is no refusal when it does not fit.
    encodeMessage({ ...response, type: 'ACK', messageId, token })
  }
}
