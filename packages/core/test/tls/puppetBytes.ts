/**
 * The presentation language of TLS (RFC 8446 §3) for the puppet server, written apart from core's,
 * so that the two ends of a test were made by two hands. A message is laid out as named fields:
 * whoever changes a bit of it can say where the bit was.
 */

/** A part of a message, by its place in the bytes. */
export interface Field {
  readonly name: string
  readonly start: number
  readonly end: number
}

/** Bytes, and which of them means what. */
export interface Laid {
  readonly bytes: Buffer
  readonly fields: readonly Field[]
}

export function u8(value: number): Buffer {
  return Buffer.of(value)
}

export function u16(value: number): Buffer {
  return numberOf(value, 2)
}

export function u32(value: number): Buffer {
  return numberOf(value, 4)
}

function numberOf(value: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  bytes.writeUIntBE(value, 0, length)
  return bytes
}

/** One field; an empty one has no bits and leaves no name. */
export function field(name: string, bytes: Uint8Array): Laid {
  const fields = bytes.length === 0 ? [] : [{ name, start: 0, end: bytes.length }]
  return { bytes: Buffer.from(bytes), fields }
}

export function lay(...parts: readonly Laid[]): Laid {
  let at = 0
  const fields: Field[] = []
  for (const part of parts) {
    for (const { name, start, end } of part.fields) {
      fields.push({ name, start: start + at, end: end + at })
    }
    at += part.bytes.length
  }
  return { bytes: Buffer.concat(parts.map(({ bytes }) => bytes)), fields }
}

/** With its length before it. */
export function sized(name: string, lengthBytes: number, body: Laid | Uint8Array): Laid {
  const inner = body instanceof Uint8Array ? field(name, body) : body
  return lay(field(`${name} length`, numberOf(inner.bytes.length, lengthBytes)), inner)
}

export function extension(name: string, type: number, body: Laid | Uint8Array): Laid {
  return lay(field(`${name} type`, u16(type)), sized(name, 2, body))
}

/** A handshake message: its type, its length, its body. */
export function message(type: number, body: Laid): Laid {
  return lay(field('message type', u8(type)), sized('message', 3, body))
}

/** Reads what the client sends, which is trusted to be well made: whatever is not throws. */
export class Bytes {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  number(length: number): number {
    return this.take(length).readUIntBE(0, length)
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Error(`${length} bytes wanted, ${this.left} there`)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  vector(lengthBytes: number): Buffer {
    return this.take(this.number(lengthBytes))
  }

  list(lengthBytes: number): Bytes {
    return new Bytes(this.vector(lengthBytes))
  }

  end(): void {
    if (this.left > 0) throw new Error(`${this.left} bytes too many`)
  }
}

/** A ClientHello, as far as a server wants to know it (RFC 8446 §4.1.2). */
export interface ClientHello {
  readonly whole: Buffer
  readonly random: Buffer
  readonly sessionId: Buffer
  readonly suites: readonly number[]
  readonly extensions: ReadonlyMap<number, Buffer>
  /** Shares by the number of their group. */
  readonly shares: ReadonlyMap<number, Buffer>
  readonly psk: { readonly ticket: Buffer; readonly binder: Buffer } | undefined
  /** Bytes of the message before the list of binders. */
  readonly truncated: Buffer
}

export function parseClientHello(whole: Uint8Array): ClientHello {
  const reader = new Bytes(whole.subarray(4))
  reader.number(2)
  const random = reader.take(32)
  const sessionId = reader.vector(1)
  const suites = numbersIn(reader.list(2))
  reader.vector(1)
  const extensions = new Map<number, Buffer>()
  const list = reader.list(2)
  while (list.left > 0) extensions.set(list.number(2), list.vector(2))
  reader.end()
  const offered = extensions.get(41)
  const psk = offered === undefined ? undefined : pskIn(offered)
  const bindersLength = psk === undefined ? 0 : psk.binder.length + 3
  return {
    whole: Buffer.from(whole),
    random,
    sessionId,
    suites,
    extensions,
    shares: sharesIn(extensions.get(51)),
    psk,
    truncated: Buffer.from(whole.subarray(0, whole.length - bindersLength)),
  }
}

function numbersIn(list: Bytes): number[] {
  const numbers: number[] = []
  while (list.left > 0) numbers.push(list.number(2))
  return numbers
}

function sharesIn(body: Buffer | undefined): ReadonlyMap<number, Buffer> {
  const shares = new Map<number, Buffer>()
  if (body === undefined) return shares
  const list = new Bytes(body).list(2)
  while (list.left > 0) shares.set(list.number(2), list.vector(2))
  return shares
}

/** The one identity that our client offers, and its binder; of Node's, the first. */
function pskIn(body: Buffer): { readonly ticket: Buffer; readonly binder: Buffer } {
  const reader = new Bytes(body)
  const identities = reader.list(2)
  const ticket = identities.vector(2)
  const binder = reader.list(2).vector(1)
  return { ticket, binder }
}
