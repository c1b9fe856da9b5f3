import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import {
  type Attack,
  allAttacks,
  HostileDatagrams,
  hostileLimits,
  seeded,
} from '../../src/index.ts'
import { device, numbered, type Scene, scene, sendMany, server } from './scene.ts'

/** POST coap://…/.well-known/edhoc: CON, Message ID 0x1234, token 0xab, `f5` and a byte. */
const message1 = fromHex('41021234abbb2e77656c6c2d6b6e6f776e056564686f63fff503')
/** POST with OSCORE: Partial IV 5, kid 0x010203. */
const protectedRequest = fromHex('41021235ac95090501020360ff00112233445566778899')

test('whoever stands between them and does nothing changes nothing', async () => {
  const it = scene(1)
  const hostile = between(it, [], 0)
  await sendMany(it, 3)
  assert.equal(it.heard.length, 3)
  assert.equal(hostile.passed, 3)
  assert.equal(hostile.attacked, 0)
  assert.equal(hostile.recorded().length, 3)
})

test('one seed makes one row of attacks, another seed another', async () => {
  assert.deepEqual(await trace(5), await trace(5))
  assert.notDeepEqual(await trace(5), await trace(6))
})

test('every attack is drawn, takes place and is counted', async () => {
  const it = scene(1)
  it.network.open('10.0.0.8:5683', () => undefined).send(numbered(0), server)
  const hostile = between(it, allAttacks, 0.5)
  it.network.open('10.0.0.9:5683', () => undefined).send(numbered(0), server)
  await talk(it, 1000)
  const counts = hostile.counts()
  assert.deepEqual(new Set(Object.keys(counts)), new Set(allAttacks))
  assert.equal(
    Object.values(counts).reduce((sum, count) => sum + count, 0),
    hostile.attacked,
  )
})

test('a datagram that went by is sent again later, the way it went', async () => {
  const it = scene(1)
  const hostile = between(it, ['replay'], 1)
  await sendMany(it, 4)
  // At the first there was nothing yet.
  assert.deepEqual(hostile.counts(), { replay: 3 })
  assert.equal(it.heard.length, 7)
  assert.equal(new Set(it.heard).size, 4)
})

test('what was recorded can be replayed on purpose, after a restart of the receiver', async () => {
  const it = scene(1)
  const hostile = between(it, [], 0)
  it.device.send(numbered(7), server)
  await it.time.run()
  it.server.close()
  const heard: string[] = []
  it.network.open(server, (datagram, from) => void heard.push(`${from} ${hex(datagram)}`))
  for (const record of hostile.recorded()) hostile.replay(record)
  await it.time.run()
  assert.deepEqual(heard, [`${device} 400007`])
  assert.deepEqual(hostile.counts(), { replay: 1 })
})

test('a datagram comes back to whoever sent it', async () => {
  const it = scene(1)
  between(it, ['reflect'], 1)
  await sendMany(it, 1)
  assert.deepEqual(it.heard, [`${device} 400000`])
  assert.deepEqual(it.heardByDevice, [`${server} 400000`])
})

test('a datagram goes on in the name of another sender', async () => {
  const it = scene(1)
  const hostile = between(it, ['swap source'], 1)
  it.network.open('10.0.0.8:5683', () => undefined).send(numbered(9), server)
  await sendMany(it, 1)
  assert.deepEqual(it.heard, ['10.0.0.8:5683 400009', '10.0.0.8:5683 400000'])
  assert.deepEqual(hostile.counts(), { 'swap source': 1 })
})

test('a bit is turned over, or a copy with such a bit comes first', async () => {
  const it = scene(1)
  const hostile = between(it, ['flip'], 1)
  await sendMany(it, 40)
  const { flip = 0 } = hostile.counts()
  assert.equal(flip, 40)
  const whole = it.heard.filter((each, index) => it.heard.indexOf(each) === index)
  assert.ok(it.heard.length > 40 && it.heard.length < 80, `${it.heard.length} heard`)
  assert.ok(whole.length > 0)
})

test('a datagram is cut, or a cut copy comes first', async () => {
  const it = scene(1)
  between(it, ['truncate'], 1)
  await sendMany(it, 40)
  const short = it.heard.filter((each) => each.length < `${device} 400000`.length)
  assert.equal(short.length, 40)
  assert.ok(it.heard.length > 40 && it.heard.length < 80, `${it.heard.length} heard`)
})

test('a datagram is dropped, another one doubled', async () => {
  const dropped = scene(1)
  between(dropped, ['drop'], 1)
  await sendMany(dropped, 5)
  assert.deepEqual(dropped.heard, [])
  const doubled = scene(1)
  between(doubled, ['duplicate'], 1)
  await sendMany(doubled, 2)
  assert.deepEqual(
    doubled.heard,
    [0, 0, 1, 1].map((number) => `${device} 40000${number}`),
  )
})

test('the next one that goes the same way overtakes a datagram; alone it goes on late', async () => {
  const it = scene(1)
  const hostile = between(it, ['reorder'], 1)
  it.device.send(numbered(1), server)
  it.server.send(numbered(2), device)
  it.device.send(numbered(3), server)
  it.device.send(numbered(4), server)
  await it.time.run()
  assert.deepEqual(
    it.heard,
    [3, 1, 4].map((number) => `${device} 40000${number}`),
  )
  assert.deepEqual(it.heardByDevice, [`${server} 400002`])
  assert.deepEqual(hostile.counts(), { reorder: 1 })
  assert.equal(it.time.now(), 150)
})

