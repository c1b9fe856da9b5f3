import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { parseRecord } from '@countersign/element/shapes'
import { countersign, start } from '../cli/bin.ts'

const roads = ['https', 'mqtts', 'coap']

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
  assert.partialDeepStrictEqual(report, { ok: true, gateway: { plaintext: 0 } })
  // RFC 9528: both sides name their certificates by x5t; C_R has three bytes and not one.
  assert.deepEqual(parseRecord(lines[0] ?? '')?.['edhoc'], { coap: [37, 115 + 3, 90] })
  const { devices, gateway, revocation, steps, seconds } = parseRecord(lines[0] ?? '') ?? {}
  assert.ok(Array.isArray(devices) && devices.length >= 6)
  for (const device of devices) {
    assert.match(device.id, /^urn:dev:mac:[0-9a-f]{16}$/)
    assert.ok(device.sent > 0)
    assert.equal(device.received, device.sent)
    // What the registry judged of the chip that its key is in.
    assert.deepEqual([device.element, device.assurance], ['atecc608', 3])
  }
  assert.ok(new Set(devices.map((device) => device.product)).size >= 2)
  assert.ok(devices.some((device) => device.refused > 0))
  assert.deepEqual(new Set(devices.map((device) => device.road)), new Set(roads))
  // One on each road.
  assert.partialDeepStrictEqual(
    revocation,
    roads.map((road) => ({ road })),
  )
  assert.ok(Array.isArray(revocation))
  for (const { milliseconds, reason } of revocation) {
    assert.ok(milliseconds <= 2000)
    assert.match(reason, /^ERR_(CERT|DEVICE)_REVOKED$/)
  }
  assert.ok(Array.isArray(steps) && steps.length > 10 && steps.every((step) => step.ok === true))
  for (const road of roads)
    assert.ok(steps.some(({ name }) => name === `a command to a device on ${road} is answered`))
  for (const road of ['mqtts', 'coap']) {
    const late = `a command on ${road} whose time was over meanwhile is expired, and never came`
    assert.ok(steps.some(({ name }) => name === late))
  }
  const { roads: each } = parseRecord(JSON.stringify(gateway)) ?? {}
  for (const road of roads) {
    const { [road]: one } = parseRecord(JSON.stringify(each)) ?? {}
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
