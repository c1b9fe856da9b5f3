/** Serial ports that lead to a socket, by socat. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, watch } from 'node:fs'
import { dirname } from 'node:path'
import type { TestContext } from 'node:test'

/** Why there is none here, for `skip`. */
export const noSocat: string | false = why()

function why(): string | false {
  if (spawnSync('socat', ['-V']).status === 0) return false
  assert.notEqual(process.env['PEERS'], 'required', 'PEERS=required, and there is no socat here')
  return 'socat is not installed'
}

/** A serial port at this path whose other end is the socket; it ends with the test. */
export async function serialPort(t: TestContext, path: string, socket: string): Promise<string> {
  return runSocat(t, path, ['socat', `PTY,link=${path},rawer`, `UNIX-CONNECT:${socket}`])
}

/** A command that makes a serial port at this path. */
export async function runSocat(
  t: TestContext,
  path: string,
  [program = '', ...args]: readonly string[],
): Promise<string> {
  const appeared = new Promise<void>((resolve) => {
    const watcher = watch(dirname(path), () => {
      if (!existsSync(path)) return
      watcher.close()
      resolve()
    })
  })
  const socat = spawn(program, args)
  t.after(() => socat.kill())
  await appeared
  return path
}
