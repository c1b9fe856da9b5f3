/** Numbers below a bound, the same for the same seed (xorshift32). Not for secrets. */
export type Draw = (below: number) => number

export function seeded(seed: number): Draw {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

export function drawOne<T>(draw: Draw, of: readonly T[]): T {
  const found = of[draw(of.length)]
  if (found === undefined) throw new RangeError('there is nothing to draw from')
  return found
}

export function drawBytes(draw: Draw, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => draw(256))
}
