/**
 * The foreign servers that are compiled before they run: Go's and rustls'. `npm run peers` builds
 * them into `node_modules/.cache`; a test never does, because that takes minutes and the network.
 * The toolchains know themselves what is up to date. The peers in Python are made beside them.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { placeOf } from '../../../../../bench/processes.ts'
import { buildPythonPeers, noPython } from '../../../../core/test/peers/python.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const cache = join(here, '../../../../../node_modules/.cache/tls-peers')

/** Of Go 1: `ConnectionState.CurveID` came with it. */
const goMinorMin = 25

export const goServer: string = join(cache, 'go', 'server')
const rustTarget = join(cache, 'rustls')
export const rustlsServer: string = join(rustTarget, 'debug', 'rustls-peer')

async function buildGo(): Promise<void> {
  mkdirSync(dirname(goServer), { recursive: true })
  const env = { CGO_ENABLED: '0', GOFLAGS: '', GOTOOLCHAIN: 'local' }
  await run('go', ['build', '-o', goServer, 'main.go'], { cwd: join(here, 'go'), env })
}

async function buildRustls(): Promise<void> {
  const args = ['build', '--quiet', '--target-dir', rustTarget]
  await run('cargo', args, { cwd: join(here, 'rustls'), env: {} })
}

/**
 * For `skip`. No Debian package of `.ci/run` brings these toolchains: without one it is never more than
 * a skip. With one the server has to be built when PEERS=required.
 */
export function missingGo(): string | false {
  return noGo() || notBuilt(goServer)
}

/** For `skip`. */
export function missingRust(): string | false {
  return noRust() || notBuilt(rustlsServer)
}

function notBuilt(binary: string): string | false {
  if (existsSync(binary)) return false
  const reason = `${relative(cache, binary)} is not built yet: npm run peers`
  if (process.env['PEERS'] === 'required') throw new Error(reason)
  return reason
}

function noGo(): string | false {
  const go = placeOf('go')
  if (go === undefined) return 'go is not on this machine'
  const version = execFileSync(go, ['version'], { encoding: 'utf8' }).trim()
  const minor = /go1\.(\d+)/.exec(version)?.[1]
  return Number(minor) >= goMinorMin ? false : `Go 1.${goMinorMin} is needed, this is ${version}`
}

function noRust(): string | false {
  return placeOf('cargo') === undefined ? 'cargo is not on this machine' : false
}

async function run(
  program: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<void> {
  const place = placeOf(program)
  if (place === undefined) throw new Error(`${program} is not on this machine`)
  // Its own helpers stand beside it.
  const path = [dirname(place), process.env['PATH']].join(delimiter)
  await promisify(execFile)(place, args, { cwd, env: { ...process.env, PATH: path, ...env } })
}

if (import.meta.main) {
  for (const [name, missing, build] of [
    ['python', noPython(), buildPythonPeers],
    ['go', noGo(), buildGo],
    ['rustls', noRust(), buildRustls],
  ] as const) {
    const start = performance.now()
    if (missing === false) await build()
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    process.stdout.write(`${name}: ${missing === false ? `built in ${seconds} s` : missing}\n`)
  }
}
