/** Foreign hosts on the relay: Python with its own CRC and packets, and the page's example. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { openEmulatedPart } from '../../../src/emulators/atecc608/persistence.ts'
import { serveRelay } from '../../../src/emulators/atecc608/relay.ts'
import { missing } from './peers.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('relay_host.py', import.meta.url))
const page = fileURLToPath(new URL('../../../../../docs/element/emulator.md', import.meta.url))
const serial = Uint8Array.of(0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xee)

async function relayOf(t: TestContext): Promise<{ folder: string; path: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'csgn-host-'))
  const opened = openEmulatedPart(join(folder, 'part.json'), {
    time: performance,
    blank: { serial, revision: 3 },
  })
  const relay = await serveRelay({
    bus: emulatedI2c([opened.part]),
    path: join(folder, 'bus.sock'),
  })
  t.after(async () => {
    await relay.close()
    opened.close()
    rmSync(folder, { recursive: true })
  })
  return { folder, path: relay.path }
}

interface Said {
  readonly revision: string
  readonly serial: string
  readonly locks: string
  readonly fixedRandom: string
  readonly keyConfig: string
  readonly lockWithWrongCrc: string
  readonly locked: string
  readonly randoms: readonly string[]
  readonly openssl: string
  readonly opensslOfOther: string
  readonly secondSign: string
  readonly asleep: boolean
  readonly busy: number
}

test('a host in Python takes a blank part to a signature that OpenSSL verifies', {
  skip: missing('python3', 'openssl'),
}, async (t) => {
  const { folder, path } = await relayOf(t)
  const { stdout } = await run('python3', [script, path, folder])
  const { busy, randoms, ...said } = JSON.parse(stdout) as Said
  assert.deepEqual(said, {
    revision: '00006003',
    serial: '0123456789abcdefee',
    locks: '5555',
    fixedRandom: 'ffff0000'.repeat(8),
    keyConfig: '3300',
    lockWithWrongCrc: '0f',
    locked: '0000',
    openssl: 'Verified OK',
    opensslOfOther: 'Verification failure',
    secondSign: '0f',
    asleep: true,
  })
  assert.match(randoms[0] ?? '', /^[0-9a-f]{64}$/)
  assert.notEqual(randoms[0], randoms[1])
  // GenKey, Sign and the locks took their time.
  assert.ok(busy > 20, `${busy} polls were refused`)
  assert.match(readFileSync(join(folder, 'part.json'), 'utf8'), /"config": "01234567/)
})

test('the example of the page says what the page says', { skip: missing('python3') }, async (t) => {
  const { path } = await relayOf(t)
  const text = readFileSync(page, 'utf8')
  const [, example] = /```python\n(.*?)```/s.exec(text) ?? []
  const [, said] = /```text\n(.*?)```/s.exec(text) ?? []
  assert.ok(example !== undefined && said !== undefined)
  const { stdout } = await run('python3', ['-c', example, path])
  assert.equal(stdout, said)
})
