/**
 * A side of EDHOC in a foreign program, which is told step by step what to do: a line in, a line
 * out, each a JSON object, bytes in hex. Both programs beside this file speak it. What was said can
 * be written down, and said again without the program.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fromHex, hex } from '@countersign/core/codec'
import type { EadItem } from '@countersign/core/edhoc'
import { peersPython } from '../../peers/python.ts'

type Given = Readonly<Record<string, unknown>>

/** What any step answers; each has some of them. */
interface Answer {
  readonly error?: string
  readonly version?: string
  readonly message?: string
  readonly cid?: string
  readonly reference?: string
  readonly ead?: readonly Item[]
  readonly bytes?: string
}

export interface Item {
  readonly label: number
  readonly critical: boolean
  readonly value: string | null
}

export interface Step {
  readonly asked: Given
  readonly answer: Answer
}

type Ask = (asked: Given) => Promise<Answer>

/** The other end of the lines. */
export interface Program {
  readonly ask: Ask
  close(): void
}

export function started(script: 'lakersPeer.py' | 'model.py'): Program {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(peersPython, [file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)
  const answers = lines[Symbol.asyncIterator]()
  return {
    async ask(asked) {
      child.stdin.write(`${JSON.stringify(asked)}\n`)
      const { value, done } = await answers.next()
      assert.ok(done !== true, `${script} ended at ${JSON.stringify(asked)}`)
      return JSON.parse(value) as Answer
    },
    close() {
      child.stdin.end()
      lines.close()
    },
  }
}

/** Writes down what is said. */
export function recorded(program: Program, steps: Step[]): Program {
  return {
    async ask(asked) {
      const answer = await program.ask(asked)
      steps.push({ asked, answer })
      return answer
    },
    close: () => program.close(),
  }
}

/** Answers as it was written down, and only what was asked then. */
export function replayed(steps: readonly Step[]): Program {
  let next = 0
  return {
    async ask(asked) {
      const step = steps[next++]
      assert.deepEqual(asked, step?.asked)
      return step?.answer ?? {}
    },
    close: () => assert.equal(next, steps.length, 'less was asked than was recorded'),
  }
}

/** What it could not go on with, in its own words. */
export class ForeignRefusal extends Error {}

export class ForeignSide {
  readonly #program: Program

  constructor(program: Program) {
    this.#program = program
  }

  async version(): Promise<string> {
    return text((await this.#ask('version')).version)
  }

  async begin(role: 'initiator' | 'responder', given: Given): Promise<void> {
    await this.#ask(role, given)
  }

  /** A step that gives a message. */
  async write(
    number: 1 | 2 | 3 | 4,
    { ead = [], ...given }: Given & { readonly ead?: readonly EadItem[] } = {},
  ): Promise<Uint8Array> {
    const asked = { ...given, ead: ead.map(outOf) }
    return fromHex(text((await this.#ask(`write_${number}`, asked)).message))
  }

  async read(number: 1 | 2 | 3 | 4, message: Uint8Array): Promise<Read> {
    const { cid, reference, ead } = await this.#ask(`read_${number}`, { message: hex(message) })
    return { cid, reference, ead: ead ?? assert.fail('no authorization data, not even none') }
  }

  /** `cred` is CRED_x of who wrote message_2 or message_3. */
  async trust(number: 2 | 3, given: Given): Promise<void> {
    await this.#ask(`trust_${number}`, given)
  }

  async export(label: number, context: string, length: number): Promise<string> {
    return text((await this.#ask('export', { label, context, length })).bytes)
  }

  async update(context: string): Promise<void> {
    await this.#ask('update', { context })
  }

  close(): void {
    this.#program.close()
  }

  async #ask(step: string, given: Given = {}): Promise<Answer> {
    const answer = await this.#program.ask({ do: step, ...given })
    if (answer.error !== undefined) throw new ForeignRefusal(answer.error)
    return answer
  }
}

interface Read {
  readonly cid: string | undefined
  /** ID_CRED_x, the map. */
  readonly reference: string | undefined
  readonly ead: readonly Item[]
}

function outOf({ label, isCritical, value }: EadItem): Item {
  return { label, critical: isCritical, value: value === undefined ? null : hex(value) }
}

function text(value: string | undefined): string {
  return value ?? assert.fail('the foreign side left out what was asked for')
}
