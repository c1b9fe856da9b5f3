/** Digests that take longer than the watchdog: 36 ms for each block, and 1300 ms from a wake. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import * as digests from '../../../src/drivers/atecc608/digests.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import { memory } from '../../emulators/atecc608/packets.ts'
import { onEmulator } from './onEmulator.ts'
import { of } from './recorder.ts'
import { hexOf } from './scripted.ts'

const setup = { slots: { 5: ['8f80', '1c00'] }, data: { 5: '55'.repeat(32) } } as const

test('a digest of many blocks is carried over each wake', async () => {
  const { chip, part, time } = await onEmulator(memory(setup))
  const data = of('61', 6400)
  const [wakes, begun] = [part.wakes, time.now()]
  const digest = await chip.sequence((line) => digests.sha256Inside(line, data))
  assert.equal(hexOf(digest), createHash('sha256').update(data).digest('hex'))
  assert.ok(time.now() - begun > 1300, 'it took longer than a watchdog')
  assert.ok(part.wakes - wakes > 2)
})

test('an HMAC cannot be carried: one that is too long says so before the watchdog', async () => {
  const { chip } = await onEmulator(memory(setup))
  const keyed = (length: number): Promise<Uint8Array> =>
    chip.sequence((line) => digests.hmacInside(line, 5, of('61', length)))
  const short = of('61', 1280)
  assert.equal(
    hexOf(await keyed(1280)),
    createHmac('sha256', of('55', 32)).update(short).digest('hex'),
  )
  await assert.rejects(keyed(6400), { code: 'ERR_ELEMENT_WATCHDOG' })
})

test('what is in TempKey stays when a digest is carried', async () => {
  const { chip } = await onEmulator(memory(setup))
  const tempKey = of('5a', 32)
  await chip.sequence(async (line) => {
    await keys.loadNonce(line, tempKey)
    await digests.startSha(line)
    const stream = new digests.ShaStream(line)
    await stream.update(of('61', 6400))
    await stream.end('messageDigest')
    const next = await keys.randomNonce(line, of('21', 20), { fromTempKey: true })
    // SHA-256 of TempKey, the input of the nonce, 16 00 00.
    const expected = createHash('sha256')
      .update(tempKey)
      .update(of('21', 20))
      .update(Uint8Array.of(0x16, 0, 0))
    assert.equal(hexOf(next), expected.digest('hex'))
  })
})
