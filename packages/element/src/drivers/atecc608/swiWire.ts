/**
 * An ATECC608 on a single wire, over a UART whose two lines are joined on it: a byte of the UART for
 * each bit, the lowest bit first. Whatever is sent is heard again, and compared, so that a wire that
 * is not joined, or on which somebody else talks, shows.
 */
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import type { BusTime, Uart } from '../../bus/ports.ts'
import { answerLengthMax, answerLengthMin } from './packet.ts'
import type { ChipWire } from './wire.ts'

const flags = { command: 0x77, transmit: 0x88, idle: 0xbb, sleep: 0xcc } as const
const bitRate = 230_400
/** At this rate a byte of zeros holds the line low for long enough to wake, and its bits do not. */
const wakeRate = 115_200
const wakeToken: Uint8Array = Uint8Array.of(0x00)
const one = 0x7f
const zero = 0x7d
/** From wake to the first answer: 1.5 of the chip, and a timer of the machine may be one early. */
const wakeMs = 2.5
/** A bit is a byte of 9 bits (start, 7, stop) at 230400. */
const bitMs = 0.04
/** USB adapters collect what they receive for 16 ms before they hand it over. */
const latencyMs = 25
/**
 * The wire makes an echo at once, so its lateness is the machine's: its scheduler and its USB stack.
 * Waiting costs nothing when it is there.
 */
const echoMs = 500
/** The rest of an answer, and one that is due. Three of them end before a watchdog. */
const lateMs = 250
/** More than anything that may still be under way. */
const anything = 4096

export function swiWire(uart: Uart, time: BusTime): ChipWire {
  return new SwiWire(uart, time)
}

class SwiWire implements ChipWire {
  readonly where: string
  readonly #uart: Uart
  readonly #time: BusTime
  /** The UART has heard something, so the line is joined. */
  #isJoined = false
  /** What was waited for in vain may still come, and would stand where the next echo is looked for. */
  #isOwed = false

  constructor(uart: Uart, time: BusTime) {
    this.#uart = uart
    this.#time = time
    this.where = uart.where
  }

  async wake(): Promise<Uint8Array> {
    // Nothing came at the last one: was there no answer, or was it late?
    const isDoubtful = this.#isOwed
    await this.#settle()
    await this.#uart.setBaudRate(wakeRate)
    await this.#uart.discard()
    await this.#uart.write(wakeToken)
    // Its echo, which must be in before the rate changes; what it is does not matter.
    await this.#hear(1, echoMs)
    await this.#uart.setBaudRate(bitRate)
    await this.#time.wait(wakeMs)
    const answer = await this.receive(isDoubtful)
    if (!this.#isJoined) throw this.#notJoined()
    return answer ?? new Uint8Array()
  }

  async send(packet: Uint8Array): Promise<boolean> {
    await this.#settle()
    return this.#sendBits(concat(Uint8Array.of(flags.command), packet))
  }

  async receive(isDue: boolean): Promise<Uint8Array | undefined> {
    const { transmit } = flags
    const isHeard = isDue ? this.#insist(transmit) : this.#sendBits(Uint8Array.of(transmit))
    if (!(await isHeard)) return undefined
    const count = await this.#receiveBits(1, isDue ? lateMs : latencyMs)
    // A chip that is asleep or busy says nothing at all.
    if (count.length === 0) return undefined
    const length = count[0] ?? 0
    if (length < answerLengthMin || length > answerLengthMax) return count
    return concat(count, await this.#receiveBits(length - 1, lateMs))
  }

  async idle(): Promise<void> {
    await this.#insist(flags.idle)
  }

  async sleep(): Promise<void> {
    await this.#insist(flags.sleep)
  }

  close(): Promise<void> {
    return this.#uart.close()
  }

  /** Once more when it was lost: a chip left awake looks like one that someone else uses. */
  async #insist(flag: number): Promise<boolean> {
    await this.#settle()
    if (await this.#sendBits(Uint8Array.of(flag))) return true
    await this.#settle()
    return this.#sendBits(Uint8Array.of(flag))
  }

  /** So that late bytes of what went before are not taken for the next echo. */
  async #settle(): Promise<void> {
    if (this.#isOwed) await this.#uart.read(anything, latencyMs)
  }

  /**
   * False when what came back is not what was sent, or nothing did: the chip may have it all the
   * same.
   */
  async #sendBits(bytes: Uint8Array): Promise<boolean> {
    const bits = encodeBits(bytes)
    // What a damaged answer left behind is not our echo.
    await this.#uart.discard()
    await this.#uart.write(bits)
    const echo = await this.#hear(bits.length, bits.length * bitMs + echoMs)
    const isEcho = echo.length === bits.length && echo.every((bit, index) => bit === bits[index])
    if (!isEcho) this.#isOwed = true
    return isEcho
  }

  /** Fewer when the time is over; the bits of a byte that is not whole are dropped. */
  async #receiveBits(length: number, patienceMs: number): Promise<Uint8Array> {
    const bits = length * 8
    return decodeBits(await this.#hear(bits, bits * bitMs + patienceMs))
  }

  async #hear(length: number, timeoutMs: number): Promise<Uint8Array> {
    const tokens = await this.#uart.read(length, timeoutMs)
    this.#isJoined ||= tokens.length > 0
    this.#isOwed = tokens.length < length
    return tokens
  }

  /** Said at a wake before anything was heard: what is lost later is lost on a line that is joined. */
  #notJoined(): Error {
    return elementError(
      'ERR_ELEMENT_BUS',
      'the UART does not hear itself',
      {},
      {
        where: this.where,
        hint: 'Join TX (through a resistor or open drain) and RX on the single wire.',
      },
    )
  }
}

function encodeBits(bytes: Uint8Array): Uint8Array {
  const bits = new Uint8Array(bytes.length * 8)
  for (let index = 0; index < bits.length; index++) {
    bits[index] = (((bytes[index >> 3] ?? 0) >> (index & 7)) & 1) === 1 ? one : zero
  }
  return bits
}

/** A one is all high but the start bit; the chip's timing may move the edge by one bit. */
function decodeBits(tokens: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(tokens.length >> 3)
  for (let index = 0; index < bytes.length * 8; index++) {
    const isOne = ((tokens[index] ?? 0) ^ one) < 2
    if (isOne) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (1 << (index & 7))
  }
  return bytes
}
