/**
 * ATECC608 parts on an I2C bus inside this process, as a Linux host meets them: NACK while asleep
 * or busy, woken by the low bits of a transfer to address 0, word addresses, and a reply that may be
 * read in pieces.
 *
 * Not modelled: clock stretching (the part has none), bit timing beyond the width of the wake pulse,
 * and wakes by zero bytes that are meant for others.
 */
import { elementError } from '@countersign/core/ports'
import type { I2cBus } from '../../bus/ports.ts'
import type { EmulatedPart } from './part.ts'
import { wakePulseMs } from './times.ts'

export interface EmulatedI2cOptions {
  /** Above 133 kHz the zeros of the general call are too short to wake anyone. */
  readonly clockHz?: number
  /** For what was opened together with the bus. */
  readonly onClose?: () => void
}

export function emulatedI2c(
  parts: readonly EmulatedPart[],
  { clockHz = 100_000, onClose }: EmulatedI2cOptions = {},
): I2cBus {
  const ends = parts.map((part) => new I2cEnd(part))
  const wakes = 8_000 / clockHz >= wakePulseMs
  // Each transfer runs without an await: two hosts cannot get into each other's.
  return {
    where: 'emulated I2C',
    write: async (address, bytes) => {
      checkTransfer(address, bytes.length)
      if (address === 0 && wakes) for (const end of ends) end.part.wake()
      return hearing(ends, address)?.write(bytes) ?? false
    },
    read: async (address, length) => {
      checkTransfer(address, length)
      return hearing(ends, address)?.read(length)
    },
    close: async () => onClose?.(),
  }
}

/** Two parts with one address are as on a real bus a mistake; here the first one answers. */
function hearing(ends: readonly I2cEnd[], address: number): I2cEnd | undefined {
  return ends.find((end) => end.hears(address))
}

function checkTransfer(address: number, length: number): void {
  const isAddress = Number.isInteger(address) && address >= 0 && address <= 0x7f
  if (isAddress && Number.isInteger(length) && length >= 0) return
  throw elementError('ERR_ELEMENT_ARGUMENT', 'no such I2C transfer', { address, length })
}

const wordAddress = { reset: 0x00, sleep: 0x01, idle: 0x02, command: 0x03 } as const
/** What the part drives when it has nothing to say: nothing, and the line is high. */
const noData = 0xff

/** One part's end of the bus: the I/O buffer and how far it was written and read. */
class I2cEnd {
  readonly part: EmulatedPart
  #wakes = 0
  /** Of a command that has not arrived as a whole. */
  #input: number[] = []
  #flippedBit: number | undefined
  #readPointer = 0

  constructor(part: EmulatedPart) {
    this.part = part
  }

  hears(address: number): boolean {
    if (!this.part.hears()) return false
    this.#noticeWake()
    const { framing, address: own } = this.part.wiring
    return framing === 'i2c' && address === own
  }

  /** True: what came was acknowledged. An address without a byte only asks whether someone is there. */
  write(bytes: Uint8Array): boolean {
    switch (bytes[0]) {
      case wordAddress.reset:
        this.#input = []
        this.#readPointer = 0
        break
      case wordAddress.sleep:
        this.part.sleep()
        break
      case wordAddress.idle:
        this.part.idle()
        break
      case wordAddress.command:
        this.#take(bytes.subarray(1))
        break
      default:
        // Reserved: acknowledged and without effect. Unconfirmed on silicon (U4).
        break
    }
    return true
  }

  /** undefined: not acknowledged. */
  read(length: number): Uint8Array | undefined {
    // Asked for a reply, a part that still waits for the rest of a command can only say that it was
    // not received well. Unconfirmed on silicon (U3).
    if (this.#input.length > 0) this.#run()
    if (!this.part.hears()) return undefined
    const answer = new Uint8Array(length).fill(noData)
    answer.set(this.part.reply.subarray(this.#readPointer, this.#readPointer + length))
    this.#readPointer += length
    return answer
  }

  /**
   * Bytes of a command go on where the last ones ended, until there are as many as its count says.
   * More than that are a command whose count is wrong, and the chip judges it so. Both unconfirmed
   * on silicon (U3).
   */
  #take(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#input.length === 0) this.#flippedBit = this.part.faults.beginCommand()
    for (const byte of bytes) this.#input.push(this.#flipped(byte))
    if (this.#input.length >= (this.#input[0] ?? 0)) this.#run()
  }

  #flipped(byte: number): number {
    const bit = (this.#flippedBit ?? -1) - 8 * this.#input.length
    return bit >= 0 && bit < 8 ? byte ^ (1 << bit) : byte
  }

  #run(): void {
    const packet = Uint8Array.from(this.#input)
    this.#input = []
    this.#readPointer = 0
    this.part.run(packet)
  }

  #noticeWake(): void {
    if (this.#wakes === this.part.wakes) return
    this.#wakes = this.part.wakes
    this.#input = []
    this.#readPointer = 0
  }
}
