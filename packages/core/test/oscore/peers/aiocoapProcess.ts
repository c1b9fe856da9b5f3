/** aiocoap as a program on this machine, its security context in a folder that outlives it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { peersPython } from '../../peers/python.ts'

const script = fileURLToPath(new URL('aiocoapPeer.py', import.meta.url))

/** In hex, as aiocoap reads them. */
export interface Names {
  readonly secret: string
  readonly salt: string
  readonly senderId: string
  readonly recipientId: string
}

interface Line {
  readonly port?: number
  readonly code?: number
  readonly payload?: string
}

export interface Aiocoap {
  readonly next: () => Promise<Line>
  readonly say: (line: unknown) => void
  /** As a crash ends it: its window is unknown afterwards. */
  readonly crash: () => Promise<void>
}

/** A folder with a context that was never used. */
export function contextFolder(t: TestContext, names: Names): string {
  const folder = mkdtempSync(join(tmpdir(), 'aiocoap-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const settings = {
    secret_hex: names.secret,
    salt_hex: names.salt,
    'sender-id_hex': names.senderId,
    'recipient-id_hex': names.recipientId,
  }
  writeFileSync(join(folder, 'secret.json'), JSON.stringify(settings))
  return folder
}

export function aiocoap(t: TestContext, ...options: readonly string[]): Aiocoap {
  const child = spawn(peersPython, [script, ...options], { stdio: 'pipe' })
  // It writes down there what it refuses; of interest when it ends.
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const ended = once(child, 'close')
  const crash = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  t.after(crash)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return {
    crash,
    say: (line) => child.stdin.write(`${JSON.stringify(line)}\n`),
    async next() {
      const { value, done } = await lines.next()
      assert.ok(done !== true, `aiocoap ended: ${errors}`)
      return JSON.parse(value) as Line
    },
  }
}
