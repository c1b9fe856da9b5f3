/**
 * An emulated ATECC608 behind its wires: packets in, replies out, byte for byte. It checks count
 * and CRC, runs the command on EEPROM and volatile registers, and says how long the chip would be
 * busy; when the reply becomes visible, wake pulses, the watchdog and faults belong to the wires.
 *
 * Facts are those of public documentation of the part and its family; what those do not settle is
 * marked with its number in docs/element/unconfirmed.md.
 */
import { zone } from './address.ts'
import { allTests } from './commands/selfTest.ts'
import { handlers } from './commands/table.ts'
import { Config } from './config.ts'
import { crc16 } from './crc16.ts'
import type { Eeprom } from './eeprom.ts'
import type { Inside } from './inside.ts'
import { at } from './layout.ts'
import { Refusal, type Status, status } from './status.ts'
import { Registers } from './tempKey.ts'
import { executionMs, parseMs } from './timing.ts'

export interface ChipOptions {
  /** Exactly `length` random bytes; undefined when the generator fails its health test now. */
  random(length: number): Uint8Array | undefined
  /** Which of these self-tests fail now, as bits of SelfTest's mode. None when it is absent. */
  readonly selfTest?: ((tests: number) => number) | undefined
}

export interface Execution {
  /** Count, data and CRC. */
  readonly response: Uint8Array
  /** Absent when count or CRC of the packet were wrong. */
  readonly opcode: number | undefined
  /** The longest that the part may need, for the clock that its ChipMode chose. */
  readonly executionMs: number
}

/** Count, opcode, param1, param2 (2), CRC (2). */
const packetLengthMin = 7
const packetLengthMax = 151
/**
 * While the configuration is open the generator gives this, so that nobody uses it by mistake.
 * Unconfirmed on silicon (U16).
 */
const fixedPattern = [0xff, 0xff, 0x00, 0x00]

export class Chip {
  readonly #inside: Inside

  /** A chip whose power has just come on. */
  constructor(eeprom: Eeprom, options: ChipOptions) {
    const config = new Config(eeprom)
    this.#inside = {
      eeprom,
      config,
      registers: new Registers(),
      random: (length) =>
        config.configLocked
          ? healthy(options.random(length))
          : Uint8Array.from({ length }, (_, index) => fixedPattern[index % 4] ?? 0),
      selfTest: options.selfTest ?? (() => 0),
    }
  }

  /** What it answers to the first read behind a wake pulse. ChipOptions bit 0: it tests itself then. */
  wake(): Uint8Array {
    const { registers, config } = this.#inside
    registers.wake()
    if ((config.byte(at.chipOptions) & 1) !== 0) {
      registers.failedTests = this.#inside.selfTest(allTests)
    }
    return responseOf(Uint8Array.of(registers.failedTests === 0 ? status.woke : status.selfTest))
  }

  /** Stops the watchdog and keeps what it remembers. */
  idle(): void {}

  /** Also what the watchdog does when its time is over. */
  sleep(): void {
    this.#inside.registers.sleep()
  }

  /**
   * A packet as it stands behind the word address: count to CRC. With less time left before the
   * watchdog than the command may need, it is not carried out. Unconfirmed on silicon (U14).
   */
  execute(packet: Uint8Array, timeLeftMs: number = Number.POSITIVE_INFINITY): Execution {
    if (!isSound(packet)) return refusal(undefined, status.communication)
    const opcode = packet[1]
    // Measured before: a command may change ChipMode.
    const busyMs = executionMs(opcode, this.#inside.config.byte(at.chipMode))
    if (busyMs > timeLeftMs) return refusal(opcode, status.watchdog)
    return { response: responseOf(this.#run(packet)), opcode, executionMs: busyMs }
  }

  #run(packet: Uint8Array): Uint8Array {
    const [, opcode = 0, mode = 0, low = 0, high = 0] = packet
    const handler = handlers.get(opcode)
    if (handler === undefined) return Uint8Array.of(status.parse)
    if (this.#inside.registers.failedTests !== 0 && !worksInFailure(opcode, mode)) {
      return Uint8Array.of(status.selfTest)
    }
    const data = packet.slice(5, packet.length - 2)
    try {
      return handler(this.#inside, { opcode, mode, param2: low | (high << 8), data })
    } catch (error) {
      // Anything else is a power cut from the EEPROM's hook, or our bug.
      if (!(error instanceof Refusal)) throw error
      return Uint8Array.of(error.status)
    }
  }
}

/** The parts that may fail are not used by these. Unconfirmed on silicon (U45). */
function worksInFailure(opcode: number, mode: number): boolean {
  return opcode === 0x77 || (opcode === 0x02 && (mode & 3) === zone.config)
}

/** The next command may be well again. Unconfirmed on silicon (U46). */
function healthy(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new Refusal(status.rngHealth)
  return bytes
}

function refusal(opcode: number | undefined, code: Status): Execution {
  return { response: responseOf(Uint8Array.of(code)), opcode, executionMs: parseMs }
}

function isSound(packet: Uint8Array): boolean {
  const { length } = packet
  if (length < packetLengthMin || length > packetLengthMax || packet[0] !== length) return false
  const crc = crc16(packet, 0, length - 2)
  return packet[length - 2] === (crc & 0xff) && packet[length - 1] === crc >> 8
}

function responseOf(data: Uint8Array): Uint8Array {
  const response = new Uint8Array(data.length + 3)
  response[0] = response.length
  response.set(data, 1)
  const crc = crc16(response, 0, response.length - 2)
  response[response.length - 2] = crc & 0xff
  response[response.length - 1] = crc >> 8
  return response
}
