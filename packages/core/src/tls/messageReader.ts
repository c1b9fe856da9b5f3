/**
 * Content of handshake records to handshake messages (RFC 8446 §4, §5.1). A message may span records
 * and a record may hold several; its length is judged before a byte of it is gathered.
 */
import { ByteQueue } from './byteQueue.ts'
import * as limits from './limits.ts'
import { handshakeType } from './registry.ts'
import { tlsError } from './tlsError.ts'

export interface HandshakeMessage {
  readonly type: number
  readonly body: Uint8Array
  /** With its header, as the transcript has it. */
  readonly whole: Uint8Array
}

const headerLength = 4

/** Also the list of what a server may send at all. */
const bodyBytesMax: ReadonlyMap<number, number> = new Map<number, number>([
  [handshakeType.serverHello, limits.helloBytesMax],
  [handshakeType.newSessionTicket, limits.ticketMessageBytesMax],
  [handshakeType.encryptedExtensions, limits.encryptedExtensionsBytesMax],
  [handshakeType.certificate, limits.certificateBytesMax],
  [handshakeType.certificateRequest, limits.certificateRequestBytesMax],
  [handshakeType.certificateVerify, limits.certificateVerifyBytesMax],
  // The longest hash of TLS.
  [handshakeType.finished, 64],
  [handshakeType.keyUpdate, 1],
])

/** Whose length is the protocol's and no bound of ours: longer ones are malformed. */
const exact: ReadonlySet<number> = new Set([handshakeType.finished, handshakeType.keyUpdate])

export class MessageReader {
  readonly #queue: ByteQueue = new ByteQueue()

  /** Nothing of a message waits: other records, and a change of keys, may come now. */
  get isBetween(): boolean {
    return this.#queue.length === 0
  }

  push(content: Uint8Array): void {
    if (content.length === 0) {
      // RFC 8446 §5.1
      throw tlsError('ERR_TLS_UNEXPECTED_MESSAGE', 'an empty handshake record')
    }
    this.#queue.push(content)
  }

  next(): HandshakeMessage | undefined {
    if (this.#queue.length === 0) return undefined
    const type = this.#queue.at(0)
    const max = bodyBytesMax.get(type)
    if (max === undefined) {
      throw tlsError('ERR_TLS_UNEXPECTED_MESSAGE', `a handshake message of type ${type}`, { type })
    }
    if (this.#queue.length < headerLength) return undefined
    const length = this.#queue.at(1) * 65_536 + this.#queue.at(2) * 256 + this.#queue.at(3)
    if (length > max) throw tooLong(type, length, max)
    if (this.#queue.length < headerLength + length) return undefined
    const whole = this.#queue.take(headerLength + length)
    return { type, whole, body: whole.subarray(headerLength) }
  }
}

function tooLong(type: number, length: number, max: number): Error {
  const code = exact.has(type) ? 'ERR_TLS_DECODE' : 'ERR_TLS_LIMIT'
  const message = `a handshake message of ${length} bytes; ${max} are read`
  return tlsError(code, message, { type, length })
}

export function requireMessage(
  message: HandshakeMessage,
  type: keyof typeof handshakeType,
): HandshakeMessage {
  if (message.type === handshakeType[type]) return message
  throw tlsError(
    'ERR_TLS_UNEXPECTED_MESSAGE',
    `a handshake message of type ${message.type} where ${type} is due`,
    { type: message.type },
  )
}
