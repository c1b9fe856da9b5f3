/** The command in this process, at streams of its own: quick, and a test can type into it. */
import { PassThrough } from 'node:stream'
import { report } from '../../src/cli/failure.ts'
import { createProgram } from '../../src/cli/program.ts'
import { Terminal } from '../../src/cli/terminal.ts'
import type { Outcome } from './bin.ts'

export interface Stage {
  readonly terminal: Terminal
  readonly stdin: PassThrough
  /** What was said so far. */
  stdout(): string
  stderr(): string
}

/** `attended`: a person sits there. */
export function stage({ attended = false, json = false } = {}): Stage {
  const stream = (): PassThrough => Object.assign(new PassThrough(), { isTTY: attended })
  const [stdin, stdout, stderr] = [stream(), stream(), stream()]
  const said = { stdout: '', stderr: '' }
  stdout.on('data', (text: Buffer) => (said.stdout += text.toString()))
  stderr.on('data', (text: Buffer) => (said.stderr += text.toString()))
  const streams = { stdin, stdout, stderr } as unknown as ConstructorParameters<typeof Terminal>[0]
  return {
    terminal: new Terminal(streams, { json }),
    stdin,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
  }
}

/** Runs it on this stage to its end. */
export async function runOn(on: Stage, args: readonly string[]): Promise<Outcome> {
  const code = await createProgram(on.terminal)
    .parseAsync(args, { from: 'user' })
    .then(() => on.terminal.exitCode)
    .catch((error: unknown) => report(error, on.terminal))
  return { code, stdout: on.stdout(), stderr: on.stderr() }
}
