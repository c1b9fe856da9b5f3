import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { endpointLimits } from '@countersign/core/coap'
import { type Exchange, ExchangeMemory } from '../../src/coap/exchangeMemory.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

test('a request that was refused long ago holds nothing of those that came and went since', async () => {
  let now = 0
  const memory = new ExchangeMemory({ now: () => now }, 1000, endpointLimits)
  const refused = memory.begin('refused')
  memory.settle(refused, Uint8Array.of(1), false)
  const all: WeakRef<Exchange>[] = []
  const waiting: Exchange[] = []
  for (let n = 0; n < 50_000; n++) {
    const exchange = memory.begin(`request ${n}`)
    all.push(new WeakRef(exchange))
    waiting.push(exchange)
    // Twenty are being served at a time; nothing is answered to any.
    const served = waiting.length > 20 ? waiting.shift() : undefined
    if (served !== undefined) memory.forget(served)
  }
  assert.equal(memory.size, 21)
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  const alive = all.filter((ref) => ref.deref() !== undefined).length
  assert.ok(alive <= 2000, `${alive} are alive`)
  assert.equal(memory.find('refused'), refused)
  now = 1001
  memory.begin('later')
  assert.equal(memory.size, 1, 'the oldest are found as before')
})
