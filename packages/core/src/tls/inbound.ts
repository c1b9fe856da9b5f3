/**
 * What comes in, in its order: handshake messages, application data, the peer's farewell. Alerts
 * that end the connection are thrown; what may be ignored is counted (RFC 8446 §5.1, §6).
 */
import { alertNumbers, alertReceived } from './alerts.ts'
import { type HandshakeMessage, MessageReader } from './messageReader.ts'
import type { InnerPlaintext, RecordProtection } from './recordProtection.ts'
import { RecordReader } from './recordReader.ts'
import { contentType } from './registry.ts'
import { tlsError } from './tlsError.ts'

export type Incoming =
  | { readonly kind: 'message'; readonly message: HandshakeMessage }
  | { readonly kind: 'data'; readonly content: Uint8Array }
  | { readonly kind: 'close' }

export class Inbound {
  readonly #records: RecordReader = new RecordReader()
  readonly #messages: MessageReader = new MessageReader()
  readonly #contentMax: number
  #isOpen = false

  /** What our ClientHello says of the size of records (RFC 8449). */
  constructor(contentMax: number) {
    this.#contentMax = contentMax
  }

  get waiting(): number {
    return this.#records.waiting
  }

  push(bytes: Uint8Array): void {
    this.#records.push(bytes)
  }

  /** Undefined until more bytes have come. */
  next(): Incoming | undefined {
    for (;;) {
      const message = this.#messages.next()
      if (message !== undefined) return { kind: 'message', message }
      const record = this.#records.next()
      if (record === undefined) return undefined
      const incoming = this.#take(record)
      if (incoming !== undefined) return incoming
    }
  }

  /** RFC 8446 §5.1: a message does not span a change of keys. */
  protect(protection: RecordProtection): void {
    this.#requireBetween()
    this.#records.protect(protection, this.#contentMax)
  }

  update(): void {
    this.#requireBetween()
    this.#records.update()
  }

  endOfHandshake(): void {
    this.#isOpen = true
    this.#records.endOfHandshake()
  }

  close(): void {
    this.#records.close()
  }

  #take({ type, content }: InnerPlaintext): Incoming | undefined {
    switch (type) {
      case contentType.handshake:
        this.#records.progress()
        this.#messages.push(content)
        return undefined
      case contentType.alert:
        return this.#alert(content)
      case contentType.applicationData:
        this.#requireBetween()
        return this.#data(content)
      default:
        throw unexpected(`a protected record of type ${type}`)
    }
  }

  #data(content: Uint8Array): Incoming | undefined {
    // Within the handshake it is data too early, however little.
    if (content.length === 0 && this.#isOpen) {
      this.#records.useless('empty records')
      return undefined
    }
    this.#records.progress()
    return { kind: 'data', content }
  }

  /** The level says nothing in TLS 1.3 (RFC 8446 §6); an alert fills its record. */
  #alert(content: Uint8Array): Incoming | undefined {
    // RFC 8446 §5.4
    if (content.length === 0) throw unexpected('an empty alert')
    const number = content[1]
    if (content.length !== 2 || number === undefined) {
      throw tlsError('ERR_TLS_DECODE', `an alert of ${content.length} bytes`)
    }
    if (number === alertNumbers.close_notify) return { kind: 'close' }
    if (number !== alertNumbers.user_canceled) throw alertReceived(number)
    this.#requireBetween()
    this.#records.useless('alerts')
    return undefined
  }

  #requireBetween(): void {
    if (!this.#messages.isBetween) throw unexpected('something else within a handshake message')
  }
}

function unexpected(what: string): Error {
  return tlsError('ERR_TLS_UNEXPECTED_MESSAGE', `the server sent ${what}`)
}
