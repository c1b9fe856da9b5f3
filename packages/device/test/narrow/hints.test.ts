/** What nobody authenticates is believed when a handshake may be made for it, and not later. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import { makeScene, reading } from './scene.ts'

test('a server that loses its keys just after a handshake is believed as soon as the next one may begin', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  const before = time.now()
  server.forget()
  const { code } = await time.until(session.request(reading(2)))
  assert.equal(code, coapCode.changed)
  assert.equal(server.stored.size, 2)
  assert.equal(server.counts.message3, 2)
  // One backoff period with half of it by chance; silence would take more than a minute.
  assert.ok(time.now() - before <= 16_000, `${time.now() - before} ms`)
})
