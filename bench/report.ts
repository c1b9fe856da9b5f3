/**
 * What a benchmark tells: tables, ratios beside their goals, and what a reader must know to believe
 * them. Shown on the terminal, and as Markdown for docs/performance.md, from the same values.
 */
import type { Figure } from './measure.ts'

export interface Report {
  readonly tables: readonly Table[]
  readonly goals: readonly Goal[]
  /** One sentence or two each: versions, what differs, an anchor that is missing. */
  readonly notes: readonly string[]
}

export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export interface Goal {
  readonly what: string
  readonly ratio: number
  readonly wanted: number
  /** Whether `ratio` should be at least or at most `wanted`. */
  readonly sense: 'at least' | 'at most'
  /** Of `ratio` and `wanted`; absent: a plain ratio. */
  readonly unit?: string
}

export function reached({ ratio, wanted, sense }: Goal): boolean {
  return sense === 'at least' ? ratio >= wanted : ratio <= wanted
}

/** No goal where the anchor could not be measured: there is nothing to compare with. */
export function atLeast(
  what: string,
  value: number | undefined,
  anchor: number | undefined,
  wanted: number,
): readonly Goal[] {
  return compared(what, value, anchor, wanted, 'at least')
}

export function atMost(
  what: string,
  value: number | undefined,
  anchor: number | undefined,
  wanted: number,
): readonly Goal[] {
  return compared(what, value, anchor, wanted, 'at most')
}

function compared(
  what: string,
  value: number | undefined,
  anchor: number | undefined,
  wanted: number,
  sense: Goal['sense'],
): readonly Goal[] {
  if (value === undefined || anchor === undefined) return []
  return [{ what, ratio: value / anchor, wanted, sense }]
}

export function rateTable(figures: readonly Figure[], unit: string): Table {
  return {
    columns: ['case', `${unit} per CPU-second`, 'spread', 'per second of the clock'],
    rows: figures.map(({ name, perCpuSecond, spread, perSecond }) => [
      name,
      whole(perCpuSecond),
      `±${Math.round(spread * 50)} %`,
      whole(perSecond),
    ]),
  }
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

export function plainText({ tables, goals, notes }: Report): string {
  const blocks = [...tables, ...(goals.length === 0 ? [] : [goalTable(goals)])]
  return [...blocks.map(aligned), ...notes.map((note) => `- ${note}`)].join('\n')
}

export function markdown({ tables, goals, notes }: Report): string {
  const blocks = [...tables, ...(goals.length === 0 ? [] : [goalTable(goals)])]
  const lists = notes.length === 0 ? [] : [notes.map((note) => `- ${note}`).join('\n')]
  return [...blocks.map(piped), ...lists].join('\n\n')
}

function goalTable(goals: readonly Goal[]): Table {
  return {
    columns: ['ratio', 'measured', 'goal', ''],
    rows: goals.map((goal) => {
      const { what, ratio, wanted, sense, unit = '' } = goal
      const shown = `${ratio.toFixed(2)}${unit}`
      return [what, shown, `${sense} ${wanted}${unit}`, reached(goal) ? 'reached' : '**missed**']
    }),
  }
}

function piped({ columns, rows }: Table): string {
  return [pipedLine(columns), `|${'---|'.repeat(columns.length)}`, ...rows.map(pipedLine)].join(
    '\n',
  )
}

function pipedLine(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function aligned({ columns, rows }: Table): string {
  const all = [columns, ...rows].map((cells) => cells.map((cell) => cell.replaceAll('**', '')))
  const widths = columns.map((_, at) => Math.max(...all.map((cells) => (cells[at] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
  return `${all.map(line).join('\n')}\n`
}
