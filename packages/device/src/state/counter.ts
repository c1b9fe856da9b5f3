/**
 * Numbers of readings: each is given once in the life of the state folder. A block is reserved on
 * the disk before its first number is used, so that a crash skips the rest of a block and never
 * repeats a number.
 */
import { readFile } from 'node:fs/promises'
import { AdapterError } from '@countersign/core/errors'
import { writeDurably } from '@countersign/element/durable'
import { errorCode, parseRecord } from '@countersign/element/shapes'
import type { DeviceErrorCode } from '../errors.ts'

/** Readings between two writes of the counter: a crash skips at most as many numbers. */
const blockSize = 64

export interface Counter {
  next(): Promise<number>
  /** Gives back what was reserved and not used. No number is asked for afterwards. */
  close(): Promise<void>
}

export async function openCounter(path: string): Promise<Counter> {
  return new FileCounter(path, await readReserved(path))
}

/** Everything below this number may have been given. */
export async function readReserved(path: string): Promise<number> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 1
    throw error
  }
  const reserved = parseRecord(text)?.reserved
  if (typeof reserved === 'number' && Number.isSafeInteger(reserved) && reserved >= 1) {
    return reserved
  }
  // Starting again at one would give new readings the numbers of old ones, and the server would
  // drop them as resent.
  throw new AdapterError<DeviceErrorCode>(
    'ERR_STATE_DAMAGED',
    'the counter of readings is not readable',
    {},
    { where: path, hint: 'Enrol again in an empty state folder.' },
  )
}

async function writeReserved(path: string, reserved: number): Promise<void> {
  await writeDurably(path, `${JSON.stringify({ reserved })}\n`)
}

class FileCounter implements Counter {
  readonly #path: string
  #next: number
  #reserved: number
  /** One at a time: two callers never see the same number. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(path: string, reserved: number) {
    this.#path = path
    this.#next = reserved
    this.#reserved = reserved
  }

  next(): Promise<number> {
    const mine = this.#turn.then(() => this.#take())
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async close(): Promise<void> {
    await this.#turn
    if (this.#next === this.#reserved) return
    await writeReserved(this.#path, this.#next)
    this.#reserved = this.#next
  }

  async #take(): Promise<number> {
    if (this.#next >= this.#reserved) {
      const reserved = this.#next + blockSize
      await writeReserved(this.#path, reserved)
      this.#reserved = reserved
    }
    return this.#next++
  }
}
