/**
 * The foreign servers that are compiled before they run: Go's and rustls'. Their builds are in
 * `node_modules/.cache`; `npm run peers` makes them beforehand, because cold they take longer than a
 * test should. The toolchains know themselves what is up to date.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { placeOf } from '../../../../../bench/processes.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const cache = join(here, '../../../../../node_modules/.cache/tls-peers')

/** Of Go 1: `ConnectionState.CurveID` came with it. */
const goMinorMin = 25

const builds = new Map<string, Promise<string>>()

/** Its path. */
export function goServer(): Promise<string> {
  const binary = join(cache, 'go', 'server')
  return once('go', async () => {
    mkdirSync(dirname(binary), { recursive: true })
    const env = { CGO_ENABLED: '0', GOFLAGS: '', GOTOOLCHAIN: 'local' }
    await run('go', ['build', '-o', binary, 'main.go'], { cwd: join(here, 'go'), env })
    return binary
  })
}

/** Its path. */
export function rustlsServer(): Promise<string> {
  const target = join(cache, 'rustls')
  return once('rustls', async () => {
    const args = ['build', '--quiet', '--target-dir', target]
    await run('cargo', args, { cwd: join(here, 'rustls'), env: {} })
    return join(target, 'debug', 'rustls-peer')
  })
}

/** For `skip`. No Debian package of `.ci/run` brings these toolchains, so never more than a skip. */
export function missingGo(): string | false {
  const go = placeOf('go')
  if (go === undefined) return 'go is not on this machine'
  const version = execFileSync(go, ['version'], { encoding: 'utf8' }).trim()
  const minor = /go1\.(\d+)/.exec(version)?.[1]
  return Number(minor) >= goMinorMin ? false : `Go 1.${goMinorMin} is needed, this is ${version}`
}

/** For `skip`. */
export function missingRust(): string | false {
  return placeOf('cargo') === undefined ? 'cargo is not on this machine' : false
}

function once(name: string, build: () => Promise<string>): Promise<string> {
  const started = builds.get(name) ?? build()
  builds.set(name, started)
  return started
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
    ['go', missingGo(), goServer],
    ['rustls', missingRust(), rustlsServer],
  ] as const) {
    const start = performance.now()
    if (missing === false) await build()
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    process.stdout.write(`${name}: ${missing === false ? `built in ${seconds} s` : missing}\n`)
  }
}
