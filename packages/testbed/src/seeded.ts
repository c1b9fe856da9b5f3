/**
 * A small seeded generator (xoroshiro64** of Blackman and Vigna): the same seed makes the same
 * world. Not for secrets.
 */
import type { Random } from '@countersign/core/ports'

export interface Seeded {
  /** Uniform in 0 … 2^32 - 1. */
  word(): number
  /** Uniform in 0 … bound - 1; the bias of the modulus is far below what a test can see. */
  below(bound: number): number
  chance(probability: number): boolean
  /**
   * A generator of its own that depends on this seed and the label only, not on what was drawn
   * before.
   */
  fork(label: number): Seeded
}

export function seeded(seed: number): Seeded {
  let [a, b] = [mix(seed), mix(seed + 0x9e3779b9)]
  if (a === 0 && b === 0) b = 1
  const word = (): number => {
    const result = Math.imul(rotate(Math.imul(a, 0x9e3779bb), 5), 5) >>> 0
    const next = b ^ a
    a = rotate(a, 26) ^ next ^ (next << 9)
    b = rotate(next, 13)
    return result
  }
  return {
    word,
    below: (bound) => word() % bound,
    chance: (probability) => word() < probability * 2 ** 32,
    fork: (label) => seeded(mix(seed) ^ mix(label + 0x85ebca6b)),
  }
}

/**
 * The randomness that core asks for, from a seed: for tests, where a seed has to repeat a world.
 */
export function seededRandom(random: Seeded): Random {
  return { bytes: (length) => Uint8Array.from({ length }, () => random.below(256)) }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/** Spreads nearby seeds (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
