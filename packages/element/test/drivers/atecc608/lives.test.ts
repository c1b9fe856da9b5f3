/**
 * Seeded lives of an element: random acts by one driver or by two on one bus, on the emulated part,
 * while bits flip, wakes get lost, the power goes, timers are late and chips are swapped. What is
 * held against what came back is read from the part's cells (livesTruth.ts):
 *
 *   no value is ever wrong, nothing changes that nobody asked for, nothing acknowledged is lost,
 *   every refusal is an ElementError that fits, and when the faults are over the element works.
 *
 * CHIP_LIVES=<number> runs more of them; SEED=<number> repeats one.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SecureElement } from '../../../src/ports.ts'
import { type Draw, drawBytes, seeded } from '../../seeded.ts'
import {
  type Act,
  type Circumstances,
  drawAct,
  perform,
  words,
  wrongRefusal,
  wrongValue,
} from './livesActs.ts'
import { type Framing, partsFor, World } from './livesWorld.ts'

const lives = Number(process.env['CHIP_LIVES'] ?? 60)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const actsPerLife = 24

interface Kind {
  readonly framing: Framing
  readonly drivers: 1 | 2
  readonly hasFaults: boolean
}

/** On a single wire a part belongs to one host. */
const kinds: readonly Kind[] = [
  { framing: 'i2c', drivers: 1, hasFaults: true },
  { framing: 'swi', drivers: 1, hasFaults: true },
  { framing: 'i2c', drivers: 2, hasFaults: true },
  { framing: 'i2c', drivers: 2, hasFaults: false },
]

for (const [nth, kind] of kinds.entries()) {
  const { framing, drivers, hasFaults } = kind
  const who = drivers === 1 ? 'one driver' : 'two drivers'
  const how = hasFaults ? 'under faults' : 'without a fault'
  test(`no life of a part on ${framing} with ${who} ${how} gives a wrong value (seed ${seed})`, async () => {
    const parts = await partsFor(framing)
    for (let life = nth; life < lives; life += kinds.length) {
      const ofLife = (seed + life * 0x9e37_79b1) >>> 0
      await new Life(kind, new World(framing, parts, ofLife), seeded(ofLife ^ 0x1234)).live(life)
    }
  })
}

class Life {
  readonly #kind: Kind
  readonly #world: World
  readonly #draw: Draw
  readonly #log: string[] = []
  #isCalm = false

  constructor(kind: Kind, world: World, draw: Draw) {
    this.#kind = kind
    this.#world = world
    this.#draw = draw
  }

  async live(life: number): Promise<void> {
    try {
      const elements: SecureElement[] = []
      for (let nth = 0; nth < this.#kind.drivers; nth++) elements.push(await this.#world.open())
      this.#world.isTroubled = this.#kind.hasFaults
      await Promise.all(elements.map((element, nth) => this.#host(element, nth)))
      await this.#worksAgain(elements)
    } catch (error) {
      const told = [...this.#log.slice(-20), ...this.#world.transfers].join('\n  ')
      throw new Error(`life ${life} of seed ${seed}:\n  ${told}`, { cause: error })
    }
  }

  async #host(element: SecureElement, nth: number): Promise<void> {
    const draw = this.#draw
    for (let act = 0; act < actsPerLife; act++) {
      if (draw(3) === 0) await this.#world.time.wait(draw(2) === 0 ? draw(50) : draw(3000))
      if (this.#kind.hasFaults && draw(3) === 0) this.#trouble()
      const swapping =
        this.#kind.hasFaults && draw(60) === 0 ? this.#world.swapByHand() : Promise.resolve()
      // Two at once through one element: it keeps them apart.
      const acts = Array.from({ length: 1 + Number(draw(6) === 0) }, () => drawAct(draw))
      await Promise.all(acts.map((each) => this.#act(element, nth, each)))
      await swapping
      // What was silenced for ever, or swapped, comes back before the next one.
      if (this.#kind.hasFaults && draw(3) === 0) this.#recover()
    }
  }

  #trouble(): void {
    this.#log.push(`-- ${this.#world.trouble(this.#kind.drivers)}`)
  }

  #recover(): void {
    if (this.#world.isInHands) return
    if (this.#kind.drivers === 2) return this.#world.part.faults.end()
    this.#world.swapBack()
    this.#world.part.faults.end()
  }

  async #act(element: SecureElement, nth: number, act: Act): Promise<void> {
    const { truth, time } = this.#world
    const flight = truth.begin(act)
    const what = `${nth}: ${words(act)}`
    const told = (outcome: string): string =>
      `${Math.round(time.now())} ${what}: ${outcome}`.slice(0, 200)
    try {
      const value = await perform(element, act)
      this.#log.push(told(words(value)))
      assert.equal(wrongValue(truth, flight, value), undefined, what)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      this.#log.push(told(String(error)))
      assert.equal(wrongRefusal(truth, flight, error, this.#circumstances()), undefined, what)
    } finally {
      truth.end(flight)
    }
    assert.deepEqual(truth.wrongs, [], what)
  }

  #circumstances(): Circumstances {
    return { mayFail: !this.#isCalm, wasSwapped: this.#world.wasSwapped }
  }

  /** Without being opened anew, and with everything in it that was acknowledged. */
  async #worksAgain(elements: readonly SecureElement[]): Promise<void> {
    const world = this.#world
    world.calm()
    if (this.#draw(4) === 0 && this.#kind.hasFaults) await this.#namesAnother(elements)
    world.swapBack()
    assert.ok(world.otherIsUntouched, 'the other chip was written to')
    world.wasSwapped = false
    this.#isCalm = true
    this.#log.push('-- the faults are over')
    for (const [nth, element] of elements.entries()) {
      for (const act of this.#everything()) await this.#act(element, nth, act)
    }
    for (const element of elements) await element.close()
    const anew = await world.open()
    await this.#act(anew, 9, { kind: 'info' })
    await anew.close()
    assert.equal(world.part.power, 'asleep')
  }

  async #namesAnother(elements: readonly SecureElement[]): Promise<void> {
    await this.#world.time.wait(1000)
    this.#world.swap()
    for (const element of elements) {
      for (const act of this.#everything()) {
        await assert.rejects(perform(element, act), { code: 'ERR_ELEMENT_SWAPPED' }, words(act))
      }
    }
  }

  #everything(): readonly Act[] {
    const bytes = drawBytes(this.#draw, 11)
    return [
      { kind: 'info' },
      { kind: 'slots' },
      { kind: 'publicKey', slot: 1 },
      { kind: 'generateKey', slot: 0 },
      { kind: 'sign', slot: 0, message: bytes },
      { kind: 'ecdh', slot: 0 },
      { kind: 'sign', slot: 2, message: bytes },
      { kind: 'count', counter: 0 },
      { kind: 'increment', counter: 1 },
      { kind: 'write', slot: 9, offset: 3, bytes },
      ...[8, 9, 10, 11, 12, 15].map((slot): Act => ({ kind: 'read', slot, offset: 0, length: 72 })),
      { kind: 'random', length: 33 },
      { kind: 'attest', slot: 0, nonce: drawBytes(this.#draw, 32) },
    ]
  }
}
