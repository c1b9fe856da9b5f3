/**
 * A program of the device's owner that does what commands ask for: the command's name is its only
 * argument, the data its standard input. What it prints is the result; with another exit code than
 * zero it refuses, and the last line of its standard error says why. No shell comes between.
 */
import { isUtf8 } from 'node:buffer'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { errorCode } from '@countersign/element/shapes'
import type { DeviceErrorCode } from './errors.ts'
import type { Command } from './portable/command.ts'
import {
  type CommandHandler,
  type CommandOutcome,
  commandResultBytesMax,
} from './portable/commandDesk.ts'
import { textSample } from './source.ts'
import type { World } from './world.ts'

export interface ProgramOptions {
  /** Path of an executable file. */
  readonly program: string
  readonly world: Pick<World, 'wait'>
  /** Ends a program that runs. */
  readonly signal?: AbortSignal
  readonly timeMsMax?: Milliseconds
}

/** The next command waits for this one. */
const timeMsMaxDefault: Milliseconds = 60_000
const errorLengthMax = 4_096

/** @example await run({ …, onCommand: await programHandler({ program: './do.sh', world }) }) */
export async function programHandler(options: ProgramOptions): Promise<CommandHandler> {
  try {
    await access(options.program, constants.X_OK)
  } catch (cause) {
    throw new CallerError<DeviceErrorCode>(
      'ERR_COMMAND_PROGRAM',
      `the program for commands cannot be run (${errorCode(cause) ?? 'unknown'})`,
      {},
      { where: options.program, hint: 'Name an executable file: chmod +x.', cause },
    )
  }
  return (command) => runProgram(command, options)
}

function runProgram(command: Command, options: ProgramOptions): Promise<CommandOutcome> {
  const { program, world, signal, timeMsMax = timeMsMaxDefault } = options
  // A group of its own: what the program starts ends with it.
  const child = spawn(program, [command.name], { detached: process.platform !== 'win32' })
  const over = new AbortController()
  return new Promise((resolve) => {
    const finish = (outcome: CommandOutcome): void => {
      over.abort()
      signal?.removeEventListener('abort', onStop)
      resolve(outcome)
    }
    const cut = (refused: string): void => {
      if (over.signal.aborted) return
      kill(child)
      finish({ refused })
    }
    const onStop = (): void => cut('the device was stopped meanwhile')
    signal?.addEventListener('abort', onStop)
    if (signal?.aborted === true) onStop()
    void world
      .wait(timeMsMax, over.signal)
      .then(() => cut(`it took longer than ${timeMsMax / 1000} seconds`))
    hear(child, finish, cut)
    // A program need not read what it does not want to know.
    child.stdin.on('error', () => undefined)
    child.stdin.end(command.text)
  })
}

/** What the program says, within bounds. */
function hear(
  child: ChildProcessWithoutNullStreams,
  finish: (outcome: CommandOutcome) => void,
  cut: (refused: string) => void,
): void {
  const output: Buffer[] = []
  let length = 0
  let complaint = ''
  child.stdout.on('data', (part: Buffer) => {
    length += part.length
    if (length > commandResultBytesMax) cut(`it printed more than ${commandResultBytesMax} bytes`)
    else output.push(part)
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    complaint = (complaint + part).slice(-errorLengthMax)
  })
  child.once('error', (error) =>
    finish({ refused: `the program did not start (${errorCode(error) ?? error.message})` }),
  )
  child.once('close', (code, by) => {
    if (code === 0) finish(resultOf(Buffer.concat(output)))
    else finish({ refused: lastLine(complaint) ?? `it ended with ${by ?? code}` })
  })
}

function resultOf(output: Buffer): CommandOutcome {
  if (!isUtf8(output)) return { contentType: 'application/octet-stream', body: output }
  const { contentType, data } = textSample(output.toString('utf8').trimEnd())
  return { contentType, body: data }
}

function lastLine(text: string): string | undefined {
  return text.split('\n').findLast((line) => line.trim() !== '')
}

/** With everything that it has started. */
function kill(child: ChildProcessWithoutNullStreams): void {
  child.stdout.destroy()
  child.stderr.destroy()
  try {
    if (child.pid !== undefined && process.platform !== 'win32') process.kill(-child.pid, 'SIGKILL')
    else child.kill('SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}
