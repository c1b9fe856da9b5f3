/**
 * The loop of every fuzzer: inputs in, values or PeerErrors out. Anything else, and anything slow,
 * is a finding that ends the run.
 */
import { parseArgs } from 'node:util'
import { PeerError } from '@countersign/core/errors'
import { Dice, mutate } from './mutate.ts'

/** No input of 16 KiB is worth a quarter of a second, also on a busy machine. */
const slowMs = 250

/**
 * Runs `target` on mutations of `corpus` for `--seconds N` (10) from `--seed S` (drawn and
 * printed).
 */
export function fuzz(
  name: string,
  corpus: readonly Uint8Array[],
  target: (input: Uint8Array) => unknown,
): void {
  const { values } = parseArgs({
    options: { seconds: { type: 'string' }, seed: { type: 'string' } },
  })
  const seconds = Number(values.seconds ?? '10')
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  say(`${name}: seed ${seed}, ${seconds} s, corpus of ${corpus.length}`)
  const dice = new Dice(seed)
  const started = Date.now()
  let executions = 0
  let accepted = 0
  while (Date.now() - started < seconds * 1000) {
    for (let burst = 0; burst < 500; burst++) {
      const input = mutate(dice.pick(corpus), dice, corpus)
      executions++
      const finding = run(target, input)
      if (finding === 'accepted') accepted++
      else if (finding !== 'refused') {
        say(`${name}: FINDING at execution ${executions}, seed ${seed}: ${finding}`)
        say(Buffer.from(input).toString('hex'))
        process.exitCode = 1
        return
      }
    }
  }
  say(`${name}: ${executions} executions, ${accepted} accepted, no finding`)
}

/**
 * Runs every part, so that a refusal by one does not hide the others; refused as a whole when each
 * of them refuses.
 */
export function each(parts: readonly (() => unknown)[]): void {
  const refusals = parts.flatMap((part) => {
    try {
      part()
      return []
    } catch (error) {
      if (error instanceof PeerError) return [error]
      throw error
    }
  })
  if (refusals[0] !== undefined && refusals.length === parts.length) throw refusals[0]
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/**
 * A slow run counts when it is slow every time: the first may have been the machine's, busy with
 * others.
 */
function run(target: (input: Uint8Array) => unknown, input: Uint8Array): string {
  const first = runOnce(target, input)
  let { milliseconds } = first
  for (let again = 0; again < 3 && milliseconds > slowMs; again++) {
    milliseconds = runOnce(target, input).milliseconds
  }
  return milliseconds > slowMs ? `took ${milliseconds} ms` : first.result
}

function runOnce(
  target: (input: Uint8Array) => unknown,
  input: Uint8Array,
): { result: string; milliseconds: number } {
  const start = performance.now()
  let result = 'accepted'
  try {
    target(input)
  } catch (error) {
    result = error instanceof PeerError ? 'refused' : describe(error)
  }
  return { result, milliseconds: performance.now() - start }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
