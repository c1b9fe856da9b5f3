/**
 * Seeded mutations of byte strings, shaped for DER: bits, bytes, lengths, cuts, insertions, copies
 * and splices. The same seed gives the same inputs, so that a finding is a seed and a number.
 */

/**
 * Small generator of 32-bit numbers (xorshift32): not for secrets, only for inputs that can be made
 * again.
 */
export class Dice {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0 || 0x9e37_79b9
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    let state = this.state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.state = state >>> 0
    return limit <= 0 ? 0 : this.state % limit
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }
}

type Mutation = (input: Uint8Array, dice: Dice, corpus: readonly Uint8Array[]) => Uint8Array

/** Octets that mean something to a DER parser: tags, lengths in long form, sign bits, digits. */
const telling = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18, 0x1f, 0x30, 0x31, 0x7f, 0x80,
  0x81, 0x82, 0x84, 0xa0, 0xa3, 0xff,
]
/** An input grows no further than this: large inputs test the machine, not the parser. */
const lengthMax = 16 * 1024

const mutations: readonly Mutation[] = [
  function flipBit(input, dice) {
    const bent = input.slice()
    const at = dice.below(bent.length)
    bent[at] = (bent[at] ?? 0) ^ (1 << dice.below(8))
    return bent
  },
  function setByte(input, dice) {
    const bent = input.slice()
    bent[dice.below(bent.length)] = dice.pick(telling)
    return bent
  },
  function anyByte(input, dice) {
    const bent = input.slice()
    bent[dice.below(bent.length)] = dice.below(256)
    return bent
  },
  function nudgeByte(input, dice) {
    const bent = input.slice()
    const at = dice.below(bent.length)
    bent[at] = (bent[at] ?? 0) + (dice.below(2) === 0 ? 1 : 255)
    return bent
  },
  function cut(input, dice) {
    return input.slice(0, dice.below(input.length + 1))
  },
  function remove(input, dice) {
    const start = dice.below(input.length)
    return joined(input.subarray(0, start), input.subarray(start + 1 + dice.below(8)))
  },
  function insert(input, dice) {
    const at = dice.below(input.length + 1)
    const more = Uint8Array.from({ length: 1 + dice.below(8) }, () => dice.pick(telling))
    return joined(input.subarray(0, at), more, input.subarray(at))
  },
  function repeat(input, dice) {
    const at = dice.below(input.length)
    const part = input.subarray(at, at + 1 + dice.below(64))
    return joined(input.subarray(0, at), part, input.subarray(at))
  },
  function splice(input, dice, corpus) {
    const other = dice.pick(corpus)
    const from = dice.below(other.length)
    const part = other.subarray(from, from + 1 + dice.below(64))
    const at = dice.below(input.length)
    return joined(input.subarray(0, at), part, input.subarray(at + part.length))
  },
  function lengthBomb(input, dice) {
    const at = dice.below(input.length)
    const bomb = dice.pick([
      [0x80],
      [0x81, 0x00],
      [0x84, 0xff, 0xff, 0xff, 0xff],
      [0x84, 0x7f, 0xff, 0xff, 0xff],
      [0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ])
    return joined(input.subarray(0, at), Uint8Array.from(bomb), input.subarray(at + 1))
  },
]

/** One to four mutations of `input`. */
export function mutate(input: Uint8Array, dice: Dice, corpus: readonly Uint8Array[]): Uint8Array {
  let bent = input
  for (let count = 1 + dice.below(4); count > 0; count--) {
    if (bent.length === 0) return bent
    bent = dice.pick(mutations)(bent, dice, corpus)
  }
  return bent.length > lengthMax ? bent.slice(0, lengthMax) : bent
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
