/**
 * How benchmarks measure: work per CPU-second of this process (user and system, all threads), in
 * rounds that take turns, so that a busy neighbour slows every case alike; the median of the rounds
 * counts. Only ratios within one run say anything.
 */

export interface Case {
  readonly name: string
  /** Before each round, not measured. */
  prepare?(): Promise<void>
  /** Does some work for about `milliseconds` and answers how many units it was. */
  run(milliseconds: number): Promise<number>
}

export interface Figure {
  readonly name: string
  /** Units per CPU-second: median of the rounds. */
  readonly perCpuSecond: number
  /** (largest - smallest) / median. */
  readonly spread: number
  /** Units per second of the clock on the wall, median. */
  readonly perSecond: number
}

export async function measure(
  cases: readonly Case[],
  options: { readonly rounds?: number; readonly milliseconds?: number } = {},
): Promise<readonly Figure[]> {
  const { rounds = 3, milliseconds = 2000 } = options
  // A round before the first: compilation is not what is measured.
  for (const one of cases) {
    await one.prepare?.()
    await one.run(milliseconds / 4)
  }
  const cpu = new Map<string, number[]>()
  const wall = new Map<string, number[]>()
  for (let round = 0; round < rounds; round++) {
    for (const one of cases) {
      await one.prepare?.()
      const before = process.cpuUsage()
      const begin = performance.now()
      const units = await one.run(milliseconds)
      const seconds = (performance.now() - begin) / 1000
      const { user, system } = process.cpuUsage(before)
      push(cpu, one.name, units / ((user + system) / 1e6))
      push(wall, one.name, units / seconds)
    }
  }
  return cases.map(({ name }) => {
    const rates = sorted(cpu.get(name) ?? [])
    const middle = median(rates)
    const spread = ((rates.at(-1) ?? 0) - (rates[0] ?? 0)) / middle
    return {
      name,
      perCpuSecond: middle,
      spread,
      perSecond: median(sorted(wall.get(name) ?? [])),
    }
  })
}

/** Repeats `work` until the time is over. */
export async function forAbout(
  milliseconds: number,
  work: () => Promise<void> | void,
): Promise<number> {
  const end = performance.now() + milliseconds
  let units = 0
  while (performance.now() < end) {
    await work()
    units++
  }
  return units
}

export interface Goal {
  readonly what: string
  readonly ratio: number
  readonly wanted: number
  /** Whether `ratio` should be at least or at most `wanted`. */
  readonly sense: 'at least' | 'at most'
}

export function showFigures(figures: readonly Figure[], unit: string): void {
  for (const { name, perCpuSecond, spread, perSecond } of figures) {
    const rate = Math.round(perCpuSecond).toLocaleString('en')
    const clock = Math.round(perSecond).toLocaleString('en')
    print(
      `${name.padEnd(44)} ${rate.padStart(9)} ${unit}/CPU-s  ±${Math.round(spread * 50)} %  (${clock}/s)`,
    )
  }
}

/** Prints each ratio beside its goal; answers whether all were reached. */
export function showGoals(goals: readonly Goal[]): boolean {
  let good = true
  for (const { what, ratio, wanted, sense } of goals) {
    const reached = sense === 'at least' ? ratio >= wanted : ratio <= wanted
    good &&= reached
    print(
      `${what.padEnd(44)} ${ratio.toFixed(2).padStart(9)}  ${sense} ${wanted}: ${reached ? 'reached' : 'MISSED'}`,
    )
  }
  return good
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function cpuMilliseconds(before?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

export function median(ascending: readonly number[]): number {
  return ascending[ascending.length >> 1] ?? Number.NaN
}

function sorted(values: readonly number[]): readonly number[] {
  return values.toSorted((one, other) => one - other)
}

function push(into: Map<string, number[]>, name: string, value: number): void {
  const list = into.get(name)
  if (list === undefined) into.set(name, [value])
  else list.push(value)
}
