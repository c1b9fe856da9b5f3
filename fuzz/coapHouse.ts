/**
 * An endpoint that asks, is asked, and is watched: whatever it hears, it serves no message twice,
 * holds no more than its limits, says at most two things to one datagram, all of them messages to
 * peers of its own, and falls silent when it is closed.
 */
import {
  CoapEndpoint,
  type CoapMessage,
  coapCode,
  endpointLimits,
  type OutgoingResponse,
  parseMessage,
  type Respond,
} from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { get, HandTime, nothing, seeded } from '../packages/core/test/coap/world.ts'

const limits = { ...endpointLimits, servingMax: 3, resetsPerPeerMax: 2, resetsMax: 3 }
const peers = ['192.0.2.1:5683', '192.0.2.2:5683', '192.0.2.3:5683']
/** RFC 7252 §4.8.2: nothing of an exchange is left after so long. */
const silenceMs = 1_000_000

export class House {
  readonly firstRequests: readonly Uint8Array[]
  readonly #time: HandTime = new HandTime()
  readonly #endpoint: CoapEndpoint
  readonly #asked: readonly Promise<string>[]
  readonly #open: Respond[] = []
  readonly #served: Set<string> = new Set()
  #sent: Uint8Array[] = []
  #heard = 0
  #resets = 0

  constructor() {
    this.#endpoint = new CoapEndpoint({
      clock: this.#time,
      timers: this.#time,
      random: seeded(7),
      limits,
      send: (datagram, to) => this.#sends(datagram, to),
      serve: (request, from, respond) => this.#serve(request, from, respond),
    })
    this.#asked = peers.slice(0, 2).flatMap((peer) => [this.#asks(peer), this.#asks(peer)])
    this.firstRequests = this.#sent
  }

  /** Of the peers in turn. */
  hears(datagram: Uint8Array): void {
    this.#sent = []
    this.#endpoint.receive(datagram, peers[this.#heard++ % peers.length] ?? '')
    if (this.#sent.length > 2) throw new Error('more than two things to one datagram')
    this.#requireWithin()
    // Some requests wait until they are acknowledged, some answers are late.
    this.#time.advance(300)
    if (this.#heard % 4 === 0) this.#open.shift()?.(content(this.#heard))
  }

  async ends(): Promise<void> {
    this.#endpoint.close()
    this.#sent = []
    for (const respond of this.#open) respond(content(0))
    this.#time.advance(silenceMs)
    if (this.#sent.length > 0) throw new Error('it speaks when it is closed')
    if (this.#time.armed > 0) throw new Error('a timer is left')
    await Promise.all(this.#asked)
  }

  #asks(peer: string): Promise<string> {
    return this.#endpoint.request(get('temperature'), peer).then(
      () => 'answered',
      // Given up, reset, closed: each is an end.
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : ''),
    )
  }

  #serve(request: CoapMessage, from: string, respond: Respond): void {
    const { type, code, messageId, token, options, payload } = request
    const shown = options.map(({ number, value }) => `${number}=${hex(value)}`)
    const name = [from, type, code, messageId, hex(token), shown, hex(payload)].join(' ')
    if (this.#served.has(name)) throw new Error('a message was served twice')
    this.#served.add(name)
    if (messageId % 2 === 0) respond(content(messageId))
    else this.#open.push(respond)
  }

  #sends(datagram: Uint8Array, to: string): void {
    const { type } = parseMessage(datagram)
    if (!peers.includes(to)) throw new Error(`sent to ${to}`)
    if (type === 'RST') this.#resets++
    this.#sent.push(datagram)
  }

  #requireWithin(): void {
    const { serving, requests, exchanges, exchangeBytes } = this.#endpoint.load
    const { servingMax, exchangesMax, exchangeBytesMax, resetsMax, resetWindowMs } = limits
    const windows = 1 + Math.floor((this.#heard * 300) / resetWindowMs)
    const isWithin =
      serving <= 2 * servingMax &&
      requests <= this.#asked.length &&
      exchanges <= 2 * exchangesMax &&
      exchangeBytes <= 2 * exchangeBytesMax &&
      this.#resets <= resetsMax * windows
    if (!isWithin) throw new Error('it holds or sends more than its limits')
  }
}

function content(seed: number): OutgoingResponse {
  const code = seed % 3 === 0 ? coapCode.notFound : coapCode.content
  return { code, options: [], payload: seed % 5 === 0 ? nothing : Uint8Array.of(seed & 0xff) }
}
