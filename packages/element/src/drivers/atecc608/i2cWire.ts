/**
 * An ATECC608 on I2C. Woken by address 0, which holds SDA low long enough at 100 kHz and not at
 * 400, which is unconfirmed on silicon (U1); after that the first byte of each write (the word
 * address) says what it is.
 */
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import type { BusTime, I2cBus } from '../../bus/ports.ts'
import { answerLengthMax, answerLengthMin } from './packet.ts'
import type { ChipWire } from './wire.ts'

const wordAddress = { reset: 0x00, sleep: 0x01, idle: 0x02, command: 0x03 } as const
/**
 * The low bits of the address wake; a byte follows because a write has one. Should another part on
 * the bus listen to the general call, an odd byte asks nothing of it, where 0x04 and 0x06 reset.
 */
const wakeByte = 0x01
const generalCall = 0
/** From wake to the first answer: 1.5 of the chip, and a timer of the machine may be one early. */
const wakeMs = 2.5
const wakeAnswerLength = 4

export const defaultI2cAddress = 0x60

export function i2cWire(bus: I2cBus, time: BusTime, address: number = defaultI2cAddress): ChipWire {
  // 0x00-0x07 and 0x78-0x7F are reserved by the bus.
  if (!Number.isInteger(address) || address < 0x08 || address > 0x77) {
    throw elementError('ERR_ELEMENT_ARGUMENT', `no chip has the 7-bit I2C address ${address}`, {
      address,
    })
  }
  return new I2cWire(bus, time, address)
}

class I2cWire implements ChipWire {
  readonly where: string
  readonly #bus: I2cBus
  readonly #time: BusTime
  readonly #address: number

  constructor(bus: I2cBus, time: BusTime, address: number) {
    this.#bus = bus
    this.#time = time
    this.#address = address
    this.where = `${bus.where} address 0x${address.toString(16)}`
  }

  async wake(): Promise<Uint8Array> {
    // Nobody acknowledges address 0, and nobody has to: the chip wakes from the low SDA itself.
    await this.#bus.write(generalCall, Uint8Array.of(wakeByte))
    await this.#time.wait(wakeMs)
    // Without a reset of the read pointer: the wake answer goes to one reader only, and whoever
    // has read it may speak. See session.ts.
    return (await this.#bus.read(this.#address, wakeAnswerLength)) ?? new Uint8Array()
  }

  send(packet: Uint8Array): Promise<boolean> {
    return this.#write(wordAddress.command, packet)
  }

  async receive(): Promise<Uint8Array | undefined> {
    if (!(await this.#write(wordAddress.reset))) return undefined
    const count = await this.#bus.read(this.#address, 1)
    if (count === undefined) return undefined
    const length = count[0] ?? 0
    if (length < answerLengthMin || length > answerLengthMax) return count
    const rest = await this.#bus.read(this.#address, length - 1)
    return rest === undefined ? count : concat(count, rest)
  }

  async idle(): Promise<void> {
    // Once more when it was lost: a chip left awake looks like one that someone else uses.
    if (!(await this.#write(wordAddress.idle))) await this.#write(wordAddress.idle)
  }

  async sleep(): Promise<void> {
    await this.#write(wordAddress.sleep)
  }

  close(): Promise<void> {
    return this.#bus.close()
  }

  #write(word: number, bytes: Uint8Array = new Uint8Array()): Promise<boolean> {
    return this.#bus.write(this.#address, concat(Uint8Array.of(word), bytes))
  }
}
