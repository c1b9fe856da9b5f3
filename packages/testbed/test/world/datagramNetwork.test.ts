import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { type LinkPlan, perfectLink } from '../../src/index.ts'
import { countOf, device, numbered, scene, sendMany, server } from './scene.ts'

const rough: LinkPlan = {
  loss: 0.2,
  duplication: 0.1,
  corruption: 0.1,
  delayMsMin: 20,
  delayMsMax: 300,
  mtuBytes: 1280,
}

test('a perfect link delivers everything once, in order and at once', async () => {
  const it = scene(1)
  await sendMany(it, 3)
  assert.deepEqual(it.heard, [`${device} 400000`, `${device} 400001`, `${device} 400002`])
  assert.deepEqual(
    it.events.map(({ act, at, from, to }) => [act, at, from, to]),
    [0, 0, 10, 10, 20, 20].map((at, index) => [
      index % 2 === 0 ? 'sent' : 'delivered',
      at,
      device,
      server,
    ]),
  )
})

test('one seed makes one trace, another seed another', async () => {
  assert.deepEqual(await trace(5), await trace(5))
  assert.notDeepEqual(await trace(5), await trace(6))
})

test('what one device sends moves no other device its luck', async () => {
  assert.deepEqual(await fates(0), await fates(40))
})

test('losses, copies and damage are as frequent as the plan says', async () => {
  const it = scene(2, { up: rough })
  const count = 4000
  await sendMany(it, count)
  const share = (act: 'lost' | 'duplicated' | 'corrupted'): number =>
    countOf(it.events, act) / count
  assert.ok(Math.abs(share('lost') - 0.2) < 0.03, `${share('lost')} lost`)
  assert.ok(Math.abs(share('duplicated') - 0.08) < 0.02, `${share('duplicated')} doubled`)
  assert.ok(Math.abs(share('corrupted') - 0.088) < 0.02, `${share('corrupted')} damaged`)
  assert.equal(
    it.heard.length,
    count - countOf(it.events, 'lost') + countOf(it.events, 'duplicated'),
  )
})

test('one bit of a damaged datagram is another one', async () => {
  const it = scene(3, { up: { ...perfectLink, corruption: 1 } })
  it.device.send(new Uint8Array(4), server)
  it.device.send(new Uint8Array(), server)
  await it.time.run()
  assert.match(it.heard[0] ?? '', / (?=.*[1248])0*[1248]0*$/)
  // There is no bit to turn.
  assert.equal(it.heard[1], `${device} `)
  assert.equal(countOf(it.events, 'corrupted'), 1)
})

test('delays that differ put datagrams out of order, within their bounds', async () => {
  const it = scene(4, { up: { ...perfectLink, delayMsMin: 20, delayMsMax: 300 } })
  await sendMany(it, 100)
  assert.equal(it.heard.length, 100)
  assert.notDeepEqual(it.heard, it.heard.toSorted())
  const sentAt = new Map(
    it.events.filter(({ act }) => act === 'sent').map(({ datagram, at }) => [hex(datagram), at]),
  )
  for (const { act, datagram, at } of it.events) {
    const delay = at - (sentAt.get(hex(datagram)) ?? Number.NaN)
    if (act === 'delivered') assert.ok(delay >= 20 && delay <= 300, `${delay} ms`)
  }
})

test('a datagram above the MTU goes nowhere', async () => {
  const it = scene(1, { up: { ...perfectLink, mtuBytes: 100 } })
  it.device.send(new Uint8Array(100), server)
  it.device.send(new Uint8Array(101), server)
  it.server.send(new Uint8Array(101), device)
  await it.time.run()
  assert.equal(it.heard.length, 1)
  assert.equal(it.heardByDevice.length, 1)
  assert.equal(countOf(it.events, 'too long'), 1)
})

test('nothing goes through a link that is cut, either way, until it is whole again', async () => {
  const it = scene(1, { up: { ...perfectLink, delayMsMin: 50, delayMsMax: 50 } })
  it.device.send(numbered(1), server)
  it.device.cut(100)
  // Sent before the cut, and past it.
  it.device.send(numbered(2), server)
  it.server.send(numbered(3), device)
  await it.time.advance(100)
  it.device.send(numbered(4), server)
  it.server.send(numbered(5), device)
  await it.time.run()
  assert.deepEqual(it.heard, [`${device} 400001`, `${device} 400004`])
  assert.deepEqual(it.heardByDevice, [`${server} 400005`])
  assert.equal(countOf(it.events, 'cut'), 2)
})

test('a NAT that forgot gives the device another port, and answers to the old one find nobody', async () => {
  const it = scene(1)
  it.device.send(numbered(1), server)
  await it.time.run()
  assert.equal(it.network.rebind(device), true)
  const next = it.device.address
  assert.equal(next, '10.0.0.7:49152')
  it.server.send(numbered(2), device)
  it.device.send(numbered(3), server)
  it.server.send(numbered(4), it.device.address)
  await it.time.run()
  assert.deepEqual(it.heard, [`${device} 400001`, `${next} 400003`])
  assert.deepEqual(it.heardByDevice, [`${server} 400004`])
  assert.equal(countOf(it.events, 'nobody there'), 1)
  assert.equal(it.network.rebind(device), false)
})

test('an address is one endpoint, free again when that is closed', async () => {
  const it = scene(1)
  assert.throws(() => it.network.open(device, () => undefined), { code: 'ERR_ADDRESS_TAKEN' })
  assert.throws(() => it.device.rebind(server), { code: 'ERR_ADDRESS_TAKEN' })
  it.device.close()
  const heard: string[] = []
  it.network.open(device, (datagram) => void heard.push(hex(datagram)))
  // The dead one sends nothing more, takes no address with it and closes nobody.
  it.device.send(numbered(1), server)
  it.device.rebind('10.0.0.9:1')
  it.device.close()
  it.server.send(numbered(2), device)
  await it.time.run()
  assert.deepEqual([it.heard, heard, it.heardByDevice], [[], ['400002'], []])
})

test('bytes that the sender writes over afterwards arrive as they were sent', async () => {
  const it = scene(1)
  const buffer = numbered(1)
  it.device.send(buffer, server)
  buffer.fill(0xff)
  await it.time.run()
  assert.deepEqual(it.heard, [`${device} 400001`])
})

test('a flood beyond what the network holds is lost and said', async () => {
  const it = scene(1, { up: { ...perfectLink, delayMsMin: 1, delayMsMax: 1 } })
  for (let count = 0; count < 65_537; count++) it.device.send(new Uint8Array(1), server)
  assert.equal(countOf(it.events, 'crowded out'), 1)
})

async function trace(seed: number): Promise<unknown> {
  const it = scene(seed, { up: rough, down: rough })
  await sendMany(it, 200)
  return it.events
}

/** What became of one device's datagrams, beside so many of another one. */
async function fates(others: number): Promise<unknown> {
  const it = scene(9, { up: rough })
  const other = it.network.open('10.0.0.8:5683', () => undefined, { up: rough })
  for (let count = 0; count < others; count++) other.send(numbered(count), server)
  await sendMany(it, 50)
  return it.events.filter(({ from }) => from === device).map(({ act, at }) => [act, at])
}
