/** The store fails: devices hear that it is not their fault, and the log is not filled with it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeText } from '@countersign/core/coap'
import { AdapterError } from '@countersign/core/errors'
import { CoapHouse } from './house.ts'

test('while the store fails each request is put off, and the log says so now and then', async () => {
  const house = await CoapHouse.create()
  const device = await house.device()
  assert.equal(codeText((await device.first('a', { number: 1 })).code), '2.04')
  const { store } = house.house
  const apply = store.apply.bind(store)
  store.apply = () => Promise.reject(new AdapterError('ERR_STORE_FAILED', 'the disk is gone'))
  let answered = 0
  // The server's numbers are reserved 64 at a time: later requests are not even answered.
  for (let n = 2; n <= 300; n++) {
    const datagram = device.datagram(device.reading('a', { number: n }), n)
    answered += (await house.inject(datagram, device.address)).length
  }
  assert.ok(answered > 0 && answered <= 64, String(answered))
  assert.equal(house.errors.length, 100)
  store.apply = apply
  house.timers.advance(1_000)
  assert.equal(codeText((await device.post('a', { number: 301 })).code), '2.04')
  store.apply = () => Promise.reject(new AdapterError('ERR_STORE_FAILED', 'the disk is gone'))
  await house.inject(device.datagram(device.reading('a', { number: 302 }), 302), device.address)
  const [leftOut = 0, ...more] = house.log.lines.flatMap(({ fields }) => fields['leftOut'] ?? [])
  assert.ok(Number(leftOut) > 100, String(leftOut))
  assert.deepEqual(more, [], 'once')
  store.apply = apply
  await house.close()
})
