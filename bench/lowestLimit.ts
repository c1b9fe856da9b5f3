/** The lowest limit of a heap under which something passes, found by trying. */

/** Bytes. */
export const kilobyte = 1000
const mostKilobytes = 4096
/** So often in a row, because signatures and tickets differ in length by some bytes. */
const proofs = 5

type Attempt = (limit: number) => Promise<void>

/** In kilobytes: by halving, then upwards until it holds each time. */
export async function lowestLimit(attempt: Attempt): Promise<number> {
  let [low, high] = [0, mostKilobytes]
  if (!(await passes(attempt, high))) throw new Error(`it does not even pass in ${high} kB`)
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (await passes(attempt, middle)) high = middle
    else low = middle
  }
  for (let proof = 0; proof < proofs; proof++) {
    if (await passes(attempt, high)) continue
    high++
    proof = -1
  }
  return high
}

async function passes(attempt: Attempt, kilobytes: number): Promise<boolean> {
  try {
    await attempt(kilobytes * kilobyte)
    return true
  } catch {
    return false
  }
}
