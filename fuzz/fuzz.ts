/**
 * The loop of every fuzzer: inputs in, values or PeerErrors out. Anything else, anything slow, and
 * memory that grows with the number of inputs is a finding that ends the run.
 */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PeerError } from '@countersign/core/errors'
import { Dice, mutate } from './mutate.ts'

/** No input of 16 KiB is worth a quarter of a second, also on a busy machine. */
const slowMs = 250
/** Executions until compilation and caches have settled. */
const warmUp = 5000
/** A parser keeps nothing, so a run of millions may not hold more at its end than at its begin. */
const grownBytesMax = 16 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/**
 * Runs `target` on mutations of `corpus` for `--seconds N` (10) from `--seed S` (drawn and
 * printed).
 */
export function fuzz(
  name: string,
  corpus: readonly Uint8Array[],
  target: (input: Uint8Array) => unknown,
): void {
  const run = new Run(name, corpus)
  while (run.goesOn()) {
    const input = run.input()
    if (run.ends(input, verdict(target, input))) return
  }
  run.report()
}

/** The same for a target that answers later. */
export async function fuzzAsync(
  name: string,
  corpus: readonly Uint8Array[],
  target: (input: Uint8Array) => Promise<unknown>,
): Promise<void> {
  const run = new Run(name, corpus)
  while (run.goesOn()) {
    const input = run.input()
    if (run.ends(input, await laterVerdict(target, input))) return
  }
  run.report()
}

class Run {
  readonly #name: string
  readonly #corpus: readonly Uint8Array[]
  readonly #dice: Dice
  readonly #seed: number
  readonly #milliseconds: number
  readonly #started: number
  #executions = 0
  #accepted = 0
  #bytesBefore = 0

  constructor(name: string, corpus: readonly Uint8Array[]) {
    const { values } = parseArgs({
      options: { seconds: { type: 'string' }, seed: { type: 'string' } },
    })
    const seconds = Number(values.seconds ?? '10')
    this.#name = name
    this.#corpus = corpus
    this.#seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
    this.#dice = new Dice(this.#seed)
    this.#milliseconds = seconds * 1000
    this.#started = Date.now()
    Error.stackTraceLimit = 0
    say(`${name}: seed ${this.#seed}, ${seconds} s, corpus of ${corpus.length}`)
  }

  goesOn(): boolean {
    if (this.#executions === warmUp) this.#bytesBefore = heldBytes()
    // The clock costs more than some inputs.
    return this.#executions % 500 !== 0 || Date.now() - this.#started < this.#milliseconds
  }

  input(): Uint8Array {
    this.#executions++
    return mutate(this.#dice.pick(this.#corpus), this.#dice, this.#corpus)
  }

  /** True: it is a finding. */
  ends(input: Uint8Array, result: string): boolean {
    if (result === 'accepted') this.#accepted++
    if (result === 'accepted' || result === 'refused') return false
    this.#finding(`execution ${this.#executions}, seed ${this.#seed}: ${result}`)
    say(Buffer.from(input).toString('hex'))
    return true
  }

  report(): void {
    const grown = this.#executions > warmUp ? heldBytes() - this.#bytesBefore : 0
    if (grown > grownBytesMax)
      this.#finding(`the end: ${grown} bytes are held that were not before`)
    const rate = Math.round((1000 * this.#executions) / (Date.now() - this.#started))
    say(
      `${this.#name}: ${this.#executions} executions (${rate}/s), ${this.#accepted} accepted, ` +
        (process.exitCode === 1 ? 'a finding' : 'no finding'),
    )
  }

  #finding(what: string): void {
    say(`${this.#name}: FINDING at ${what}`)
    process.exitCode = 1
  }
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
function verdict(target: (input: Uint8Array) => unknown, input: Uint8Array): string {
  let once = runOnce(target, input)
  for (let again = 0; again < 3 && once.milliseconds > slowMs; again++) {
    once = runOnce(target, input)
  }
  return isFinding(once) ? withStack(() => findingOf(runOnce(target, input), once)) : once.result
}

async function laterVerdict(
  target: (input: Uint8Array) => Promise<unknown>,
  input: Uint8Array,
): Promise<string> {
  let once = await awaitOnce(target, input)
  for (let again = 0; again < 3 && once.milliseconds > slowMs; again++) {
    once = await awaitOnce(target, input)
  }
  if (!isFinding(once)) return once.result
  const again = await withStack(() => awaitOnce(target, input))
  return findingOf(again, once)
}

interface Once {
  readonly result: string
  readonly milliseconds: number
}

function isFinding({ result, milliseconds }: Once): boolean {
  return milliseconds > slowMs || (result !== 'accepted' && result !== 'refused')
}

/** The second time has the stack, unless the finding was not there any more. */
function findingOf(again: Once, first: Once): string {
  const { result, milliseconds } = isFinding(again) ? again : first
  return milliseconds > slowMs ? `took ${milliseconds} ms` : result
}

/** Stacks cost as much as the parsers; they are made for findings only. */
function withStack<T>(act: () => T): T {
  Error.stackTraceLimit = 30
  return act()
}

function runOnce(target: (input: Uint8Array) => unknown, input: Uint8Array): Once {
  const start = performance.now()
  let result = 'accepted'
  try {
    target(input)
  } catch (error) {
    result = resultOf(error)
  }
  return { result, milliseconds: performance.now() - start }
}

async function awaitOnce(
  target: (input: Uint8Array) => Promise<unknown>,
  input: Uint8Array,
): Promise<Once> {
  const start = performance.now()
  let result = 'accepted'
  try {
    await target(input)
  } catch (error) {
    result = resultOf(error)
  }
  return { result, milliseconds: performance.now() - start }
}

function resultOf(error: unknown): string {
  if (error instanceof PeerError) return 'refused'
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** What this process holds when everything that can go has gone. */
function heldBytes(): number {
  collect()
  // What array buffers held outside the heap is counted until the collection after theirs.
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
