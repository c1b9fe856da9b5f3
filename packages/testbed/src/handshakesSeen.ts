/**
 * What anybody on the path sees of EDHOC over CoAP (RFC 9528 Appendix A.2.1, RFC 9668 §3): how long
 * the three messages of each handshake are. Messages that were sent again count once; a handshake
 * that never came to message_3 is none.
 */
import {
  edhocContentFormat,
  edhocPath,
  isCombined,
  parseEdhocPayload,
  separate,
} from '@countersign/core/channel'
import {
  type CoapMessage,
  coapCode,
  contentFormatIn,
  parseMessage,
  pathOf,
} from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'

/** Lengths of message_1, message_2 and message_3 in bytes. */
export type HandshakeLengths = readonly [number, number, number]

interface Underway {
  /** Of the latest message_1, hex. */
  readonly token: string
  readonly message1: number
  message2: number | undefined
}

/** Beyond these the oldest is forgotten. */
const devicesMax = 1024
const seenMax = 4096

export class HandshakesSeen {
  readonly #underway: Map<string, Underway> = new Map()
  readonly #seen: HandshakeLengths[] = []

  get all(): readonly HandshakeLengths[] {
    return this.#seen
  }

  /** A datagram of this device (up), or for it. */
  see(datagram: Uint8Array, device: string, direction: 'up' | 'down'): void {
    try {
      const message = parseMessage(datagram)
      if (direction === 'up') this.#up(message, device)
      else this.#down(message, device)
    } catch (error) {
      // Neither CoAP nor EDHOC.
      if (!(error instanceof PeerError)) throw error
    }
  }

  #up(message: CoapMessage, device: string): void {
    if (isCombined(message)) return this.#ended(device, separate(message).message3.length)
    if (pathOf(message).join('/') !== edhocPath.join('/')) return
    const { kind, message: said } = parseEdhocPayload(message.payload)
    if (kind === 'message_1') this.#begun(device, message.token, said.length)
    else this.#ended(device, said.length)
  }

  #begun(device: string, token: Uint8Array, message1: number): void {
    this.#underway.delete(device)
    this.#underway.set(device, { token: hex(token), message1, message2: undefined })
    for (const oldest of this.#underway.keys()) {
      if (this.#underway.size <= devicesMax) break
      this.#underway.delete(oldest)
    }
  }

  #down(message: CoapMessage, device: string): void {
    const { code, token, payload } = message
    const underway = this.#underway.get(device)
    if (underway === undefined || hex(token) !== underway.token) return
    if (code !== coapCode.changed) return
    if (contentFormatIn(message) !== edhocContentFormat.message) return
    underway.message2 = payload.length
  }

  #ended(device: string, message3: number): void {
    const underway = this.#underway.get(device)
    if (underway?.message2 === undefined) return
    this.#underway.delete(device)
    this.#seen.push([underway.message1, underway.message2, message3])
    if (this.#seen.length > seenMax) this.#seen.shift()
  }
}
