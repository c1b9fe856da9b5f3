/**
 * Executes the shell blocks of a Markdown page, in order, in one folder. The word behind `sh` says
 * how: none: must succeed; `server`: left running until its ready line; `background`: left running;
 * `until`: repeated until it succeeds; `fails`: must fail. A `text` block lists fragments that the
 * output of the block before it must contain.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Block {
  readonly kind: 'run' | 'server' | 'background' | 'until' | 'fails'
  readonly script: string
  readonly line: number
  readonly expected: readonly string[]
}

const kinds = new Set(['server', 'background', 'until', 'fails'])

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  for (const match of page.matchAll(/^```(\w+)(?: (\w+))?\n([\s\S]*?)^```$/gm)) {
    const [, language, word, body = ''] = match
    const line = page.slice(0, match.index).split('\n').length
    if (language === 'sh') {
      assert(word === undefined || kinds.has(word), `line ${line}: unknown kind of block ${word}`)
      blocks.push({ kind: (word ?? 'run') as Block['kind'], script: body, line, expected: [] })
    } else if (language === 'text') {
      const last = blocks.pop()
      assert(last !== undefined, `line ${line}: expected output without a command`)
      blocks.push({ ...last, expected: body.split('\n').filter((text) => text !== '') })
    }
  }
  return blocks
}

/**
 * One bash that keeps its variables from block to block. Ends each block with a marker line that
 * carries the exit code.
 */
export class Terminal {
  readonly #shell: ChildProcess
  readonly #lines: AsyncIterator<string>
  #blocks = 0

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    this.#shell = spawn('bash', ['--noprofile', '--norc'], {
      cwd,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    })
    assert(this.#shell.stdout !== null)
    this.#lines = createInterface({ input: this.#shell.stdout })[Symbol.asyncIterator]()
  }

  async run(script: string): Promise<{ code: number; output: string }> {
    const marker = `--end-of-block-${++this.#blocks}--`
    this.#shell.stdin?.write(`{ ${script}\n} 2>&1 </dev/null\necho "\n${marker} $?"\n`)
    const output: string[] = []
    for (;;) {
      const next = await this.#lines.next()
      if (next.done === true) throw new Error(`the shell ended:\n${output.join('\n')}`)
      if (next.value.startsWith(marker))
        return { code: Number(next.value.slice(marker.length)), output: output.join('\n') }
      output.push(next.value)
    }
  }

  /** Starts a command behind the shell, with its variables, and does not wait. */
  async background(script: string): Promise<void> {
    await this.run(`{ ${script.trimEnd()}\n} >/dev/null 2>&1 &`)
  }

  /** Ends the shell and everything it started. */
  close(): void {
    if (this.#shell.pid !== undefined && this.#shell.exitCode === null)
      process.kill(-this.#shell.pid, 'SIGKILL')
  }
}

/**
 * Runs a block until it succeeds. Each try is a process of its own, which is pause enough; the
 * limit is on the clock.
 */
export async function until(
  terminal: Terminal,
  block: Block,
  timeoutMs: number,
): Promise<{ output: string; milliseconds: number }> {
  const start = performance.now()
  for (;;) {
    const { code, output } = await terminal.run(
      `${block.script.trimEnd()} || { sleep 0.05; false; }`,
    )
    const milliseconds = performance.now() - start
    if (code === 0) return { output, milliseconds }
    assert(
      milliseconds < timeoutMs,
      `line ${block.line}: still failing after ${timeoutMs} ms:\n${output}`,
    )
  }
}
