/**
 * The time between a wake and its idle, in which a chip is ours: commands go out, and their answers
 * are waited for, read, and read again when they came damaged. Nothing is repeated here that the
 * chip could have carried out; see session.ts.
 */
import { type ElementError, type ElementErrorCode, elementError } from '@countersign/core/ports'
import type { BusTime } from '../../bus/ports.ts'
import { type Command, decodeAnswer, encodeCommand } from './packet.ts'
import { fits, readWakeAnswer, status } from './status.ts'
import type { ChipWire } from './wire.ts'

/** From wake until the chip sleeps, whatever it does then; the second with bit 2 of ChipMode. */
const watchdogMs = { short: 1300, long: 13_000 } as const
/** A command begins only when it will be done by then. Unconfirmed on silicon (U78). */
const watchdogShare = 0.8
/** So soon after a wake another one gains nothing. */
const freshMs = 20
/** Between two wakes of a chip that does not answer, or answers someone else. */
const wakePauseMs = 5
/** The first look for an answer comes after this part of the longest time. */
const firstLookShare = 0.25
const lookPauseMs = 2
/** Beyond the longest time: clocks differ, and a bus is late. */
const timeMargin = { share: 0.1, ms: 20 } as const
/** A damaged answer is read so often, before it counts as lost. Unconfirmed on silicon (U8). */
const readsMax = 3
/** A command that the chip says it did not carry out is sent so often. */
const sendsMax = 3

type Breach = 'silent' | 'damaged' | 'shape' | 'woke' | 'watchdog'

const breaches: Readonly<Record<Breach, readonly [ElementErrorCode, words: string, hint: string]>> =
  {
    silent: [
      'ERR_ELEMENT_BUS',
      'did not answer in its time',
      'See whether something else uses the bus, the machine is busy, or the supply fails.',
    ],
    damaged: [
      'ERR_ELEMENT_CRC',
      'answered with bytes that were damaged on the way',
      'Check pull-ups, length of the wires and the speed of the bus.',
    ],
    shape: [
      'ERR_ELEMENT_PARSE',
      'gave an answer that belongs to another command',
      'Only one program at a time may use the element.',
    ],
    woke: [
      'ERR_ELEMENT_BUS',
      'slept and was woken between the command and its answer',
      'Only one program at a time may use the element.',
    ],
    watchdog: [
      'ERR_ELEMENT_WATCHDOG',
      'slept before the commands were done',
      'Try again when the machine is less busy.',
    ],
  }

/** Of a command that counts, burns or makes something. */
const readFirst = 'The command may have been carried out: read the state before anything else.'

/** Errors after which the volatile memory may be lost, and the command done or not. */
const broken = new WeakSet<Error>()

export function isBroken(error: unknown): boolean {
  return error instanceof Error && broken.has(error)
}

export class Exchange {
  readonly where: string
  longWatchdog = false
  readonly #wire: ChipWire
  readonly #time: BusTime
  readonly #patienceMs: number
  #wokeAt: number | undefined
  #idleAt = 0

  constructor(wire: ChipWire, time: BusTime, patienceMs: number) {
    this.#wire = wire
    this.#time = time
    this.#patienceMs = patienceMs
    this.where = wire.where
  }

