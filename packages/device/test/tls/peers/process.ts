/** A foreign program that runs: what it prints, what it is told, its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort, placeOf } from '../../../../../bench/processes.ts'
import type { ForeignServer, Peer } from './peer.ts'

const startMsMax = 20_000
const triesMax = 3

const alive = new Set<ForeignProcess>()
process.once('exit', () => {
  for (const server of alive) server.kill()
})
// What the test runner sends to a file that is out of time; by itself it is no 'exit'.
process.once('SIGTERM', () => process.exit(143))

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export class ForeignProcess {
  readonly #command: string
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #isOver = false
  #output = ''
  #wake: (() => void)[] = []

  constructor({ command, args, env }: Program) {
    this.#command = command
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    alive.add(this)
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
        this.#tell()
      })
    // Who writes to a program that has just ended is told so by `prints`.
    this.#child.stdin?.on('error', () => undefined)
    this.#child.once('error', (error) => (this.#output += String(error)))
    this.#ended = once(this.#child, 'close').then(
      () => this.#over(),
      () => this.#over(),
    )
  }

  output(): string {
    return this.#output
  }

  /** Resolves when it has printed this, rejects when it ended without. */
  async prints(what: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = what.exec(this.#output)
      if (found !== null) return found
      if (this.#isOver)
        throw new Error(`${this.#command} ended and never printed ${what}:\n${this.#output}`)
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  /** Like `prints`, for its first words: too late ends it. */
  async starts(what: RegExp): Promise<RegExpExecArray> {
    const late = setTimeout(() => this.kill(), startMsMax)
    try {
      return await this.prints(what)
    } finally {
      clearTimeout(late)
    }
  }

  /** To its stdin. */
  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async stop(): Promise<void> {
    this.kill()
    await this.#ended
  }

  #over(): void {
    alive.delete(this)
    this.#isOver = true
    this.#tell()
  }

  #tell(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** For the end of a test file: also those of a test that ran out of time. */
export async function stopAll(): Promise<void> {
  await Promise.all([...alive].map((server) => server.stop()))
}

/** Of a program that is told its port, and may find it taken in the meantime. */
export async function startOnFreePort(
  program: (port: number) => Promise<Program>,
  isReady: RegExp,
): Promise<{ readonly running: ForeignProcess; readonly port: number }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    const server = new ForeignProcess(await program(port))
    try {
      await server.starts(isReady)
      return { running: server, port }
    } catch (error) {
      await server.stop()
      if (tries === triesMax || !/address already in use/i.test(server.output())) throw error
    }
  }
}

export function serverOf({ name }: Peer, running: ForeignProcess, port: number): ForeignServer {
  return {
    name,
    host: '127.0.0.1',
    port,
    output: () => running.output(),
    prints: (what) => running.prints(what),
    stop: () => running.stop(),
  }
}

/** For `skip`: a program of a Debian package that `.ci/run` installs. */
export function missingPackage(program: string, debianPackage: string): string | false {
  if (placeOf(program) !== undefined) return false
  const reason = `${program} is not on this machine: Debian package ${debianPackage}`
  if (process.env['PEERS'] === 'required') throw new Error(reason)
  return reason
}

export function placeOrName(program: string): string {
  return placeOf(program) ?? program
}