test('a datagram is held back and goes on late, within the bound', async () => {
  const it = scene(1)
  const hostile = between(it, ['hold'], 1)
  await sendMany(it, 5)
  assert.equal(it.heard.length, 5)
  assert.deepEqual(hostile.counts(), { hold: 5 })
  const late = it.events.filter(({ act }) => act === 'delivered').map(({ at }) => at)
  assert.ok(Math.max(...late) > 100 && Math.max(...late) <= 5040, late.join(' '))
})

test('the sender gets another address, where whoever carries can do that', async () => {
  const it = scene(1)
  const hostile = between(it, ['rebind'], 1)
  await sendMany(it, 2)
  assert.deepEqual(it.heard, [`${device} 400000`, '10.0.0.7:49152 400001'])
  assert.deepEqual(hostile.counts(), { rebind: 2 })
})

test('a Reset, an empty ACK, a 4.01, a busy and an EDHOC error are forged, each as the RFC writes it', async () => {
  const expected: readonly [Attack, RegExp][] = [
    // RFC 7252 §4.3: the Message ID is what a Reset and an ACK answer.
    ['forged reset', /^70001234$/],
    ['forged acknowledgement', /^60001234$/],
    // RFC 7252 §5.2.1: piggybacked, with the token of the request. 4.01 is 0x81, 5.03 is 0xa3.
    ['forged 4.01', /^61811234ab$/],
    // RFC 9175 §2.2.1: option 252 is delta 13 + 239; 8 bytes.
    ['forged echo', /^61811234abd8ef.{16}$/],
    // Max-Age (14) of a day: 86400 is 0x015180.
    ['forged busy', /^61a31234abd301015180$/],
    // RFC 9528 §6 and §A.2.3: Content-Format 64 (0x40), then ERR_CODE and ERR_INFO.
    ['forged edhoc error', /^61801234abc140ff(0167676f2061776179|02820003|03f5)$/],
  ]
  for (const [attack, bytes] of expected) {
    const it = scene(1)
    const hostile = between(it, [attack], 1)
    it.device.send(message1, server)
    await it.time.run()
    assert.deepEqual(it.heard, [`${device} ${hex(message1)}`], attack)
    assert.equal(it.heardByDevice.length, 1, attack)
    const [from, forged = ''] = (it.heardByDevice[0] ?? '').split(' ')
    assert.equal(from, server)
    assert.match(forged, bytes, attack)
    assert.deepEqual(hostile.counts(), { [attack]: 1 })
  }
})

test('an EDHOC error is forged in the name of the initiator, for the context that a request names', async () => {
  const it = scene(1)
  const hostile = between(it, ['forged edhoc error of the initiator'], 1)
  it.device.send(protectedRequest, server)
  // That request names no context.
  it.device.send(message1, server)
  await it.time.run()
  assert.deepEqual(hostile.counts(), { 'forged edhoc error of the initiator': 1 })
  assert.match(
    it.heard[0] ?? '',
    // Uri-Path .well-known and edhoc, Content-Format 65 (0x41), C_R as a byte string, the error.
    / 4202.{8}bb2e77656c6c2d6b6e6f776e056564686f631141ff43010203(0167|02820003|03f5)/,
  )
})

test('what is no CoAP is carried and nothing is forged from it', async () => {
  const it = scene(1)
  const hostile = between(
    it,
    allAttacks.filter((attack) => attack.startsWith('forged')),
    1,
  )
  for (const datagram of [
    '',
    'ff',
    '4002',
    '40020000ff',
    '60000000',
    '4102123509ff',
    '400212359109',
  ])
    it.device.send(fromHex(datagram), server)
  await it.time.run()
  assert.equal(it.heard.length, 7)
  assert.equal(hostile.passed, 7)
})

test('what is kept is bounded: old records are forgotten, what cannot be held goes on', async () => {
  const it = scene(1)
  const hostile = between(it, ['hold'], 1)
  const { recordsMax, recordedBytesMax, heldMax } = hostileLimits
  for (let number = 0; number < recordsMax + 10; number++) it.device.send(numbered(number), server)
  assert.equal(hostile.recorded().length, recordsMax)
  assert.deepEqual(hostile.counts(), { hold: heldMax })
  await it.time.run()
  assert.equal(it.heard.length, recordsMax + 10)
  for (let count = 0; count < 100; count++) it.device.send(new Uint8Array(60_000), server)
  const bytes = hostile.recorded().reduce((sum, { datagram }) => sum + datagram.length, 0)
  assert.ok(bytes <= recordedBytesMax, `${bytes} bytes`)
  hostile.end()
  await it.time.run()
})

async function trace(seed: number): Promise<unknown> {
  const it = scene(seed)
  const hostile = between(it, allAttacks, 0.5, seed)
  await talk(it, 100)
  return [it.events, hostile.counts()]
}

function between(
  { network, time }: Scene,
  attacks: readonly Attack[],
  share: number,
  seed = 1,
): HostileDatagrams {
  const hostile = new HostileDatagrams({
    time,
    random: seeded(seed),
    plan: { share, attacks, lateMsMax: 5000 },
    carry: network.carry,
    rebind: network.rebind,
  })
  network.through(hostile.pass)
  return hostile
}

/** Requests of both kinds, so that everything can be forged from something. */
async function talk({ time, device: peer }: Scene, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    peer.send(number % 2 === 0 ? message1 : protectedRequest, server)
    await time.advance(50)
  }
  await time.run()
}
