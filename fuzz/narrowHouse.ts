/**
 * A device on the narrow channel that asks, is asked, and is watched: whatever it hears, only what its
 * server protected is an answer or a command, a command is served once, a handshake begins once, what
 * it writes down can be read, and nothing of it is left when it sleeps. All of it comes from one seed.
 */
import { coapCode, parseMessage, uriPath } from '@countersign/core/coap'
import { fromHex, hex, utf8 } from '@countersign/core/codec'
import { AdapterError, PeerError } from '@countersign/core/errors'
import {
  deriveContext,
  protectRequest,
  type SecurityContext,
  unprotectRequest,
} from '@countersign/core/oscore'
import { type NarrowRequest, NarrowSession } from '@countersign/device/narrow'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { seeded, seededRandom, VirtualTime } from '@countersign/testbed'
import {
  decodeRecord,
  emptyRecord,
  encodeRecord,
  type NarrowRecord,
} from '../packages/device/src/portable/narrow/record.ts'

const keys = {
  masterSecret: nodeCrypto.importSecret(fromHex('0102030405060708090a0b0c0d0e0f10')),
  masterSalt: nodeCrypto.importSecret(fromHex('9e7ca92223786340')),
  algorithm: 10,
  hash: 'sha256',
} as const
const ids = { senderId: fromHex('a1b2c3'), recipientId: Uint8Array.of(7) }

/** Of a device that has met its server. */
export const met: NarrowRecord = {
  ...emptyRecord,
  current: {
    // x5t of no bytes: the certificate that it has here.
    deviceX5t: fromHex('e3b0c44298fc1c14'),
    // While the house lives.
    since: Date.UTC(2026, 0, 1),
    until: Date.UTC(2027, 0, 1),
    isUnwanted: false,
    context: {
      ...keys,
      ...ids,
      state: {
        senderReserved: 64,
        window: { highest: -1, accepted: 0 },
        usage: { sealed: 0, failed: 0 },
      },
    },
  },
}

const reading: NarrowRequest = {
  code: coapCode.post,
  options: uriPath('m', 'x'),
  payload: utf8('21.5'),
}
const none = new Uint8Array()
/** What the server says under OSCORE. */
export const words = { answer: 'taken', commands: ['one', 'two'] } as const

/** The server's side of the same context. */
export function serverContext(): SecurityContext {
  return deriveContext(nodeCrypto, {
    ...keys,
    senderId: ids.recipientId,
    recipientId: ids.senderId,
  })
}

export class NarrowHouse {
  readonly sent: Uint8Array[] = []
  readonly #time: VirtualTime = new VirtualTime()
  readonly #served: string[] = []
  readonly #faults: unknown[] = []
  #stored: Uint8Array | undefined
  #session: NarrowSession | undefined
  #asked: Promise<void> = Promise.resolve()

  static async of(record: NarrowRecord | undefined): Promise<NarrowHouse> {
    const house = new NarrowHouse()
    house.#stored = record && encodeRecord(nodeCrypto, record)
    await house.#open()
    return house
  }

  async hears(datagram: Uint8Array): Promise<void> {
    this.#session?.receive(datagram)
    await this.#time.advance(20)
  }

  async ends(): Promise<void> {
    await this.#time.until(this.#asked)
    await this.#time.advance(600_000)
    await this.#session?.sleep()
    this.#require(this.#faults.length === 0, `a fault: ${String(this.#faults[0])}`)
    this.#require(this.#time.waiting === 0, 'a timer is left')
    this.#require(new Set(this.#served).size === this.#served.length, 'a command was served twice')
    const began = new Set(this.sent.flatMap((one) => (isMessage1(one) ? [payloadOf(one)] : [])))
    // One handshake: its rounds are bounded (other suites, Echo, certificates by value).
    this.#require(began.size <= 5, `${began.size} beginnings of a handshake`)
    if (this.#stored !== undefined) decodeRecord(nodeCrypto, this.#stored)
  }

  async #open(): Promise<void> {
    this.#session = await NarrowSession.open({
      crypto: nodeCrypto,
      clock: this.#time,
      timers: this.#time,
      random: seededRandom(seeded(7)),
      send: (datagram) => this.sent.push(datagram),
      storage: {
        load: async () => this.#stored,
        save: async (record) => void (this.#stored = record),
      },
      credential: {
        leaf: none,
        signer: {
          scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' },
          spki: none,
          sign: async () => {
            throw new Error('a server that nobody knows is shown a signature')
          },
        },
      },
      trust: () => {
        throw new PeerError('ERR_ANCHOR_MISMATCH', 'this device trusts nobody')
      },
      serve: async ({ payload }) => {
        const word = Buffer.from(payload).toString()
        this.#require(
          words.commands.some((one) => one === word),
          `a command of nobody: ${word}`,
        )
        this.#served.push(word)
        return { code: coapCode.changed, options: [], payload: none }
      },
      fault: (error) => this.#faults.push(error),
    })
    this.#asked = this.#session.request(reading).then(
      ({ code, payload }) => {
        const word = Buffer.from(payload).toString()
        this.#require(code === coapCode.changed && word === words.answer, 'an answer of nobody')
      },
      (error: unknown) => {
        if (error instanceof PeerError || error instanceof AdapterError) return
        throw error
      },
    )
    await this.#time.advance(0)
  }

  #require(holds: boolean, otherwise: string): void {
    if (!holds) throw new Error(otherwise)
  }
}

/** What the server answers to the first request of a device that it knows, and asks of it. */
export function protectedAnswer(request: Uint8Array): ReturnType<typeof parseMessage> {
  const message = parseMessage(request)
  const { exchange } = unprotectRequest(serverContext(), message)
  const payload = utf8(words.answer)
  return exchange.protectResponse({
    ...message,
    type: 'ACK',
    code: coapCode.changed,
    options: [],
    payload,
  })
}

export function protectedCommands(): readonly ReturnType<typeof parseMessage>[] {
  const context = serverContext()
  return words.commands.map((word, index) => {
    const { message } = protectRequest(context, {
      type: 'CON',
      code: coapCode.post,
      messageId: 100 + index,
      token: Uint8Array.of(index),
      options: uriPath('c', word),
      payload: utf8(word),
    })
    return message
  })
}

function isMessage1(datagram: Uint8Array): boolean {
  return parseMessage(datagram).payload[0] === 0xf5
}

function payloadOf(datagram: Uint8Array): string {
  return hex(parseMessage(datagram).payload)
}
