/**
 * The revokedCertificates of one CA (RFC 5280 §5.1.2.6), kept encoded and sorted by serial number, so that a new CRL costs one copy of
 * the bytes and a revocation one insertion: nothing is parsed, sorted or encoded again.
 * The list is packed into blocks: an insertion moves at most one block's bytes.
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
  bytes: Buffer
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
    const block = this.#roomFor(revocation.serial)
    const index = lowerBound(block.serials, revocation.serial)
    if (block.serials[index] === revocation.serial) return false
    const parts = entryParts(revocation)
    const whole = 2 + parts.length
    reserve(block, whole)
    if (index === block.serials.length) {
      // The common case of a list that is loaded in order.
      writeEntry(block.bytes, block.length, parts)
      block.serials.push(revocation.serial)
      block.notAfters.push(revocation.notAfter)
    } else {
      const at = offsetOf(block, index)
      block.bytes.copyWithin(at + whole, at, block.length)
      writeEntry(block.bytes, at, parts)
      block.serials.splice(index, 0, revocation.serial)
      block.notAfters.splice(index, 0, revocation.notAfter)
    }
    block.length += whole
    this.#size++
    this.#byteLength += whole
    return true
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
      const first = emptyBlock()
      this.#blocks.push(first)
      return first
    }
    if (block.serials.length < blockEntriesMax) return block
    const isLast = index === this.#blocks.length - 1
    // Loaded in order: a new block behind a full one, not two half full ones.
    const next = isLast && (block.serials.at(-1) ?? '') < serial ? emptyBlock() : split(block)
    this.#blocks.splice(index + 1, 0, next)
    const first = next.serials[0]
    return first === undefined || first <= serial ? next : block
  }
}

function emptyBlock(): Block {
  return { serials: [], notAfters: [], bytes: Buffer.alloc(blockBytesFirst), length: 0 }
}

/** Moves the upper half into a new block. */
function split(block: Block): Block {
  const index = block.serials.length >> 1
  const at = offsetOf(block, index)
  const upper: Block = {
    serials: block.serials.splice(index),
    notAfters: block.notAfters.splice(index),
    bytes: Buffer.from(block.bytes.subarray(at, block.length)),
    length: block.length - at,
  }
  block.length = at
  return upper
}

function reserve(block: Block, more: number): void {
  if (block.length + more <= block.bytes.length) return
  const larger = Buffer.alloc(Math.max(block.bytes.length * 2, block.length + more))
  larger.set(block.bytes.subarray(0, block.length))
  block.bytes = larger
}

function offsetOf(block: Block, index: number): number {
  let offset = 0
  for (let entry = 0; entry < index; entry++) offset += entryLength(block, offset)
  return offset
}

/** An entry is shorter than 128 bytes (`entryParts` sees to it): its length is one octet. */
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

interface EntryParts {
  readonly serial: string
  readonly date: Uint8Array
  readonly extensions: Uint8Array | undefined
  /** Content octets of the entry. */
  readonly length: number
}

function entryParts(revocation: Revocation): EntryParts {
  const { serial } = revocation
  const date = encodeDate(revocation.revokedAt)
  const reason = reasonNumbers[revocation.reason ?? 'unspecified']
  const extensions = reason === 0 ? undefined : reasonExtensions.get(reason)
  const length = 2 + serial.length / 2 + date.length + (extensions?.length ?? 0)
  if (length <= entryLengthMax && serialPattern.test(serial)) {
    return { serial, date, extensions, length }
  }
  throw new InvariantError('ERR_CRL_ENTRY', 'not a serial number of this house', { serial })
}

/** One octet says the length of an entry, and of everything in it. */
const entryLengthMax = 127
/** Hex of a positive INTEGER in its shortest form: a zero octet stands first only before a first bit of one. */
const serialPattern = /^(?:00[89a-f][0-9a-f]|(?!00)[0-7][0-9a-f])(?:[0-9a-f]{2})*$/

function writeEntry(into: Buffer, at: number, parts: EntryParts): void {
  const octets = parts.serial.length / 2
  into[at] = 0x30
  into[at + 1] = parts.length
  into[at + 2] = 0x02
  into[at + 3] = octets
  into.write(parts.serial, at + 4, 'hex')
  into.set(parts.date, at + 4 + octets)
  if (parts.extensions !== undefined)
    into.set(parts.extensions, at + 4 + octets + parts.date.length)
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
