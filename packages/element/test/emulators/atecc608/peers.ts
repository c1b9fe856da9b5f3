import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'

/** Why a test with these programs and UNIX sockets is skipped; a failure when PEERS=required. */
export function missing(...programs: readonly string[]): string | false {
  if (process.platform === 'win32') return 'UNIX sockets'
  const absent = programs.find((program) => spawnSync(program, ['--version']).error !== undefined)
  if (absent === undefined) return false
  assert.notEqual(process.env['PEERS'], 'required', `${absent} is required and missing`)
  return `${absent} is not installed`
}
