/** A peer in Python that speaks JSON lines: what it says, what it is told, its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { peersPython } from './python.ts'

const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export class PythonPeer {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #closed: Promise<unknown>
  #errors = ''

  /** `script` stands beside this file. */
  constructor(script: string, ...args: readonly string[]) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    this.#child = spawn(peersPython, [path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
    alive.add(this.#child)
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    // Who tells a program that has ended is told so by `says`.
    this.#child.stdin?.on('error', () => undefined)
    this.#closed = once(this.#child, 'close')
    const { stdout } = this.#child
    if (stdout === null) throw new Error('it has no stdout')
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  /** Its next line. */
  async says(): Promise<unknown> {
    const line = await this.#lines.next()
    if (line.done !== true) return JSON.parse(line.value)
    throw new Error(`it ended without a word more:\n${this.#errors}`)
  }

  tell(line: unknown): void {
    this.#child.stdin?.write(`${JSON.stringify(line)}\n`)
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
    alive.delete(this.#child)
  }
}
