/**
 * A conversation with one ATECC608: one command at a time, woken before, idle after; damaged and
 * lost answers are read or asked for again where that is safe, and only there.
 *
 * Two drivers may share a chip. The answer to a wake can be read once, because reading it moves the
 * chip's read pointer on and only a chip that was asleep gives it; so who has read it holds the
 * chip until the idle that follows, and who has not keeps silent. A driver that does not do so can
 * still put a command between ours and its answer: an answer of another length, a lost state or a
 * silent chip is seen here, an answer of the same length is not. See docs/element/drivers.md.
 * That the answer to a wake is read once is unconfirmed on silicon (U9).
 */
import { concat, hex } from '@countersign/core/codec'
import { elementError, isElementError } from '@countersign/core/ports'
import type { BusTime } from '../../bus/ports.ts'
import { type ClockMode, clockModeOf, timeMsMax } from './commandTable.ts'
import { Exchange, isBroken } from './exchange.ts'
import type { Command } from './packet.ts'
import { readAnswer, status, statusOf } from './status.ts'
import type { ChipWire } from './wire.ts'

/** What typed commands are sent by: a session, or a sequence in it. */
export interface CommandLine {
  /** The data of the answer; empty for a status of success. Throws what the chip says. */
  run(command: Command): Promise<Uint8Array>
}

export interface ChipSession extends CommandLine {
  readonly where: string
  /** Nine bytes, lower-case hex, as found when the session was opened. */
  readonly serial: string
  /**
   * Commands that share the volatile memory of the chip (TempKey), with nobody between them. When
   * that memory is lost under way, `steps` is run once more from its start, unless one of its
   * commands may not be repeated; so it has no effect but its commands. Inside, only `line` may be
   * used: the session itself waits until the sequence is over.
   */
  sequence<T>(steps: (line: CommandLine) => Promise<T>): Promise<T>
  /** Reads clock and watchdog anew, after the configuration was changed. */
  refresh(): Promise<void>
  /** The chip sleeps, and forgets its volatile memory. */
  close(): Promise<void>
}

export interface SessionOptions {
  /**
   * How long a chip may not acknowledge, or be used by someone else, before this is an error.
   * After a watchdog's time any chip sleeps, so less makes sense only where nobody else is.
   */
  readonly patienceMs?: number
}

const patienceMsDefault = 1500
/**
 * No hand, and no handler, takes a chip out and puts another in its place in less: a chip that was
 * idle for longer is asked who it is.
 */
const swapMsMin = 500
/** How often one command is sent at most. */
const triesMax = 3
/** The serial and ChipMode are in the first 32 bytes of the configuration. */
const readIdentity: Command = {
  name: 'Read',
  param1: 0x80,
  param2: 0,
  answer: 32,
  repeat: 'alone',
}
const chipModeOffset = 19
const longWatchdogBit = 0x04

export async function openChipSession(
  wire: ChipWire,
  time: BusTime,
  options: SessionOptions = {},
): Promise<ChipSession> {
  const session = new Session(new Exchange(wire, time, options.patienceMs ?? patienceMsDefault))
  try {
    await session.refresh()
  } catch (error) {
    await wire.close()
    throw error
  }
  return session
}

