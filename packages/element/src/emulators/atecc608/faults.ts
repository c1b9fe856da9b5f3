/**
 * What can go wrong between a host and a part, on demand: for tests of drivers. Commands and
 * replies are counted from the moment of the demand: 1 is the next one. Each demand is used once.
 */

/** Ends a command between two EEPROM writes or before its reply; the part comes back asleep. */
export class PowerCut extends Error {
  constructor() {
    super('the power was cut')
    this.name = 'PowerCut'
  }
}

/** What becomes of a reply on its way. */
export type Bend = (reply: Uint8Array) => Uint8Array

/** Bit 0 is the lowest of the first byte. Past the end nothing happens. */
export function flipBit(bit: number): Bend {
  return (bytes) => bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
}

/** On I2C what is missing reads as FF; on the single wire it does not come. */
export function truncateTo(length: number): Bend {
  return (reply) => reply.slice(0, length)
}

export function lengthenBy(bytes: Uint8Array): Bend {
  return (reply) => Uint8Array.of(...reply, ...bytes)
}

export class Faults {
  #commands = 0
  #executions = 0
  #replies = 0
  readonly #commandBits = new Map<number, number>()
  readonly #bends = new Map<number, Bend>()
  readonly #acts = new Map<number, () => void>()
  readonly #cuts = new Map<number, number>()
  #lostWakes = 0
  #nacksForEver = false
  #isDead = false
  /** EEPROM writes until the power goes; undefined while it stays. */
  #writesLeft: number | undefined

  /** Bit 0 is the lowest of the count byte. */
  flipCommandBit(nth: number, bit: number): void {
    this.#commandBits.set(this.#commands + nth, bit)
  }

  bendReplyTo(nth: number, bend: Bend): void {
    this.#bends.set(this.#replies + nth, bend)
  }

  /** Runs when a command has arrived and before the chip begins with it: swap it, put it to sleep. */
  before(nth: number, act: () => void): void {
    this.#acts.set(this.#executions + nth, act)
  }

  /**
   * The part dies after so many EEPROM writes of the command, before its reply: after 0 with nothing
   * written, after the last with everything. A command with fewer writes ends as usual.
   */
  cutPower(nth: number, afterWrites: number): void {
    this.#cuts.set(this.#executions + nth, afterWrites)
  }

  loseWakes(count: number): void {
    this.#lostWakes = count
  }

  /** Wakes as ever, and acknowledges nothing. */
  nackForEver(): void {
    this.#nacksForEver = true
  }

  /** Takes no wake either. */
  die(): void {
    this.#isDead = true
  }

  /** Everything that was demanded and has not happened is forgotten; a dead part lives again. */
  end(): void {
    for (const demands of [this.#commandBits, this.#bends, this.#acts, this.#cuts]) demands.clear()
    this.#lostWakes = 0
    this.#nacksForEver = false
    this.#isDead = false
    this.#writesLeft = undefined
  }

  // From here on: what the part and its wires ask.

  get isDeaf(): boolean {
    return this.#nacksForEver || this.#isDead
  }

  losesWake(): boolean {
    if (this.#isDead) return true
    if (this.#lostWakes === 0) return false
    this.#lostWakes--
    return true
  }

  /** A command begins to arrive: which of its bits is to be flipped. */
  beginCommand(): number | undefined {
    return take(this.#commandBits, ++this.#commands)
  }

  beforeExecution(): void {
    this.#executions++
    take(this.#acts, this.#executions)?.()
    this.#writesLeft = take(this.#cuts, this.#executions)
  }

  /** Before each EEPROM write. */
  beforeWrite(): void {
    if (this.#writesLeft === undefined) return
    if (this.#writesLeft === 0) throw new PowerCut()
    this.#writesLeft--
  }

  /** After the last write there is no next one to stop at. */
  afterExecution(): void {
    if (this.#writesLeft === 0) throw new PowerCut()
  }

  bendReply(reply: Uint8Array): Uint8Array {
    return take(this.#bends, ++this.#replies)?.(reply) ?? reply
  }
}

function take<T>(demands: Map<number, T>, nth: number): T | undefined {
  const demand = demands.get(nth)
  demands.delete(nth)
  return demand
}
