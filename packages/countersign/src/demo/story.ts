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
  /** A line of its own. */
  say(text: string): void
  heading(text: string): void
  /** Nothing more is said: what still fails after Ctrl-C fails because of it. */
  mute(): void
}

/** Steps line up here. */
const nameWidth = 84

export function createStory(output: NodeJS.WritableStream, quiet: boolean): Story {
  const steps: StepObservation[] = []
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    styleText(style, text, { stream: output })
  let muted = quiet
  const say = (text: string): void => {
    if (!muted) output.write(`${text}\n`)
  }
  return {
    steps,
    say,
    mute: () => {
      muted = true
    },
    heading: (text) => say(`\n${paint('bold', text)}`),
    async step(name, work, told) {
      const started = performance.now()
      const time = (): number => Math.round(performance.now() - started)
      try {
        const result = await work()
        steps.push({ name, ok: true, milliseconds: time() })
        const line = told === undefined ? name : told(result)
        say(`  ${paint('green', '✓')} ${line.padEnd(nameWidth)} ${paint('dim', clock(time()))}`)
        return result
      } catch (error) {
        steps.push({ name, ok: false, milliseconds: time() })
        say(`  ${paint('red', '✗')} ${name.padEnd(nameWidth)} ${paint('dim', clock(time()))}`)
        throw error
      }
    },
  }
}

function clock(milliseconds: number): string {
  const text = milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`
  return text.padStart(7)
}
