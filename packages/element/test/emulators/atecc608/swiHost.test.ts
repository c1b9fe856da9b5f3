/** A foreign host on the single wire: Python on a pseudo terminal that socat makes. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openEmulatedPart } from '../../../src/emulators/atecc608/persistence.ts'
import { serveSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
import { missing } from './peers.ts'
import { bytes, text } from './support.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('swi_host.py', import.meta.url))

async function wireOf(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'csgn-swi-'))
  const options = { time: performance, framing: 'swi', flush: false } as const
  const { part, close } = openEmulatedPart(join(folder, 'part.json'), options)
  const wire = await serveSwi({ part, time: performance, path: join(folder, 'wire.sock') })
  t.after(async () => {
    await wire.close()
    assert.equal(existsSync(wire.path), false)
    close()
    rmSync(folder, { recursive: true })
  })
  return wire.path
}

/** The name of a pseudo terminal that is the other end of the socket. */
async function terminalOf(t: TestContext, path: string): Promise<string> {
  const socat = spawn('socat', ['-d', '-d', 'PTY,rawer', `UNIX-CONNECT:${path}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => socat.kill())
  let name = ''
  for await (const line of createInterface({ input: socat.stderr })) {
    name = /PTY is (\S+)/.exec(line)?.[1] ?? name
    if (line.includes('starting data transfer loop')) return name
  }
  throw new Error('socat ended')
}

test('a host in Python opens a serial port and speaks with the part', {
  skip: missing('python3', 'socat'),
}, async (t) => {
  const terminal = await terminalOf(t, await wireOf(t))
  const { stdout } = await run('python3', [script, terminal])
  assert.deepEqual(JSON.parse(stdout), {
    woke: '04113343',
    info: '070000600383bb',
    random: `23${'ffff0000'.repeat(8)}411a`,
    asleep: '',
  })
})

test('the socket of a wire is its owner’s, and one host has it at a time', {
  skip: missing(),
}, async (t) => {
  const path = await wireOf(t)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const first = connect(path)
  const heard = new Promise<Buffer>((resolve) => first.once('data', resolve))
  first.write(bytes('7D'))
  assert.equal(text(await heard), '7D')
  const second = connect(path)
  const turnedAway = await new Promise<string>((resolve) => {
    second.on('data', () => resolve('heard')).on('close', () => resolve('closed'))
    second.on('error', () => undefined)
  })
  assert.equal(turnedAway, 'closed')
  first.destroy()
})
