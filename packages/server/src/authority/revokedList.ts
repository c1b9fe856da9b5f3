/**
 * The revokedCertificates of one CA (RFC 5280 §5.1.2.6), kept encoded and sorted by serial number,
 * so that a new CRL costs one copy of the bytes and a revocation one insertion: nothing is parsed,
 * sorted or encoded again. The list is packed into blocks: an insertion moves at most one block's
 * bytes.
 */
import { der } from '@countersign/core/codec'
import { extensionOid, type RevocationReason } from '@countersign/core/credential'
import { InvariantError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'

export interface Revocation {
  /** Lower-case hex of the INTEGER's content octets. */
  readonly serial: string
  readonly revokedAt: Milliseconds
  readonly reason: RevocationReason | null
  /** Of the certificate: some time after, the entry leaves the list. */
  readonly notAfter: Milliseconds
}

interface Block {
  /** Ascending. */
  readonly serials: string[]
  readonly notAfters: Milliseconds[]
  /** The encoded entries one behind the other; only the first `length` bytes are used. */
  bytes: Uint8Array
  length: number
}

/** Entries of a full block: 36 KiB at most move for an insertion. */
const blockEntriesMax = 1024
const blockBytesFirst = 4096

export class RevokedList {
  #blocks: Block[] = []
  #size = 0
  #byteLength = 0

  get size(): number {
    return this.#size
  }

  /** Bytes of all entries. */
  get byteLength(): number {
    return this.#byteLength
  }

  has(serial: string): boolean {
    const block = this.#blocks[this.#blockFor(serial)]
    if (block === undefined) return false
    return block.serials[lowerBound(block.serials, serial)] === serial
  }

  /** False when the serial number is listed already: a revocation is never changed. */
  add(revocation: Revocation): boolean {
    const { serial } = revocation
    const last = this.#blocks.at(-1)
    // The common case of a list that is loaded in order.
    if (last !== undefined && last.serials.length < blockEntriesMax && isBehind(last, serial)) {
      this.#append(last, revocation)
      return true
    }
    const block = this.#roomFor(serial)
    const index = lowerBound(block.serials, serial)
    if (block.serials[index] === serial) return false
    if (index === block.serials.length) this.#append(block, revocation)
    else this.#insert(block, index, revocation)
    return true
  }

  #append(block: Block, revocation: Revocation): void {
    const whole = writeEntry(block, block.length, revocation)
    block.serials.push(revocation.serial)
    block.notAfters.push(revocation.notAfter)
    this.#grow(block, whole)
  }

  #insert(block: Block, index: number, revocation: Revocation): void {
    // Written behind the last first, then put in its place.
    const whole = writeEntry(block, block.length, revocation)
    const entry = block.bytes.slice(block.length, block.length + whole)
    const at = offsetOf(block, index)
    block.bytes.copyWithin(at + whole, at, block.length)
    block.bytes.set(entry, at)
    block.serials.splice(index, 0, revocation.serial)
    block.notAfters.splice(index, 0, revocation.notAfter)
    this.#grow(block, whole)
  }

  #grow(block: Block, whole: number): void {
    block.length += whole
    this.#size++
    this.#byteLength += whole
  }

  /** Removes what expired before `limit`; returns how many. */
  dropExpired(limit: Milliseconds): number {
    const before = this.#size
    for (const block of this.#blocks) {
      if (block.notAfters.some((notAfter) => notAfter < limit)) this.#dropFrom(block, limit)
    }
    this.#blocks = this.#blocks.filter((block) => block.serials.length > 0)
    return before - this.#size
  }

  /** Copies all entries to `into` at `offset`; returns the offset behind them. */
  copyTo(into: Uint8Array, offset: number): number {
    let at = offset
    for (const block of this.#blocks) {
      into.set(block.bytes.subarray(0, block.length), at)
      at += block.length
    }
    return at
  }

  #dropFrom(block: Block, limit: Milliseconds): void {
    let kept = 0
    let to = 0
    let from = 0
    for (let index = 0; index < block.serials.length; index++) {
      const end = from + entryLength(block, from)
      const serial = block.serials[index]
      const notAfter = block.notAfters[index]
      if (serial !== undefined && notAfter !== undefined && notAfter >= limit) {
        block.bytes.copyWithin(to, from, end)
        block.serials[kept] = serial
        block.notAfters[kept] = notAfter
        to += end - from
        kept++
      }
      from = end
    }
    this.#size -= block.serials.length - kept
    this.#byteLength -= block.length - to
    block.serials.length = kept
    block.notAfters.length = kept
    block.length = to
  }

  /** The block whose range the serial falls into: the last one that begins at or before it. */
  #blockFor(serial: string): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#blocks[middle]?.serials[0] ?? '') <= serial) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  #roomFor(serial: string): Block {
    const index = this.#blockFor(serial)
    const block = this.#blocks[index]
    if (block === undefined) {
      const first = emptyBlock(blockBytesFirst)
      this.#blocks.push(first)
      return first
    }
    if (block.serials.length < blockEntriesMax) return block
    const isLast = index === this.#blocks.length - 1
    // Loaded in order: a new block behind a full one, not two half full ones.
    const next = isLast && isBehind(block, serial) ? emptyBlock(block.bytes.length) : split(block)
    this.#blocks.splice(index + 1, 0, next)
    const first = next.serials[0]
    return first === undefined || first <= serial ? next : block
  }
}

