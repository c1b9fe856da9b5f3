/**
 * Servers under test are processes of their own: started, waited for, measured from outside
 * (proc(5), so Linux only) and stopped. Their children count with them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** USER_HZ: what /proc counts in, on every Linux (proc(5), sysconf(3)). */
const ticksPerSecond = 100
const startMsMax = 20_000

export interface Running {
  readonly pid: number
  readonly child: ChildProcess
  /** What it has said on stdout so far. */
  readonly output: () => string
  /** The end of what it has said on stderr. */
  readonly errors: () => string
  stop(): Promise<void>
}

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Resolves when the program is ready: when `isReady` likes what it wrote. What it says on stderr
 * goes into the error if it ends before.
 */
export async function start(
  { command, args, env }: Program,
  isReady: (stdout: string, stderr: string) => boolean | Promise<boolean>,
): Promise<Running> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  // The end is enough: a server under load may log a lot.
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-65_536)
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), startMsMax)
    await ended
    clearTimeout(late)
  }
  const deadline = performance.now() + startMsMax
  const ready = async (): Promise<void> => {
    while (!(await isReady(stdout, stderr))) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`${command} did not start:\n${stdout}${stderr}`)
      await sleep(20)
    }
  }
  try {
    await Promise.race([ready(), failed])
  } catch (error) {
    if (child.pid !== undefined) await stop()
    throw error
  }
  return { pid: child.pid ?? 0, child, output: () => stdout, errors: () => stderr, stop }
}

/** Whether somebody listens there: `isReady` of a program that says nothing. */
export function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Free a moment ago; good enough for a server that cannot be asked for any free one. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })
}

/** Its place, also where an ordinary user has no path to (/usr/sbin); undefined: not installed. */
export function placeOf(program: string): string | undefined {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/go/bin',
    join(homedir(), '.cargo', 'bin'),
  ]
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

/** User and system time of a process and its children until now. */
export function cpuSeconds(pid: number): number {
  // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
  const fields = read(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ')
  const own = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  return childrenOf(pid).reduce((sum, child) => sum + cpuSeconds(child), own)
}

export function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(read(pid, 'status'))?.[1]
  return childrenOf(pid).reduce(
    (sum, child) => sum + residentBytes(child),
    Number(kibibytes) * 1024,
  )
}

/** Same for every process of the machine, unlike `performance.now()`. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

function childrenOf(pid: number): readonly number[] {
  return read(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number)
}

function read(pid: number, name: string): string {
  return readFileSync(`/proc/${pid}/${name}`, 'utf8')
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
