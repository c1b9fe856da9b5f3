/**
 * Readings that the server has not yet acknowledged: an append-only file of JSON lines. A reading
 * is flushed to the disk before anyone sends it; that it was settled is written without a flush,
 * because after a crash the server knows a resent number. The outbox is bounded: when it is full
 * the oldest readings go, and the caller is told which.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AdapterError } from '@countersign/core/errors'
import { privateMode, syncFolder, writeDurably } from '@countersign/element/durable'
import { errorCode, parseRecord } from '@countersign/element/shapes'
import type { DeviceErrorCode } from '../errors.ts'

export interface Reading {
  readonly number: number
  readonly topic: string
  readonly contentType: string
  readonly data: Uint8Array
}

export interface OutboxLimits {
  readonly readingsMax: number
  readonly bytesMax: number
}

/** A day of readings at one in ten seconds, and no more than a small flash can spare. */
export const outboxLimits: OutboxLimits = { readingsMax: 10_000, bytesMax: 16 * 1024 * 1024 }

/** The file is rewritten when it holds this much that is no longer needed. */
const wasteMax = 1024 * 1024

export class Outbox {
  readonly #path: string
  readonly #limits: OutboxLimits
  /** In order of their numbers, which is the order of insertion. */
  readonly #readings: Map<number, { reading: Reading; size: number }> = new Map()
  #file: FileHandle
  #fileSize: number
  #liveSize = 0
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(path: string, limits: OutboxLimits, file: FileHandle, fileSize: number) {
    this.#path = path
    this.#limits = limits
    this.#file = file
    this.#fileSize = fileSize
  }

  static async open(path: string, limits: OutboxLimits = outboxLimits): Promise<Outbox> {
    const { lines, size } = await readLines(path)
    const file = await open(path, 'a', privateMode)
    try {
      // What a crash left half-written was never sent, and its number is never given again.
      await file.truncate(size)
      await file.sync()
      await syncFolder(dirname(path))
    } catch (error) {
      await file.close()
      throw error
    }
    const outbox = new Outbox(path, limits, file, size)
    for (const line of lines) outbox.#replay(line)
    return outbox
  }

  get size(): number {
    return this.#readings.size
  }

  /** The oldest reading that waits. */
  first(): Reading | undefined {
    for (const { reading } of this.#readings.values()) return reading
    return undefined
  }

  /** Durable when it resolves. Answers the numbers of the readings that had to make room. */
  add(reading: Reading): Promise<readonly number[]> {
    return this.#inTurn(async () => {
      const line = encodeReading(reading)
      await this.#append(line)
      await this.#file.sync()
      this.#keep(reading, line.length)
      return this.#makeRoom()
    })
  }

  /** The server has this reading, or will never take it. */
  settle(number: number): Promise<void> {
    return this.#inTurn(() => this.#forget(number))
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#file.close())
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #makeRoom(): Promise<readonly number[]> {
    const dropped: number[] = []
    while (
      this.#readings.size > this.#limits.readingsMax ||
      this.#liveSize > this.#limits.bytesMax
    ) {
      const oldest = this.first()
      if (oldest === undefined || this.#readings.size === 1) break
      await this.#forget(oldest.number)
      dropped.push(oldest.number)
    }
    return dropped
  }

  async #forget(number: number): Promise<void> {
    const entry = this.#readings.get(number)
    if (entry === undefined) return
    await this.#append(Buffer.from(`${JSON.stringify({ settled: number })}\n`))
    this.#readings.delete(number)
    this.#liveSize -= entry.size
    if (this.#fileSize - this.#liveSize > wasteMax) await this.#rewrite()
  }

  async #append(line: Uint8Array): Promise<void> {
    try {
      await this.#file.appendFile(line)
      this.#fileSize += line.length
    } catch (error) {
      // Half a line before the next one would make both unreadable.
      await this.#file.truncate(this.#fileSize).catch(() => undefined)
      throw error
    }
  }

  async #rewrite(): Promise<void> {
    const lines = Array.from(this.#readings.values(), ({ reading }) => encodeReading(reading))
    const content = Buffer.concat(lines)
    await writeDurably(this.#path, content)
    const old = this.#file
    this.#file = await open(this.#path, 'a', privateMode)
    this.#fileSize = content.length
    await old.close()
  }

  #keep(reading: Reading, size: number): void {
    this.#readings.set(reading.number, { reading, size })
    this.#liveSize += size
  }

  #replay(line: Line): void {
    if ('settled' in line) {
      const entry = this.#readings.get(line.settled)
      if (entry === undefined) return
      this.#readings.delete(line.settled)
      this.#liveSize -= entry.size
    } else {
      this.#keep(line.reading, line.size)
    }
  }
}

/** How many readings wait, for `show`: without the lock, and without touching the file. */
export async function countWaiting(path: string): Promise<number> {
  const { lines } = await readLines(path)
  const waiting = new Set<number>()
  for (const line of lines) {
    if ('settled' in line) waiting.delete(line.settled)
    else waiting.add(line.reading.number)
  }
  return waiting.size
}

type Line = { readonly settled: number } | { readonly reading: Reading; readonly size: number }

function encodeReading(reading: Reading): Buffer {
  const { data, ...rest } = reading
  return Buffer.from(`${JSON.stringify({ ...rest, data: Buffer.from(data).toString('base64') })}\n`)
}

/** The readable lines and where they end. Only the tail may be unreadable: a crash wrote it. */
async function readLines(path: string): Promise<{ lines: Line[]; size: number }> {
  let content: Buffer
  try {
    content = await readFile(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { lines: [], size: 0 }
    throw error
  }
  const lines: Line[] = []
  let size = 0
  for (let start = 0; start < content.length; ) {
    const end = content.indexOf(0x0a, start)
    const line = end < 0 ? undefined : parseLine(content.subarray(start, end))
    if (line === undefined) {
      requireTail(path, content.subarray(start))
      break
    }
    lines.push(line)
    start = end + 1
    size = start
  }
  return { lines, size }
}

function requireTail(path: string, rest: Buffer): void {
  const readable = rest
    .toString('latin1')
    .split('\n')
    .slice(1, -1)
    .some((line) => parseLine(Buffer.from(line, 'latin1')) !== undefined)
  if (!readable) return
  throw new AdapterError<DeviceErrorCode>(
    'ERR_STATE_DAMAGED',
    'the outbox is damaged in the middle: the disk lost what it had confirmed',
    {},
    { where: path, hint: 'Remove the file to go on without the readings that were waiting.' },
  )
}

function parseLine(bytes: Buffer): Line | undefined {
  const value = parseRecord(bytes.toString('utf8'))
  if (value === undefined) return undefined
  if (isNumber(value.settled)) return { settled: value.settled }
  const { number, topic, contentType, data } = value
  if (!isNumber(number) || typeof topic !== 'string') return undefined
  if (typeof contentType !== 'string' || typeof data !== 'string') return undefined
  const reading = { number, topic, contentType, data: Buffer.from(data, 'base64') }
  return { reading, size: bytes.length + 1 }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
