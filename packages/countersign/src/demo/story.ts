/**
 * How the demo is told: one line a step with a mark and its time, on the terminal only; the report
 * remembers all of it.
 */
import { styleText } from 'node:util'
import type { StepObservation } from './report.ts'

export interface Story {
  /** Steps done so far. */
  readonly steps: readonly StepObservation[]
  /**
   * Does a step; the story goes on when it fails, and the report says so. `told` words the result.
   */
  step<T>(name: string, work: () => Promise<T>, told?: (result: T) => string): Promise<T>
  /** Columns of the terminal that it is told on. */
  readonly columns: number
  /** A line of its own; what is too long goes on below, as far in as it began. */
  say(text: string): void
  /** A line to be copied: never broken. */
  sayWhole(text: string): void
  heading(text: string): void
  /** Nothing more is said: what still fails after Ctrl-C fails because of it. */
  mute(): void
}

/** Steps line up here where there is room. */
const nameWidthMax = 88
/** Of mark and time, and what stands between. */
const besideName = 12
/** In a file or a pipe. */
const columnsDefault = 100
const columnsMin = 40

export function createStory(
  output: NodeJS.WritableStream & { readonly columns?: number },
  quiet: boolean,
): Story {
  const columns = Math.max(output.columns ?? columnsDefault, columnsMin)
  const nameWidth = Math.min(nameWidthMax, columns - besideName)
  const steps: StepObservation[] = []
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    styleText(style, text, { stream: output })
  let muted = quiet
  const sayWhole = (text: string): void => {
    if (!muted) output.write(`${text}\n`)
  }
  const say = (text: string): void => sayWhole(fold(text, columns).join('\n'))
  const tell = (mark: string, name: string, milliseconds: number): void => {
    const lines = fold(name, nameWidth)
    const last = (lines.pop() ?? '').padEnd(nameWidth)
    const told = [...lines, `${last} ${paint('dim', clock(milliseconds))}`]
    sayWhole(`  ${mark} ${told.join('\n    ')}`)
  }
  return {
    steps,
    columns,
    say,
    sayWhole,
    mute: () => {
      muted = true
    },
    heading: (text) => sayWhole(`\n${paint('bold', text)}`),
    async step(name, work, told) {
      const started = performance.now()
      const time = (): number => Math.round(performance.now() - started)
      try {
        const result = await work()
        steps.push({ name, ok: true, milliseconds: time() })
        tell(paint('green', '✓'), told === undefined ? name : told(result), time())
        return result
      } catch (error) {
        steps.push({ name, ok: false, milliseconds: time() })
        tell(paint('red', '✗'), name, time())
        throw error
      }
    },
  }
}

/** Broken at spaces; a word that is longer than a line stays whole. */
export function fold(text: string, width: number): string[] {
  const indent = /^ */.exec(text)?.[0] ?? ''
  const lines: string[] = []
  let line = ''
  for (const word of text.slice(indent.length).split(' ')) {
    const longer = line === '' ? indent + word : `${line} ${word}`
    if (longer.length > width && line !== '') {
      lines.push(line)
      line = indent + word
    } else line = longer
  }
  return [...lines, line]
}

function clock(milliseconds: number): string {
  const text = milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`
  return text.padStart(7)
}
