/**
 * ClientHello read straight from the text of RFC 8446 §4.1.2 and §4.2, with the least and the most
 * that it gives for each vector; RFC 6066 §3 and §8, RFC 7301 §3.1, RFC 8449 §4 for four extensions.
 * For tests: it shares nothing with the encoder.
 */
import assert from 'node:assert/strict'

export interface ParsedHello {
  readonly legacyVersion: number
  readonly random: Buffer
  readonly sessionId: Buffer
  readonly suites: readonly number[]
  readonly compression: readonly number[]
  readonly extensions: readonly ParsedExtension[]
}

export interface ParsedExtension {
  readonly type: number
  readonly data: Buffer
}

/** Reads a structure to its end, and says so when there is more. */
class Text {
  #rest: Buffer

  constructor(bytes: Uint8Array) {
    this.#rest = Buffer.from(bytes)
  }

  get isOver(): boolean {
    return this.#rest.length === 0
  }

  uint(octets: number): number {
    return this.opaque(octets).readUIntBE(0, octets)
  }

  opaque(length: number): Buffer {
    assert.ok(length <= this.#rest.length, `${length} octets of ${this.#rest.length}`)
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return taken
  }

  /** opaque<least..most>; as many octets of length as `most` needs (RFC 8446 §3.4). */
  vector(least: number, most: number): Buffer {
    const length = this.uint(most < 2 ** 8 ? 1 : 2)
    assert.ok(length >= least && length <= most, `${length} octets, of ${least} to ${most}`)
    return this.opaque(length)
  }

  end(): void {
    assert.equal(this.#rest.length, 0, 'octets behind the end')
  }
}

function whole<T>(bytes: Uint8Array, read: (text: Text) => T): T {
  const text = new Text(bytes)
  const value = read(text)
  text.end()
  return value
}

function all<T>(bytes: Uint8Array, read: (text: Text) => T): T[] {
  const text = new Text(bytes)
  const values: T[] = []
  while (!text.isOver) values.push(read(text))
  return values
}

const uint16 = (text: Text): number => text.uint(2)

/** A handshake message (§4) that is a ClientHello. */
export function parseHello(message: Uint8Array): ParsedHello {
  const body = whole(message, (text) => {
    assert.equal(text.uint(1), 1)
    return text.opaque(text.uint(3))
  })
  return whole(body, (text) => ({
    legacyVersion: text.uint(2),
    random: text.opaque(32),
    sessionId: text.vector(0, 32),
    suites: all(text.vector(2, 2 ** 16 - 2), uint16),
    compression: [...text.vector(1, 2 ** 8 - 1)],
    extensions: all(text.vector(8, 2 ** 16 - 1), (one) => ({
      type: one.uint(2),
      data: one.vector(0, 2 ** 16 - 1),
    })),
  }))
}

export function typesOf({ extensions }: ParsedHello): number[] {
  return extensions.map(({ type }) => type)
}

/** Exactly one, or undefined. */
function dataOf({ extensions }: ParsedHello, type: number): Buffer | undefined {
  const found = extensions.filter((one) => one.type === type)
  assert.ok(found.length <= 1, `extension ${type} stands ${found.length} times`)
  return found[0]?.data
}

function extensionOf<T>(
  type: number,
  read: (text: Text) => T,
): (hello: ParsedHello) => T | undefined {
  return (hello) => {
    const data = dataOf(hello, type)
    return data === undefined ? undefined : whole(data, read)
  }
}

/** §4.2.1 */
export const versionsOf: Reader<readonly number[]> = extensionOf(43, (text) =>
  all(text.vector(2, 254), uint16),
)

/** §4.2.7 */
export const groupsOf: Reader<readonly number[]> = extensionOf(10, (text) =>
  all(text.vector(2, 2 ** 16 - 1), uint16),
)

/** §4.2.3 */
export const schemesOf: Reader<readonly number[]> = extensionOf(13, (text) =>
  all(text.vector(2, 2 ** 16 - 2), uint16),
)

/** §4.2.8 */
export const sharesOf: Reader<readonly { readonly group: number; readonly share: Buffer }[]> =
  extensionOf(51, (text) =>
    all(text.vector(0, 2 ** 16 - 1), (one) => ({
      group: one.uint(2),
      share: one.vector(1, 2 ** 16 - 1),
    })),
  )

/** §4.2.9 */
export const pskModesOf: Reader<readonly number[]> = extensionOf(45, (text) => [
  ...text.vector(1, 255),
])

/** §4.2.2 */
export const cookieOf: Reader<Buffer> = extensionOf(44, (text) => text.vector(1, 2 ** 16 - 1))

/** RFC 6066 §3: a list of names with their kind; host_name is kind 0. */
export const namesOf: Reader<readonly { readonly kind: number; readonly name: string }[]> =
  extensionOf(0, (text) =>
    all(text.vector(1, 2 ** 16 - 1), (one) => ({
      kind: one.uint(1),
      name: one.vector(1, 2 ** 16 - 1).toString('latin1'),
    })),
  )

/** RFC 7301 §3.1 */
export const protocolsOf: Reader<readonly string[]> = extensionOf(16, (text) =>
  all(text.vector(2, 2 ** 16 - 1), (one) => one.vector(1, 2 ** 8 - 1).toString('latin1')),
)

/** RFC 6066 §8 */
export const statusRequestOf: Reader<{
  readonly kind: number
  readonly responders: Buffer
  readonly extensions: Buffer
}> = extensionOf(5, (text) => ({
  kind: text.uint(1),
  responders: text.vector(0, 2 ** 16 - 1),
  extensions: text.vector(0, 2 ** 16 - 1),
}))

/** RFC 8449 §4 */
export const recordSizeLimitOf: Reader<number> = extensionOf(28, uint16)

export interface OfferedPsks {
  readonly identities: readonly { readonly identity: Buffer; readonly obfuscatedAge: number }[]
  readonly binders: readonly Buffer[]
  /** Octets of the message that the binders do not cover (§4.2.11.2): their list with its length. */
  readonly bindersLength: number
}

/** §4.2.11 */
export const psksOf: Reader<OfferedPsks> = extensionOf(41, (text) => {
  const identities = all(text.vector(7, 2 ** 16 - 1), (one) => ({
    identity: one.vector(1, 2 ** 16 - 1),
    obfuscatedAge: one.uint(4),
  }))
  const list = text.vector(33, 2 ** 16 - 1)
  const binders = all(list, (one) => one.vector(32, 255))
  return { identities, binders, bindersLength: list.length + 2 }
})

export type Reader<T> = (hello: ParsedHello) => T | undefined
