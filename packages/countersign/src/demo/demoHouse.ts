/**
 * A throw-away house for the demo: a marked folder in the temporary directory, its server as a
 * child process, one way to its operations.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { AdapterError } from '@countersign/core/errors'
import { parseRecord } from '@countersign/element/shapes'
import { createFolder } from '@countersign/server'
import type { House } from '@countersign/server/control'
import { reachHouse } from '@countersign/server/reach'
import type { ServeOrder } from './serveProcess.ts'

export interface DemoFolder {
  readonly root: string
  /** The data folder. */
  readonly dir: string
  /** Emulated chips, and the works that made them. */
  readonly chips: string
  /** Of the demo's life only. */
  readonly passphrase: string
}

export interface DemoServer {
  /** `https://localhost:…` for devices. */
  readonly https: URL
  /** `mqtts://localhost:…` for devices, and for applications with a certificate. */
  readonly mqtts: URL
  /** `coap://127.0.0.1:…` for devices, over UDP. */
  readonly coap: URL
  /** `http://localhost:…` for applications. */
  readonly console: URL
  readonly house: House
  close(): Promise<void>
}

/**
 * The passphrase has 192 random bits and lives for a minute: nobody will guess it, however cheap a
 * guess is.
 */
const cost = { log2N: 12, r: 8, p: 1 }
type Listener = 'https' | 'mqtts' | 'coap' | 'console'
const readyMsMax = 30_000
const closeMsMax = 5_000

export async function makeFolder(): Promise<DemoFolder> {
  const root = await mkdtemp(join(tmpdir(), 'countersign-demo-'))
  const passphrase = randomBytes(24).toString('base64url')
  const dir = join(root, 'data')
  await createFolder(dir, { hosts: [], demo: true, passphrase, cost })
  const chips = join(root, 'chips')
  await mkdir(chips, { mode: 0o700 })
  return { root, dir, chips, passphrase }
}

export async function removeFolder(folder: DemoFolder): Promise<void> {
  await rm(folder.root, { recursive: true, force: true, maxRetries: 3 })
}

export async function startServer({ dir, passphrase }: DemoFolder): Promise<DemoServer> {
  const name = import.meta.url.endsWith('.ts') ? './serveProcess.ts' : './serveProcess.js'
  const script = fileURLToPath(new URL(name, import.meta.url))
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'pipe'] })
  const words = collectWords(child)
  const order: ServeOrder = {
    dir,
    passphrase,
    listen: ['https=127.0.0.1:0', 'mqtts=127.0.0.1:0', 'coap=127.0.0.1:0', 'console=127.0.0.1:0'],
  }
  // A child that ends at once is told by `ready` below.
  child.stdin.on('error', () => undefined)
  child.stdin.write(`${JSON.stringify(order)}\n`)
  try {
    const listeners = await ready(child, words)
    const house = await reachHouse(dir, {
      passphrase: () => Promise.resolve(passphrase),
      warn: () => undefined,
    })
    return {
      https: new URL(listeners.https),
      mqtts: new URL(listeners.mqtts),
      coap: new URL(listeners.coap),
      console: new URL(listeners.console),
      house,
      close: async () => {
        await house.close()
        await end(child)
      },
    }
  } catch (error) {
    await end(child)
    throw error
  }
}

/** The last words of the server, for the case that it dies. */
function collectWords(child: ChildProcess): () => string {
  const kept: string[] = []
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept.push(text)
    if (kept.length > 50) kept.shift()
  })
  return () => kept.join('').trim().slice(-2000)
}

function ready(
  child: ChildProcess,
  words: () => string,
): Promise<Readonly<Record<Listener, string>>> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(new AdapterError('ERR_DEMO_SERVER', `the server did not start: ${why} ${words()}`))
    }
    const timer = setTimeout(() => fail('it took too long.'), readyMsMax)
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`it ended with ${code}.`))
    if (child.stdout === null) return
    createInterface({ input: child.stdout }).once('line', (line) => {
      const listeners = parseRecord(JSON.stringify(parseRecord(line)?.['listeners'] ?? {}))
      const { https, mqtts, coap, console } = listeners ?? {}
      if (typeof https !== 'string' || typeof mqtts !== 'string') return fail(line)
      if (typeof coap !== 'string' || typeof console !== 'string') return fail(line)
      clearTimeout(timer)
      child.removeAllListeners('exit')
      resolve({ https, mqtts, coap, console })
    })
  })
}

/** The end of its input tells the server to stop; one that does not is stopped. */
function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      resolve()
      return
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), closeMsMax)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.stdin?.end()
  })
}
