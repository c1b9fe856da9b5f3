/** What has to hold after every conversation, whatever was done to it. */
import assert from 'node:assert/strict'
import { parseRecord } from '@countersign/element/shapes'
import type { DeviceBook, Outcome } from './conversation.ts'
import { textOf } from './deviceSide.ts'

export function checkBooks(outcome: Outcome, name: string): void {
  assert.deepEqual(outcome.faults, [], name)
  assert.deepEqual(outcome.seals.reused, [], `${name}: nonces used twice on the wire`)
  assert.deepEqual(outcome.seals.remade, [], `${name}: nonces used twice`)
  assert.deepEqual(outcome.deeds.twice, [], `${name}: messages that were taken twice`)
  assert.ok(outcome.isDone, `${name}: not everything came to its end`)
  for (const device of outcome.devices) {
    checkReadings(device, name)
    checkCommands(device, name)
    checkSuccessor(device, outcome, name)
  }
}

/** Each that was measured is there once, as it was measured. */
function checkReadings(
  { eui64, measured, acknowledged, messages }: DeviceBook,
  name: string,
): void {
  const readings = messages.filter(({ type }) => type === 'countersign.message')
  const stored = new Map(readings.map(({ id, body }) => [id, parseRecord(body)?.['data']]))
  assert.equal(stored.size, readings.length, name)
  const expected = [...measured].map(([number, length]) => [
    `${eui64}-${number}`,
    textOf(number, length),
  ])
  assert.deepEqual(Object.fromEntries(stored), Object.fromEntries(expected), name)
  assert.deepEqual(
    [...acknowledged].toSorted((a, b) => a - b),
    [...measured.keys()],
    name,
  )
}

/** What the server counts on, the device has written down. */
function checkSuccessor(
  { known, confirmed }: DeviceBook,
  { successor }: Outcome,
  name: string,
): void {
  assert.equal(known.includes(successor ?? ''), successor !== undefined, name)
  for (const one of confirmed) assert.equal(one, successor, name)
}

function checkCommands({ ran, commands, lives }: DeviceBook, name: string): void {
  for (const { id, state, data, result } of commands) {
    const times = ran.get(id) ?? 0
    assert.ok(times <= 1, `${name}: a command ran ${times} times`)
    if (state === 'answered') {
      assert.equal(times, 1, `${name}: a command was answered and never ran`)
      assert.equal(Buffer.from(result ?? []).toString(), data, name)
    } else {
      // Its result can be lost with the device alone.
      assert.ok(state === 'delivered' && lives.stopped + lives.ended > 0, `${name}: ${state}`)
    }
  }
}
