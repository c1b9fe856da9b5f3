/** Buses that follow a script, and a clock that moves when a driver waits. */
import assert from 'node:assert/strict'
import type { BusTime, I2cBus } from '../../../src/bus/ports.ts'

export function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
}

export function hexOf(value: Uint8Array): string {
  return Buffer.from(value).toString('hex')
}

export class ManualTime implements BusTime {
  #now = 0

  now(): number {
    return this.#now
  }

  async wait(milliseconds: number): Promise<void> {
    this.pass(milliseconds)
  }

  pass(milliseconds: number): void {
    this.#now += milliseconds
  }
}

/** CRC-16/UMTS register of the packet, written anew here so that the driver is not its own judge. */
function foreignCrc(data: Uint8Array): Uint8Array {
  // Bit by bit over a string of bits, lowest of each byte first.
  const bits = [...data].flatMap((byte) => [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => (byte >> bit) & 1))
  const register = Array.from({ length: 16 }, () => 0)
  for (const bit of bits) {
    const feedback = bit ^ (register.shift() ?? 0)
    register.push(0)
    if (feedback === 1) for (const tap of [0, 13, 15]) register[tap] = (register[tap] ?? 0) ^ 1
  }
  const value = register.reduce((sum, bit) => sum * 2 + bit, 0)
  return Uint8Array.of(value & 0xff, value >> 8)
}

/** An answer with this in it: count, data, CRC. */
export function answer(text: string): Uint8Array {
  const data = bytes(text)
  const head = Uint8Array.of(data.length + 3, ...data)
  return Uint8Array.of(...head, ...foreignCrc(head))
}

export const wakeAnswer: Uint8Array = bytes('04 11 33 43')
export const serialHex = '0123aabbccddeeffee'

/** The first 32 bytes of a configuration with this ChipMode and serial. */
export function identity(chipMode = 0, serial = serialHex): string {
  const mode = chipMode.toString(16).padStart(2, '0')
  const head = `${serial.slice(0, 8)} 00006003 ${serial.slice(8)} 01 01 00`
  return `${head} c0 00 00 ${mode} ${'00'.repeat(12)}`
}

export type Step =
  /** The packet that must come, and what the chip says then; undefined: nothing, ever. */
  readonly [packet: string, answer: Uint8Array | undefined, more?: StepOptions]

export interface StepOptions {
  /** How long the chip is busy with it. */
  readonly busyMs?: number
  /** What the bus does to each read of the answer, in turn. */
  readonly damage?: readonly ((answer: Uint8Array) => Uint8Array)[]
  /** Runs when the packet arrives. */
  readonly onArrival?: () => void
}

/**
 * An I2C bus with a chip that expects these packets in this order, at 0x60. It wakes, idles and
 * sleeps, and notes it all in `log`.
 */
export class ScriptedChip implements I2cBus {
  readonly where = '/dev/scripted'
  readonly log: string[] = []
  awake = false
  closed = false
  /** Wakes that get lost, from now on. */
  lostWakes = 0
  gone = false
  wakeSays: Uint8Array = wakeAnswer
  onIdle: () => void = () => undefined
  /** How far the buffer was read. */
  readAt = 0
  readonly #time: BusTime
  readonly #steps: Step[]
  #output: Uint8Array = new Uint8Array()
  #busyUntil = 0
  #damage: ((answer: Uint8Array) => Uint8Array)[] = []

  constructor(time: BusTime, steps: readonly Step[]) {
    this.#time = time
    this.#steps = [...steps]
  }

  async write(address: number, written: Uint8Array): Promise<boolean> {
    if (this.gone) return false
    if (address === 0) return this.#wake()
    assert.equal(address, 0x60)
    if (!this.awake || this.#time.now() < this.#busyUntil) return false
    const [word, ...rest] = written
    if (word === 0) this.readAt = 0
    else if (word === 1 || word === 2) {
      this.log.push(word === 1 ? 'sleep' : 'idle')
      this.awake = false
      this.onIdle()
    } else if (word === 3) this.#take(Uint8Array.from(rest))
    else assert.fail(`word address ${word}`)
    return true
  }

  async read(address: number, length: number): Promise<Uint8Array | undefined> {
    assert.equal(address, 0x60)
    if (this.gone || !this.awake || this.#time.now() < this.#busyUntil) return undefined
    if (this.readAt === 0) this.#shown = this.#damage.shift()?.(this.#output) ?? this.#output
    const start = this.readAt
    this.readAt += length
    // Past its end the buffer gives 0xFF.
    return Uint8Array.from({ length }, (_, index) => this.#shown[start + index] ?? 0xff)
  }

  #shown: Uint8Array = new Uint8Array()

  async close(): Promise<void> {
    this.closed = true
  }

  /** All that was expected has come. */
  done(): void {
    assert.deepEqual(
      this.#steps.map(([packet]) => packet),
      [],
    )
  }

  #wake(): boolean {
    if (this.awake) return false
    if (this.lostWakes > 0) {
      this.lostWakes--
      return false
    }
    this.log.push('wake')
    this.awake = true
    this.#show(this.wakeSays)
    return false
  }

  #take(packet: Uint8Array): void {
    const step = this.#steps.shift()
    assert.ok(step !== undefined, `an unexpected packet ${hexOf(packet)}`)
    const [expected, said, more = {}] = step
    assert.equal(hexOf(packet), hexOf(bytes(expected)))
    this.log.push(hexOf(packet.subarray(1, 3)))
    this.#damage = [...(more.damage ?? [])]
    this.#show(said ?? new Uint8Array())
    this.#busyUntil =
      said === undefined ? Number.POSITIVE_INFINITY : this.#time.now() + (more.busyMs ?? 0)
    more.onArrival?.()
  }

  #show(output: Uint8Array): void {
    this.#output = output
    this.readAt = 0
    this.#busyUntil = 0
  }
}

/** Read of the first 32 bytes of the configuration: what a session does when it is opened. */
export const readIdentity = '07 02 80 00 00 09 ad'

export function opening(chipMode?: number, serial?: string): Step {
  return [readIdentity, answer(identity(chipMode, serial))]
}
