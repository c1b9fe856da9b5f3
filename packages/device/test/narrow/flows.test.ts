/** The device's side of the narrow channel against an honest server, in virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import { makeScene, reading } from './scene.ts'

test('the first reading goes with message_3, and the next ones without a handshake', async () => {
  const { time, server, witness, device } = makeScene()
  const { session, faults } = await device()
  const first = await time.until(session.request(reading(1)))
  assert.equal(first.code, coapCode.changed)
  const second = await time.until(session.request(reading(2)))
  assert.equal(second.code, coapCode.changed)
  assert.deepEqual(
    [...server.stored],
    [
      ['m/room?n=1', 'reading 1'],
      ['m/room?n=2', 'reading 2'],
    ],
  )
  assert.equal(server.counts.message3, 1)
  assert.deepEqual(witness.reused, [])
  assert.deepEqual(faults, [])
})
