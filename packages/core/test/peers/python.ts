/**
 * The Python in which the foreign peers of CoAP, OSCORE and EDHOC run: a virtual environment with
 * aiocoap and lakers. `npm run peers` makes it in `node_modules/.cache`; a test never does, because
 * that takes the network.
 *
 * @example test('…', { skip: missingPythonPeers() }, () => spawn(peersPython, [script]))
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { placeOf } from '../../../../bench/processes.ts'

const requirements = fileURLToPath(new URL('requirements.txt', import.meta.url))
const cache = '../../../../node_modules/.cache/tls-peers/python'
const environment = fileURLToPath(new URL(cache, import.meta.url))
/** Written last: what is in the environment. */
const mark = join(environment, 'requirements.txt')

/** Its interpreter. */
export const peersPython: string = join(environment, 'bin', 'python')

/** For `skip`; a failure when PEERS=required. */
export function missingPythonPeers(): string | false {
  if (isBuilt()) return false
  const reason = `aiocoap and lakers: ${noPython() || 'not built yet: npm run peers'}`
  if (process.env['PEERS'] === 'required') throw new Error(reason)
  return reason
}

/** Why there can be none. */
export function noPython(): string | false {
  return placeOf('python3') === undefined ? 'python3 is not on this machine' : false
}

/** Nothing is done when it is there as it should be. */
export async function buildPythonPeers(): Promise<void> {
  if (isBuilt()) return
  rmSync(environment, { recursive: true, force: true })
  mkdirSync(dirname(environment), { recursive: true })
  await promisify(execFile)(placeOf('python3') ?? 'python3', ['-m', 'venv', environment])
  const options = ['--quiet', '--disable-pip-version-check', '--no-input', '--no-deps']
  const install = ['-m', 'pip', 'install', ...options, '--requirement', requirements]
  await promisify(execFile)(peersPython, install)
  writeFileSync(mark, readFileSync(requirements))
}

function isBuilt(): boolean {
  try {
    return readFileSync(mark, 'utf8') === readFileSync(requirements, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}
