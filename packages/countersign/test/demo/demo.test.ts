import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { parseRecord } from '@countersign/element/shapes'
import { countersign, start } from '../cli/bin.ts'

/** A temporary directory of its own, to see that nothing stays behind. */
function ownTmp(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-demo-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('the demo ends with one report that is ok, and leaves nothing behind', async (t) => {
  const TMPDIR = ownTmp(t)
  const { code, stdout, stderr } = await countersign(['demo', '--exit', '--json', '--seed', '11'], {
    TMPDIR,
  })
  assert.equal(code, 0, `${stdout}\n${stderr}`)
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, 1)
  const report: unknown = JSON.parse(lines[0] ?? '')
  assert.partialDeepStrictEqual(report, { ok: true, edhoc: {}, gateway: { plaintext: 0 } })
  const { devices, gateway, revocation, steps, seconds } = parseRecord(lines[0] ?? '') ?? {}
  assert.ok(Array.isArray(devices) && devices.length >= 4)
  for (const device of devices) {
    assert.match(device.id, /^urn:dev:mac:[0-9a-f]{16}$/)
    assert.ok(device.sent > 0)
    assert.equal(device.received, device.sent)
  }
  assert.ok(new Set(devices.map((device) => device.product)).size >= 2)
  assert.ok(devices.some((device) => device.refused > 0))
  assert.deepEqual(new Set(devices.map((device) => device.road)), new Set(['https', 'mqtts']))
  // One on each road.
  assert.partialDeepStrictEqual(revocation, [{ road: 'https' }, { road: 'mqtts' }])
  assert.ok(Array.isArray(revocation))
  for (const { milliseconds, reason } of revocation) {
    assert.ok(milliseconds <= 2000)
    assert.match(reason, /^ERR_(CERT|DEVICE)_REVOKED$/)
  }
  assert.ok(Array.isArray(steps) && steps.length > 10 && steps.every((step) => step.ok === true))
  for (const road of ['https', 'mqtts'])
    assert.ok(steps.some(({ name }) => name === `a command to a device on ${road} is answered`))
  assert.ok(steps.some(({ name }) => name.endsWith('expired, and never came')))
  const { roads } = parseRecord(JSON.stringify(gateway)) ?? {}
  for (const road of ['https', 'mqtts']) {
    const { [road]: one } = parseRecord(JSON.stringify(roads)) ?? {}
    const { frames, tampered, plaintext } = parseRecord(JSON.stringify(one)) ?? {}
    assert.ok(Number(frames) > 50)
    assert.ok(Number(tampered) > 0)
    assert.equal(plaintext, 0)
  }
  assert.ok(Number(seconds) > 0)
  assert.deepEqual(readdirSync(TMPDIR), [])
})

test('without --exit the demo goes on until Ctrl-C, and then removes everything', async (t) => {
  const TMPDIR = ownTmp(t)
  const child = start(['demo', '--json'], { TMPDIR })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const report = parseRecord(String((await lines.next()).value))
  assert.equal(report?.['ok'], true)
  const live = parseRecord(String((await lines.next()).value))
  assert.equal(live?.['event'], 'received')
  assert.ok(existsSync(join(TMPDIR, readdirSync(TMPDIR)[0] ?? '', 'data')))
  child.kill('SIGINT')
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
  assert.deepEqual(readdirSync(TMPDIR), [])
})