function isBehind(block: Block, serial: string): boolean {
  return (block.serials.at(-1) ?? '') < serial
}

function emptyBlock(size: number): Block {
  return { serials: [], notAfters: [], bytes: new Uint8Array(size), length: 0 }
}

/** Moves the upper half into a new block. */
function split(block: Block): Block {
  const index = block.serials.length >> 1
  const at = offsetOf(block, index)
  const upper: Block = {
    serials: block.serials.splice(index),
    notAfters: block.notAfters.splice(index),
    bytes: block.bytes.slice(at, block.length),
    length: block.length - at,
  }
  block.length = at
  return upper
}

function reserve(block: Block, more: number): void {
  if (block.length + more <= block.bytes.length) return
  const larger = new Uint8Array(Math.max(block.bytes.length * 2, block.length + more))
  larger.set(block.bytes.subarray(0, block.length))
  block.bytes = larger
}

function offsetOf(block: Block, index: number): number {
  let offset = 0
  for (let entry = 0; entry < index; entry++) offset += entryLength(block, offset)
  return offset
}

/** An entry is shorter than 128 bytes (`writeEntry` sees to it): its length is one octet. */
function entryLength(block: Block, offset: number): number {
  return 2 + (block.bytes[offset + 1] ?? 0)
}

function lowerBound(sorted: readonly string[], value: string): number {
  const last = sorted.at(-1)
  if (last !== undefined && last < value) return sorted.length
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < value) low = middle + 1
    else high = middle
  }
  return low
}

/** CRLReason numbers of RFC 5280 §5.3.1. `unspecified` is written by leaving the extension out. */
const reasonNumbers: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
}

const reasonExtensions: ReadonlyMap<number, Uint8Array> = new Map(
  Object.values(reasonNumbers).map((reason) => [
    reason,
    // RFC 5280 §5.3.1: id-ce-cRLReasons, ENUMERATED, not critical.
    der.sequence(
      der.sequence(
        der.oid(extensionOid.reasonCode),
        der.octetString(Uint8Array.of(0x0a, 1, reason)),
      ),
    ),
  ]),
)

/** One octet says the length of an entry, and of everything in it. */
const entryLengthMax = 127

/** Writes the entry at `at`, behind what is there; answers its length. */
function writeEntry(block: Block, at: number, revocation: Revocation): number {
  const { serial, revokedAt } = revocation
  const octets = serial.length / 2
  const date = encodeDate(revokedAt)
  const reason = reasonNumbers[revocation.reason ?? 'unspecified']
  const extensions = reason === 0 ? undefined : reasonExtensions.get(reason)
  const length = 2 + octets + date.length + (extensions?.length ?? 0)
  if (length > entryLengthMax || !isPositive(serial)) throw badSerial(serial)
  reserve(block, 2 + length)
  const into = block.bytes
  into[at] = 0x30
  into[at + 1] = length
  into[at + 2] = 0x02
  into[at + 3] = octets
  writeHex(into, at + 4, serial)
  let end = at + 4 + octets
  // So few bytes are copied faster than a copy is called.
  for (let index = 0; index < date.length; index++) into[end++] = date[index] ?? 0
  if (extensions !== undefined) into.set(extensions, end)
  return 2 + length
}

function writeHex(into: Uint8Array, at: number, serial: string): void {
  for (let index = 0; index < serial.length; index += 2) {
    const high = hexValues[serial.charCodeAt(index)] ?? -1
    const low = hexValues[serial.charCodeAt(index + 1)] ?? -1
    if (high < 0 || low < 0) throw badSerial(serial)
    into[at + (index >> 1)] = high * 16 + low
  }
}

/** Lower-case digits alone: the list is sorted by the text. */
const hexValues: Int8Array = new Int8Array(128).fill(-1)
for (let value = 0; value < 16; value++) hexValues[value.toString(16).charCodeAt(0)] = value

/**
 * Hex of a positive INTEGER in its shortest form: a zero octet stands first only before a first bit
 * of one.
 */
function isPositive(serial: string): boolean {
  if (serial.length === 0 || serial.length % 2 !== 0 || serial.charCodeAt(0) >= 0x38) return false
  return !serial.startsWith('00') || (serial.length > 2 && serial.charCodeAt(2) >= 0x38)
}

function badSerial(serial: string): InvariantError<'ERR_CRL_ENTRY'> {
  return new InvariantError('ERR_CRL_ENTRY', 'not a serial number of this house', { serial })
}

/** Many are revoked in the same second; a date costs more than the rest of the entry. */
let lastSecond = Number.NaN
let lastDate: Uint8Array = new Uint8Array(0)

function encodeDate(at: Milliseconds): Uint8Array {
  const second = Math.floor(at / 1000)
  if (second !== lastSecond) {
    lastDate = der.time(second * 1000)
    lastSecond = second
  }
  return lastDate
}
