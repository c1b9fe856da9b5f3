/** Runs the real command as its users do: a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url))

const compileCache = fileURLToPath(
  new URL('../../../../node_modules/.cache/compile', import.meta.url),
)

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The environment of a test never leaks the developer's own folder or passphrase in. */
export function cleanEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { COUNTERSIGN_DIR: _dir, COUNTERSIGN_PASSPHRASE_FILE: _file, ...env } = process.env
  // Compiled once for all the processes of the tests: starting one costs half.
  return { ...env, NO_COLOR: '1', NODE_COMPILE_CACHE: compileCache, ...extra }
}

export function start(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [bin, ...args], { env: cleanEnvironment(env) })
}

export async function countersign(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const child = start(args, env)
  child.stdin.end()
  return await outcome(child)
}

export async function outcome(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return await new Promise((resolve) =>
    child.once('close', (code) => resolve({ code, stdout, stderr })),
  )
}

/** The document of a command that must succeed. */
export async function document(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await countersign([...args, '--json'])
  if (code !== 0) throw new Error(`countersign ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`)
  return JSON.parse(stdout) as Record<string, unknown>
}

export interface Served {
  readonly child: ChildProcessWithoutNullStreams
  readonly listeners: Readonly<Record<string, string>>
  /** Everything said on stderr so far. */
  stderr(): string
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts `serve` on free ports and waits for its ready line. The caller stops it. */
export async function serve(dir: string, ...more: readonly string[]): Promise<Served> {
  const free = [
    '--listen',
    'console=127.0.0.1:0',
    '--listen',
    'https=127.0.0.1:0',
    '--listen',
    'mqtts=0',
    '--listen',
    'coap=0',
  ]
  const child = start(['serve', '--dir', dir, ...free, ...more])
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => resolve(code))
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const { event, listeners }: { event: string; listeners: Record<string, string> } =
      JSON.parse(line)
    if (event !== 'ready') continue
    const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
      child.kill(signal)
      return ended
    }
    return { child, listeners, stderr: () => stderr, stop }
  }
  throw new Error(`serve ended before it was ready:\n${stderr}`)
}

/** A file that holds a passphrase, with the mode it should have. */
export async function passphraseFile(base: string, passphrase: string): Promise<string> {
  const file = join(base, `passphrase-${Buffer.from(passphrase).toString('hex').slice(0, 16)}`)
  await writeFile(file, `${passphrase}\n`, { mode: 0o600 })
  return file
}
