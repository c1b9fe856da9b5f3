/** Where somebody could look for a key: the memory of a process, files, all that processes said. */
import assert from 'node:assert/strict'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { holds } from '../../../element/test/privateScalar.ts'

/** All that the process may read and write (proc(5)), piece by piece with an overlap. */
export function memoryHas(pid: number | undefined, what: Buffer): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const [from, to] of regions(pid)) {
      for (let at = from; at < to; at += pieceBytes) {
        const length = Math.min(pieceBytes + what.length, to - at)
        const piece = Buffer.alloc(length)
        if (readPiece(memory, piece, at) && holds(piece, what)) return true
      }
    }
    return false
  } finally {
    closeSync(memory)
  }
}

const pieceBytes = 1 << 24

function regions(pid: number | undefined): readonly (readonly [from: number, to: number])[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line))
    .flatMap((found) =>
      found === null ? [] : [[Number(`0x${found[1]}`), Number(`0x${found[2]}`)] as const],
    )
}

/** False where pages of a region cannot be read: it was given back meanwhile, or is a guard. */
function readPiece(memory: number, piece: Buffer, at: number): boolean {
  try {
    return readSync(memory, piece, 0, piece.length, at) > 0
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EIO') return false
    throw error
  }
}

export async function filesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true })
  const paths = names.map((name) => join(folder, name))
  const kinds = await Promise.all(paths.map(async (path) => (await stat(path)).isFile()))
  return paths.filter((_, i) => kinds[i])
}

/** A process of which every word is kept, on both of its streams. */
export interface Overheard {
  readonly pid: number | undefined
  readonly stdin: ChildProcessWithoutNullStreams['stdin']
  /** Waits for this to be said. */
  heard(what: RegExp): Promise<void>
  /** Ends it; all that it said. */
  end(): Promise<string>
}

export function overhear(child: ChildProcessWithoutNullStreams): Overheard {
  let said = ''
  const keep = (text: string): void => void (said += text)
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  const closed = once(child, 'close')
  return {
    pid: child.pid,
    stdin: child.stdin,
    heard: async (what) => {
      while (!what.test(said)) {
        const isClosed = await Promise.race([
          closed.then(() => true),
          once(child.stdout, 'data').then(() => false),
        ])
        if (isClosed && !what.test(said)) assert.fail(`it ended without ${what}: ${said}`)
      }
    },
    end: async () => {
      child.kill()
      await closed
      return said
    },
  }
}
