/**
 * The world of one seeded life: an emulated part that was set up before, the bus with its delays,
 * and a clock of events on which two drivers wait beside each other and nobody waits in earnest.
 */
import type { BusTime, I2cBus } from '../../../src/bus/ports.ts'
import { paperTime } from '../../../src/bus/time.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { setUp } from '../../../src/drivers/atecc608/setup.ts'
import { swiWire } from '../../../src/drivers/atecc608/swiWire.ts'
import type { ChipWire } from '../../../src/drivers/atecc608/wire.ts'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import {
  type Eeprom,
  type EepromSnapshot,
  parseEepromSnapshot,
} from '../../../src/emulators/atecc608/eeprom.ts'
import { flipBit, lengthenBy, truncateTo } from '../../../src/emulators/atecc608/faults.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { type Core, EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { emulatedSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
import { lockWords, type SecureElement } from '../../../src/ports.ts'
import { type Draw, drawBytes, drawOne, seeded } from '../../seeded.ts'
import { serialHex } from './livesActs.ts'
import { Truth } from './livesTruth.ts'
import { bytes, hexOf } from './scripted.ts'

export type Framing = 'i2c' | 'swi'

/** What the part keeps as the certificate of its attestation key: 300 bytes that look like DER. */
const certificate = Uint8Array.of(0x30, 0x82, 0x01, 0x28, ...Array(296).fill(0x5a))

const otherSerialHex = '0123fedcba987654ee'

/**
 * Time of events: whoever waits is woken in the order of the clock, when nobody has anything left
 * to do.
 */
export class EventTime implements BusTime {
  #now = 0
  #count = 0
  #isTurning = false
  readonly #waiting: { at: number; nth: number; resolve: () => void }[] = []

  now(): number {
    return this.#now
  }

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ at: this.#now + milliseconds, nth: this.#count++, resolve })
      this.#turn()
    })
  }

  #turn(): void {
    if (this.#isTurning) return
    this.#isTurning = true
    // All that follows from the last event has run by then.
    setImmediate(() => {
      this.#isTurning = false
      this.#waiting.sort((a, b) => a.at - b.at || a.nth - b.nth)
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#now = Math.max(this.#now, next.at)
      next.resolve()
      if (this.#waiting.length > 0) this.#turn()
    })
  }
}

/** Made by the driver over the emulated wire, as a factory would; once for all lives. */
export async function setUpPart(framing: Framing, serial: string): Promise<EepromSnapshot> {
  const time = paperTime()
  const eeprom = blankEeprom({ serial: bytes(serial), revision: 3, swi: framing === 'swi' })
  const part = new EmulatedPart(coreOf(eeprom), { time, times: 'none' })
  const wire =
    framing === 'i2c' ? i2cWire(emulatedI2c([part]), time) : swiWire(emulatedSwi(part, time), time)
  const chip = await openChipSession(wire, time)
  await setUp(chip, { confirm: lockWords, certify: async () => certificate })
  await chip.close()
  return eeprom.snapshot()
}

export interface Parts {
  readonly own: EepromSnapshot
  readonly other: EepromSnapshot
}

const made = new Map<Framing, Parts>()

export async function partsFor(framing: Framing): Promise<Parts> {
  const found = made.get(framing)
  if (found !== undefined) return found
  const own = await setUpPart(framing, serialHex)
  const other = await setUpPart(framing, otherSerialHex)
  const parts = { own, other }
  made.set(framing, parts)
  return parts
}

export class World {
  readonly framing: Framing
  readonly time: EventTime = new EventTime()
  readonly part: EmulatedPart
  readonly truth: Truth
  /** Another chip was in the place of ours since this was last set to false. */
  wasSwapped = false
  /** A swap is under way: nothing else ends that the part is away. */
  isInHands = false
  /** Timers are late and commands slow now and then. */
  isTroubled = false
  readonly #draw: Draw
  readonly #own: Core
  readonly #otherEeprom: Eeprom
  readonly #otherBefore: string
  readonly #other: Core
  /** One for all drivers: the part has one read pointer. */
  readonly #bus: I2cBus
  #slow: number[] = []
  #hosts = 0
  #turn: Promise<unknown> = Promise.resolve()
  /** The last transfers on the bus, for who has to find out what happened. */
  readonly transfers: string[] = []

