/**
 * Bytes of the stream to records (RFC 8446 §5.1): framing, opening, and what may not stand between.
 * Pulled, not pushed: a record is opened when somebody asks for it, so that it meets the key of its
 * time. Holds what has not been asked for, up to a bound.
 */
import { ByteQueue } from './byteQueue.ts'
import { expansionBytesMax, plaintextBytesMax, uselessRecordsMax } from './limits.ts'
import {
  type InnerPlaintext,
  overflow,
  type RecordProtection,
  recordHeaderLength as headerLength,
} from './recordProtection.ts'
import { contentType } from './registry.ts'
import { tlsError } from './tlsError.ts'

export class RecordReader {
  #queue: ByteQueue = new ByteQueue()
  #protection: RecordProtection | undefined
  #contentMax: number = plaintextBytesMax
  #useless = 0
  #allowChangeCipherSpec = true

  get waiting(): number {
    return this.#queue.length
  }

  /** The stream goes on with these bytes; the caller does not write to them any more. */
  push(bytes: Uint8Array): void {
    this.#queue.push(bytes)
  }

  /** From the next record on. `contentMax` is what we told the peer (RFC 8449). */
  protect(protection: RecordProtection, contentMax: number): void {
    this.#protection = protection
    this.#contentMax = contentMax
  }

  /** The peer's KeyUpdate. */
  update(): void {
    this.#protection = this.#protection?.next()
  }

  /** After the peer's Finished there is none any more (RFC 8446 §5). */
  endOfHandshake(): void {
    this.#allowChangeCipherSpec = false
  }

  /** The key is forgotten, and what it would have opened. */
  close(): void {
    this.#protection = undefined
    this.#queue = new ByteQueue()
  }

  /** Something came that brings the connection on. */
  progress(): void {
    this.#useless = 0
  }

  /** Counts what brings nothing on. */
  useless(what: string): void {
    this.#useless++
    if (this.#useless > uselessRecordsMax) {
      throw tlsError('ERR_TLS_FLOOD', `more than ${uselessRecordsMax} ${what} in a row`)
    }
  }

  /** The next record, or undefined until more bytes have come. */
  next(): InnerPlaintext | undefined {
    for (;;) {
      const whole = this.#take()
      if (whole === undefined) return undefined
      const header = whole.subarray(0, headerLength)
      const body = whole.subarray(headerLength)
      if (header[0] === contentType.changeCipherSpec) this.#ignore(body)
      else return this.#open(header, body)
    }
  }

  #open(header: Uint8Array, body: Uint8Array): InnerPlaintext {
    const type = header[0] ?? 0
    if (this.#protection === undefined) return plain(type, body)
    if (type === contentType.applicationData) {
      return this.#protection.open(header, body, this.#contentMax)
    }
    throw unexpected(`a record of type ${type} without protection`)
  }

  /** One byte of 1, for middleboxes (RFC 8446 §D.4); dropped. */
  #ignore(body: Uint8Array): void {
    if (!this.#allowChangeCipherSpec || body.length !== 1 || body[0] !== 1) {
      throw unexpected('a change_cipher_spec that TLS 1.3 does not know')
    }
    this.useless('records of change_cipher_spec')
  }

  /** A record's bytes, as soon as all are there. The length is judged before it is waited for. */
  #take(): Uint8Array | undefined {
    if (this.waiting === 0) return undefined
    // What is no TLS at all is said at its first byte, not after a wait for a length without meaning.
    requireType(this.#queue.at(0))
    if (this.waiting < headerLength) return undefined
    if (this.#queue.at(1) !== 3) {
      throw tlsError('ERR_TLS_DECODE', 'what the server sends is no TLS record')
    }
    const length = this.#queue.at(3) * 256 + this.#queue.at(4)
    const added = this.#protection === undefined ? 0 : expansionBytesMax
    const max = this.#contentMax + added
    if (length > max) throw overflow(length, max)
    if (this.waiting < headerLength + length) return undefined
    return this.#queue.take(headerLength + length)
  }
}

function plain(type: number, content: Uint8Array): InnerPlaintext {
  if (type === contentType.applicationData) throw unexpected('application data without protection')
  return { type, content }
}

function requireType(type: number): void {
  if (type >= contentType.changeCipherSpec && type <= contentType.applicationData) return
  throw unexpected(`what is no TLS record: it begins with byte ${type}`)
}

function unexpected(what: string): Error {
  return tlsError('ERR_TLS_UNEXPECTED_MESSAGE', `the server sent ${what}`)
}
