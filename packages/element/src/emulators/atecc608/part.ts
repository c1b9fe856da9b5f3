/**
 * An ATECC608 with power and time: asleep, idle or awake, busy, watched by its watchdog. The wires
 * (i2cEndpoint.ts, swiEndpoint.ts) bring it bytes; what a command does is chip.ts's.
 *
 * There is no timer. Whoever touches the part makes it catch up with the clock first, so that a
 * test that holds the time in its hand holds the part too.
 */
import type { BusTime } from '../../bus/ports.ts'
import type { Chip, Execution } from './chip.ts'
import { Faults, PowerCut } from './faults.ts'
import { wakeDelayMs } from './times.ts'
import { type Wiring, wiringOf } from './wiring.ts'

/** What the wires need of a chip. */
export type ChipCore = Pick<Chip, 'wake' | 'idle' | 'sleep' | 'execute'>

/** The chip in its package: swapped as one. */
export interface Core {
  readonly chip: ChipCore
  /** The configuration zone as it is now, 128 bytes. */
  config(): Uint8Array
  /** Before each EEPROM write; when it throws, nothing is written and `execute` throws the same. */
  guardWrites(guard: () => void): void
}

/** `none`: a command is done when its last byte has arrived. */
export type ExecutionTimes = 'real' | 'none' | ((execution: Execution) => number)

export interface PartOptions {
  readonly time: Pick<BusTime, 'now'>
  readonly times?: ExecutionTimes
  readonly faults?: Faults
}

const nothing = new Uint8Array()

export class EmulatedPart {
  readonly faults: Faults
  readonly #time: Pick<BusTime, 'now'>
  readonly #times: ExecutionTimes
  #core: Core
  #power: 'asleep' | 'idle' | 'awake' = 'asleep'
  #wiring: Wiring
  /** Wakes so far: what the wires remember of a conversation ends with its wake. */
  #wakes = 0
  #reply: Uint8Array = nothing
  #readyAtMs = 0
  #watchdogAtMs = 0

  constructor(core: Core, { time, times = 'real', faults = new Faults() }: PartOptions) {
    this.#core = core
    this.#time = time
    this.#times = times
    this.faults = faults
    this.#wiring = wiringOf(core.config())
    core.guardWrites(() => faults.beforeWrite())
  }

  /** As it was when the part woke: silicon that is reconfigured keeps its address until then. */
  get wiring(): Wiring {
    return this.#wiring
  }

  get wakes(): number {
    return this.#wakes
  }

  /** What a read answers; empty after a command that never ended. */
  get reply(): Uint8Array {
    return this.#reply
  }

  get power(): 'asleep' | 'idle' | 'awake' {
    this.#catchUp()
    return this.#power
  }

  /** Awake, past tWHI, and no command is running. */
  hears(): boolean {
    return this.power === 'awake' && !this.faults.isDeaf && this.#time.now() >= this.#readyAtMs
  }

  /** The line was low for long enough. A part that is awake takes no notice. */
  wake(): void {
    if (this.power === 'awake' || this.faults.losesWake()) return
    // A new address or watchdog counts from here; unconfirmed on silicon (U5).
    this.#wiring = wiringOf(this.#core.config())
    this.#power = 'awake'
    this.#wakes++
    this.#reply = this.#core.chip.wake()
    const now = this.#time.now()
    this.#readyAtMs = now + wakeDelayMs
    this.#watchdogAtMs = now + this.#wiring.watchdogMs
  }

  /** Keeps TempKey and stops the watchdog. */
  idle(): void {
    if (this.power !== 'awake') return
    this.#core.chip.idle()
    this.#power = 'idle'
    this.#reply = nothing
  }

  sleep(): void {
    this.#core.chip.sleep()
    this.#power = 'asleep'
    this.#reply = nothing
  }

  /** Whether a command is whole or well-formed is the chip's to say. */
  run(packet: Uint8Array): void {
    this.#reply = nothing
    this.faults.beforeExecution()
    // Something may have happened to the part in between.
    if (this.power !== 'awake') return
    // Its time runs from the last byte, also where its file takes some of it.
    const begun = this.#time.now()
    const execution = this.#execute(packet)
    if (execution === undefined) return
    this.#reply = this.faults.bendReply(execution.response)
    this.#readyAtMs = begun + this.#durationMs(execution)
  }

  /** Another chip takes its place, with no power until it is woken. */
  swap(core: Core): void {
    this.sleep()
    this.#core = core
    this.#wiring = wiringOf(core.config())
    core.guardWrites(() => this.faults.beforeWrite())
  }

  #execute(packet: Uint8Array): Execution | undefined {
    try {
      const execution = this.#core.chip.execute(packet, this.#timeLeftMs())
      this.faults.afterExecution()
      return execution
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error
      // It comes back asleep, with what was written before.
      this.sleep()
      return undefined
    }
  }

  /** A part whose commands take no time, or a test's, has always enough. */
  #timeLeftMs(): number {
    return this.#times === 'real' ? this.#watchdogAtMs - this.#time.now() : Number.POSITIVE_INFINITY
  }

  #durationMs(execution: Execution): number {
    if (this.#times === 'none') return 0
    return this.#times === 'real' ? execution.executionMs : this.#times(execution)
  }

  /** The watchdog ends whatever is running; what a command has written by then stays written. */
  #catchUp(): void {
    if (this.#power === 'awake' && this.#time.now() >= this.#watchdogAtMs) this.sleep()
  }
}