  constructor(framing: Framing, { own, other }: Parts, seed: number) {
    this.framing = framing
    this.#draw = seeded(seed)
    const chipDraw = seeded(seed ^ 0x5bd1e995)
    const eeprom = parseEepromSnapshot(own)
    this.truth = new Truth(eeprom)
    this.#own = coreOf(eeprom, {
      random: (length) => this.truth.drew(drawBytes(chipDraw, length)),
      onWritten: () => this.truth.changed(),
    })
    this.#otherEeprom = parseEepromSnapshot(other)
    this.#otherBefore = JSON.stringify(other)
    this.#other = coreOf(this.#otherEeprom)
    const times = ({ executionMs }: { executionMs: number }): number =>
      executionMs * (this.#slow.shift() ?? (2 + this.#draw(9)) / 10)
    this.part = new EmulatedPart(this.#own, { time: this.time, times })
    this.#bus = emulatedI2c([this.part])
  }

  open(): Promise<SecureElement> {
    const time = this.#hostTime()
    return openAtecc608(this.#wire(time), time)
  }

  /** The other chip holds what it held: nobody was to touch it. */
  get otherIsUntouched(): boolean {
    return JSON.stringify(this.#otherEeprom.snapshot()) === this.#otherBefore
  }

  swap(): void {
    this.wasSwapped = true
    this.part.swap(this.#other)
  }

  swapBack(): void {
    this.part.swap(this.#own)
  }

  /** As hands do it: the part is away for a while. There is one pair of hands. */
  async swapByHand(): Promise<void> {
    if (this.isInHands) return
    this.isInHands = true
    this.part.faults.die()
    await this.time.wait(600 + this.#draw(1200))
    this.swap()
    this.part.faults.end()
    await this.time.wait(this.#draw(4000))
    this.part.faults.die()
    await this.time.wait(600 + this.#draw(1200))
    this.swapBack()
    this.part.faults.end()
    this.isInHands = false
  }

  calm(): void {
    this.isTroubled = false
    this.#slow = []
    this.part.faults.end()
  }

  /** One thing that goes wrong in one of the next commands. Words for the log. */
  trouble(drivers: number): string {
    // A chip that falls asleep under a command of one driver may be woken by the other before the
    // first has noticed, who then takes its answer for his: see docs/element/drivers.md.
    const nth = 1 + this.#draw(4)
    return this.#draw(drivers === 1 ? 12 : 8) < 8 ? this.#disturb(nth) : this.#interrupt(nth)
  }

  #disturb(nth: number): string {
    const { faults } = this.part
    const draw = this.#draw
    switch (draw(7)) {
      case 0: {
        const bit = draw(1208)
        faults.flipCommandBit(nth, bit)
        return `bit ${bit} of command ${nth} flips`
      }
      case 1:
      case 2: {
        const bit = draw(draw(2) === 0 ? 32 : 600)
        faults.bendReplyTo(nth, flipBit(bit))
        return `bit ${bit} of reply ${nth} flips`
      }
      case 3: {
        const length = draw(75)
        faults.bendReplyTo(nth, truncateTo(length))
        return `reply ${nth} ends after ${length} bytes`
      }
      case 4:
        faults.bendReplyTo(nth, lengthenBy(drawBytes(draw, 1 + draw(40))))
        return `reply ${nth} is too long`
      case 5: {
        const count = draw(4) === 0 ? 1000 : 1 + draw(5)
        faults.loseWakes(count)
        return `${count} wakes get lost`
      }
      default: {
        const factor = drawOne(draw, [1.5, 3, 20])
        this.#slow = Array.from({ length: 1 + draw(3) }, () => factor)
        return `commands take ${factor} times as long`
      }
    }
  }

  #interrupt(nth: number): string {
    const { faults } = this.part
    const draw = this.#draw
    switch (draw(4)) {
      case 0: {
        const writes = draw(3)
        faults.cutPower(nth, writes)
        return `the power goes after ${writes} writes of command ${nth}`
      }
      case 1:
        faults.before(nth, () => this.part.sleep())
        return `the part sleeps before command ${nth}`
      case 2:
        if (draw(2) === 0) faults.nackForEver()
        else faults.die()
        return 'the part goes silent'
      default:
        faults.before(nth, () => this.swap())
        return `another chip is there before command ${nth}`
    }
  }

  #wire(time: BusTime): ChipWire {
    if (this.framing === 'swi') return swiWire(emulatedSwi(this.part, this.time), time)
    return i2cWire(this.#slowBus(this.#bus, this.#hosts++), time)
  }

  /** A host that is not always at once there; then the bus is its own, as long as 100 kHz take. */
  #slowBus(bus: I2cBus, name: number): I2cBus {
    const transfer = async <T>(length: number, run: () => Promise<T>): Promise<T> => {
      await this.time.wait(this.#draw(8) / 10)
      const done = this.#turn.then(async () => {
        await this.time.wait(0.09 * (length + 1))
        return run()
      })
      this.#turn = done
      return done
    }
    return {
      ...bus,
      write: async (address, sent) => {
        const heard = await transfer(sent.length, () => bus.write(address, sent))
        this.#note(name, `${address === 0 ? 'wake' : hexOf(sent)} ${heard ? '' : 'NACK'}`)
        return heard
      },
      read: async (address, length) => {
        const got = await transfer(length, () => bus.read(address, length))
        this.#note(name, `reads ${length}: ${got === undefined ? 'NACK' : hexOf(got)}`)
        return got
      },
    }
  }

  #note(host: number, what: string): void {
    this.transfers.push(`${this.time.now().toFixed(1)} ${host} ${what}`)
    if (this.transfers.length > 120) this.transfers.shift()
  }

  /** Timers are late: by a little always, by seconds when the machine is in trouble. */
  #hostTime(): BusTime {
    return {
      now: () => this.time.now(),
      wait: (milliseconds) => {
        const isLate = this.isTroubled && this.#draw(400) === 0
        return this.time.wait(milliseconds + this.#draw(10) / 10 + (isLate ? this.#draw(2500) : 0))
      },
    }
  }
}
