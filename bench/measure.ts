/**
 * How benchmarks measure: work per CPU-second of the measured process (user and system, all
 * threads), in rounds that take turns, so that a busy neighbour slows every case alike; the median
 * of the rounds counts. Only ratios within one run say anything.
 */

export interface Case {
  readonly name: string
  /** Before each round, not measured. */
  prepare?(): Promise<void>
  /** Does some work for about `milliseconds` and answers how many units it was. */
  run(milliseconds: number): Promise<number>
  /** Of whom the work is measured, until now; absent: this process. */
  cpuSeconds?(): number
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
      const before = cpuSecondsOf(one)
      const begin = performance.now()
      const units = await one.run(milliseconds)
      const seconds = (performance.now() - begin) / 1000
      push(cpu, one.name, units / (cpuSecondsOf(one) - before))
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

export function rateOf(figures: readonly Figure[], name: string): number | undefined {
  return figures.find((figure) => figure.name === name)?.perCpuSecond
}

export function cpuMilliseconds(before?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

export function median(ascending: readonly number[]): number {
  return quantile(ascending, 0.5)
}

export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? NaN
}

export function sorted(values: readonly number[]): readonly number[] {
  return values.toSorted((one, other) => one - other)
}

function cpuSecondsOf(one: Case): number {
  return one.cpuSeconds?.() ?? cpuMilliseconds() / 1000
}

function push(into: Map<string, number[]>, name: string, value: number): void {
  const list = into.get(name)
  if (list === undefined) into.set(name, [value])
  else list.push(value)
}
