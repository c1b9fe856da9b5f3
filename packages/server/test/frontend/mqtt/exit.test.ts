/** A process whose door has closed ends by itself: no timer, no socket and no listener holds it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

const life = `
  import { MqttHouse, topicOf } from ${JSON.stringify(new URL('house.ts', import.meta.url).href)}
  import { machineTimers } from ${JSON.stringify(new URL('../../../src/compose/world.ts', import.meta.url).href)}
  const house = await MqttHouse.create({ parts: { timers: machineTimers } })
  const device = await house.device()
  await house.house.registry.setProduct('default', { messagesPerMinute: 3 })
  const topic = topicOf(device, 'status')
  const will = { topic, payload: 'gone', qos: 1, retain: false, properties: { willDelayInterval: 3000 } }
  const kept = { clean: false, properties: { sessionExpiryInterval: 3600 }, will }
  const gone = await house.enter(device, 'gone', 5, kept)
  await gone.vanish()
  const reader = await house.enter(await house.application(), 'r', 5, kept)
  await reader.subscribe('devices/#')
  const paced = await house.enter(device, 'paced')
  for (let n = 0; n < 3; n++) await paced.deliver(topic, 'x')
  paced.publish(topic, 'waits for twenty seconds')
  await house.rest()
  await house.close()
  console.log('closed')
`

test('a process whose mqtts door has closed ends at once, whatever had waited there', async () => {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', life])
  child.stderr.pipe(process.stderr)
  const exit = once(child, 'exit')
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  assert.equal(said.toString(), 'closed\n')
  const closed = performance.now()
  const [code] = (await exit) as [number | null]
  const took = performance.now() - closed
  assert.equal(code, 0)
  // What waited would have held it for twenty seconds, or for fifty minutes.
  assert.ok(took < 5_000, `${took} ms`)
})