class Session implements ChipSession {
  readonly where: string
  #serial: string | undefined
  #clock: ClockMode = 0
  readonly #exchange: Exchange
  /** Something went wrong: before the next command, see who is there. */
  #suspect = false
  #closed = false
  #queue: Promise<unknown> = Promise.resolve()

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    this.where = exchange.where
  }

  get serial(): string {
    return this.#serial ?? ''
  }

  run(command: Command): Promise<Uint8Array> {
    return this.#alone(() => this.#runAlone(command))
  }

  sequence<T>(steps: (line: CommandLine) => Promise<T>): Promise<T> {
    return this.#alone(() => this.#runSequence(steps))
  }

  async refresh(): Promise<void> {
    await this.#alone(async () => this.#learn(await this.#runAlone(readIdentity)))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#queue
    await this.#exchange.close()
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      return Promise.reject(elementError('ERR_ELEMENT_GONE', 'the element was closed'))
    }
    const done = this.#queue.then(work)
    // The next one must not fail with this one; its own caller hears of it.
    this.#queue = done.catch(() => undefined)
    return done
  }

  async #runAlone(command: Command): Promise<Uint8Array> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#begin()
        return readAnswer(command, await this.#ask(command))
      } catch (error) {
        if (!isBroken(error)) throw error
        this.#suspect = true
        if (command.repeat !== 'alone' || tries === triesMax) throw error
      } finally {
        await this.#exchange.idle()
      }
    }
  }

  async #runSequence<T>(steps: (line: CommandLine) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const line = new SequenceLine((command) => this.#ask(command))
      try {
        await this.#begin()
        const result = await steps(line)
        if (line.broken === undefined) return result
        throw line.broken // steps went on over it
      } catch (error) {
        if (isBroken(error)) this.#suspect = true
        if (tries > 1 || !line.mayRepeat(error)) throw error
      } finally {
        line.end()
        await this.#exchange.idle()
      }
    }
  }

  /** Awake, and still the same chip. */
  async #begin(): Promise<void> {
    const trusted = !this.#suspect && this.#exchange.idleForMs() < swapMsMin
    this.#suspect = true // until all of this has succeeded
    const smooth = await this.#exchange.wake(this.#serial !== undefined)
    if (!(trusted && smooth)) {
      this.#learn(readAnswer(readIdentity, await this.#ask(readIdentity)))
    }
    this.#suspect = false
  }

  #ask(command: Command): Promise<Uint8Array> {
    return this.#exchange.ask(command, timeMsMax(command.name, this.#clock))
  }

  #learn(identity: Uint8Array): void {
    const serial = hex(serialOf(identity))
    if (this.#serial !== undefined && serial !== this.#serial) {
      throw elementError(
        'ERR_ELEMENT_SWAPPED',
        'another element answers where one was',
        { serial, expected: this.#serial },
        { where: this.where, hint: 'Open the element anew if this one is meant.' },
      )
    }
    this.#serial = serial
    const chipMode = identity[chipModeOffset] ?? 0
    this.#clock = clockModeOf(chipMode)
    this.#exchange.longWatchdog = (chipMode & longWatchdogBit) !== 0
  }
}

/** The commands of one run of a sequence, one after the other also when `steps` does not wait. */
class SequenceLine implements CommandLine {
  /** The first failure that made the volatile memory doubtful. */
  broken: unknown
  readonly #send: (command: Command) => Promise<Uint8Array>
  #count = 0
  #repeatable = true
  #ended = false
  #queue: Promise<unknown> = Promise.resolve()

  constructor(send: (command: Command) => Promise<Uint8Array>) {
    this.#send = send
  }

  run(command: Command): Promise<Uint8Array> {
    const done = this.#queue.then(() => this.#runNow(command))
    this.#queue = done.catch(() => undefined)
    return done
  }

  end(): void {
    this.#ended = true
  }

  /**
   * Nothing here burned or counted, and the error can come from a lost memory: also a refusal,
   * since a chip without its TempKey refuses what needs it.
   */
  mayRepeat(error: unknown): boolean {
    if (!this.#repeatable || !isElementError(error)) return false
    return isBroken(error) || (this.#count > 1 && statusOf(error) === status.execution)
  }

  async #runNow(command: Command): Promise<Uint8Array> {
    if (this.#ended) {
      throw elementError('ERR_ELEMENT_ARGUMENT', `${command.name} came after its sequence`)
    }
    if (this.broken !== undefined) throw this.broken
    this.#count++
    this.#repeatable &&= command.repeat !== 'never'
    try {
      return readAnswer(command, await this.#send(command))
    } catch (error) {
      if (isBroken(error)) this.broken = error
      throw error
    }
  }
}

/** SN[0:3] are bytes 0 to 3 of the configuration, SN[4:8] bytes 8 to 12. */
function serialOf(identity: Uint8Array): Uint8Array {
  return concat(identity.subarray(0, 4), identity.subarray(8, 13))
}