  /**
   * The chip is ours when this resolves. False when it did not answer at once: it may be another
   * one, or someone else has had it.
   */
  async wake(seenBefore: boolean): Promise<boolean> {
    const begun = this.#time.now()
    for (let tries = 1; ; tries++) {
      const pulsedAt = this.#time.now()
      const answer = readWakeAnswer(await this.#wire.wake())
      if (answer === 'awake') {
        // Its watchdog runs from the pulse, however late its answer was read.
        this.#wokeAt = pulsedAt
        return tries === 1
      }
      // It woke, and its answer came damaged: it is ours to put down again.
      if (answer === 'damaged') await this.#wire.idle()
      if (answer === 'selftest') throw this.#selfTestFailed()
      if (this.#time.now() - begun >= this.#patienceMs) throw this.#noWake(answer, seenBefore)
      await this.#time.wait(wakePauseMs)
    }
  }

  /** Keeps the volatile memory. Silent when it fails: then the watchdog does it. */
  async idle(): Promise<void> {
    if (this.#wokeAt === undefined) return
    // By then it has slept by itself, and may be awake for another driver.
    const isOver = this.#awakeMs() >= this.#watchdogMs()
    this.#wokeAt = undefined
    this.#idleAt = this.#time.now()
    if (isOver) return
    try {
      await this.#wire.idle()
    } catch {
      // The next wake says what is wrong with the bus.
    }
  }

  /** Since the chip was last ours. */
  idleForMs(): number {
    return this.#time.now() - this.#idleAt
  }

  async close(): Promise<void> {
    try {
      // Once and without patience: sleep wipes what an idle chip keeps, and power off does too.
      if (readWakeAnswer(await this.#wire.wake()) === 'awake') await this.#wire.sleep()
    } catch {
      // A bus that is gone needs no farewell.
    }
    await this.#wire.close()
  }

  /** What the answer carries: a status, or data of the length that the command wants. */
  async ask(command: Command, timeMsMax: number): Promise<Uint8Array> {
    const packet = encodeCommand(command)
    const limitMs = timeMsMax * (1 + timeMargin.share) + timeMargin.ms
    for (let sends = 1; ; sends++) {
      await this.#makeRoom(command, limitMs, timeMsMax)
      const payload = await this.#askOnce(command, packet, timeMsMax, limitMs)
      // Both say that nothing was carried out: unconfirmed on silicon (U14).
      const late = isStatus(payload, status.watchdog)
      const resend = late || isStatus(payload, status.communication)
      if (!resend || sends === sendsMax) return payload
      if (late) await this.#renew(command, timeMsMax)
    }
  }

  async #askOnce(
    command: Command,
    packet: Uint8Array,
    timeMsMax: number,
    limitMs: number,
  ): Promise<Uint8Array> {
    if (!(await this.#wire.send(packet))) throw this.#breach('silent', command)
    // From here on: the chip begins when it has the last byte, and a bus may have taken its time.
    const begun = this.#time.now()
    await this.#time.wait(timeMsMax * firstLookShare)
    let reads = 0
    for (;;) {
      // A look takes its own time where a UART waits for bytes: the last one begins after the end.
      const isLast = this.#time.now() - begun > limitMs
      const bytes = await this.#wire.receive(isLast)
      // Looked for too late: the chip has slept, and what was read may be another driver's.
      if (this.#awakeMs() >= this.#watchdogMs()) throw this.#breach('watchdog', command)
      const payload = bytes === undefined ? undefined : decodeAnswer(bytes)
      if (payload !== undefined) return this.#judge(command, payload)
      if (bytes !== undefined && ++reads === readsMax) throw this.#breach('damaged', command)
      if (isLast) {
        throw this.#breach(reads > 0 ? 'damaged' : 'silent', command)
      }
      await this.#time.wait(lookPauseMs)
    }
  }

  #judge(command: Command, payload: Uint8Array): Uint8Array {
    if (!fits(command, payload)) throw this.#breach('shape', command)
    if (isStatus(payload, status.woke) && command.answer !== 'map') {
      throw this.#breach('woke', command)
    }
    return payload
  }

  /** Idle and a new wake keep the volatile memory and start the watchdog anew. */
  async #makeRoom(command: Command, limitMs: number, timeMsMax: number): Promise<void> {
    const awakeMs = this.#awakeMs()
    if (awakeMs >= this.#watchdogMs()) throw this.#breach('watchdog', command)
    const tooLate = awakeMs + limitMs > this.#watchdogMs() * watchdogShare
    if (tooLate && awakeMs > freshMs) await this.#renew(command, timeMsMax)
  }

  async #renew(command: Command, timeMsMax: number): Promise<void> {
    const { carry } = command
    if (carry === 'never') throw this.#breach('watchdog', command)
    const wokeAt = this.#wokeAt ?? 0
    const saved = carry === undefined ? undefined : await this.#quickly(carry.save, timeMsMax)
    await this.idle()
    if (this.#time.now() - wokeAt >= this.#watchdogMs()) throw this.#breach('watchdog', command)
    // With someone else in between, the volatile memory may be theirs.
    if (!(await this.wake(true))) throw this.#breach('silent', command)
    if (carry !== undefined && saved !== undefined) {
      await this.#quickly(carry.restore(saved), timeMsMax)
    }
  }

  /** What a renewal itself sends, in the time that is left or has just begun. */
  async #quickly(command: Command, timeMsMax: number): Promise<Uint8Array> {
    const limitMs = timeMsMax * (1 + timeMargin.share) + timeMargin.ms
    const payload = await this.#askOnce(command, encodeCommand(command), timeMsMax, limitMs)
    if (payload.length > 1 || isStatus(payload, status.ok)) return payload
    throw this.#breach('shape', command)
  }

  #awakeMs(): number {
    return this.#wokeAt === undefined ? 0 : this.#time.now() - this.#wokeAt
  }

  #watchdogMs(): number {
    return this.longWatchdog ? watchdogMs.long : watchdogMs.short
  }

  #breach(breach: Breach, command: Command): ElementError {
    const [code, words, hint] =
      breaches[this.#awakeMs() >= this.#watchdogMs() ? 'watchdog' : breach]
    const mayBeDone = command.repeat === 'never'
    const error = elementError(
      code,
      `at ${command.name} the element ${words}`,
      { command: command.name, ...(mayBeDone ? { mayBeDone } : {}) },
      { where: this.where, hint: mayBeDone ? `${hint} ${readFirst}` : hint },
    )
    broken.add(error)
    return error
  }

  #noWake(answer: 'silent' | 'damaged' | 'foreign', seenBefore: boolean): ElementError {
    const { where } = this
    const details = { waitedMs: this.#patienceMs }
    if (answer !== 'silent') {
      return elementError(
        'ERR_ELEMENT_BUSY',
        'the element is awake and answers someone else',
        details,
        { where, hint: 'Only one program at a time may use the element; try again.' },
      )
    }
    if (seenBefore) {
      return elementError('ERR_ELEMENT_GONE', 'the element does not answer any more', details, {
        where,
        hint: 'Check its supply and its wires.',
      })
    }
    return elementError('ERR_ELEMENT_BUS', 'nothing answers here', details, {
      where,
      hint: 'Check bus, address, wires and pull-ups; on I2C the bus must run at 100 kHz or less.',
    })
  }

  #selfTestFailed(): ElementError {
    return elementError(
      'ERR_ELEMENT_SELFTEST',
      'the element woke and said that it failed its self-test',
      {},
      { where: this.where, hint: 'Take its supply away for a moment; if it stays so, replace it.' },
    )
  }
}

function isStatus(payload: Uint8Array, byte: number): boolean {
  return payload.length === 1 && payload[0] === byte
}
