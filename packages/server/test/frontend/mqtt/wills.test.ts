import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { anchorOf } from '../../../src/compose/anchors.ts'
import type { TestDevice } from '../house.ts'
import { MqttHouse, topicOf } from './house.ts'

describe('a will', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
  })
  beforeEach(async () => {
    device = await house.device()
    // The audit log takes so many refusals of one address.
    house.forgive()
  })
  after(() => house.close())

  const will = (payload = 'gone', willDelayInterval?: number) => ({
    topic: topicOf(device, 'status'),
    payload: JSON.stringify(payload),
    qos: 1 as const,
    retain: false,
    ...(willDelayInterval === undefined ? {} : { properties: { willDelayInterval } }),
  })
  /** Outlives its connection for so many seconds, and so may its will. */
  const keeps = (seconds: number, payload = 'gone', delay = seconds) => ({
    clean: false,
    properties: { sessionExpiryInterval: seconds },
    will: will(payload, delay),
  })
  const said = async (): Promise<unknown[]> => (await house.said(device)).map(([, data]) => data)
  const comes = (...all: string[]): Promise<void> =>
    house.until(async () => JSON.stringify(await said()) === JSON.stringify(all))
  const stays = async (...all: string[]): Promise<void> => {
    await house.rest()
    assert.deepEqual(await said(), all)
  }

  for (const version of [4, 5] as const)
    it(`is the device's message when its connection is lost, over version ${version}`, async () => {
      const client = await house.enter(device, 'x', version, { will: will() })
      await client.vanish()
      await comes('gone')
      const [message] = await house.messages(device)
      const { subject, road, source } = JSON.parse(message?.body ?? '') as Record<string, unknown>
      assert.deepEqual([subject, road, source], ['status', 'mqtts', device.row.id])
    })

  it('is dropped by DISCONNECT 0x00, and by no other reason', async () => {
    for (const version of [4, 5] as const) {
      const client = await house.enter(device, 'x', version, { will: will() })
      await client.leave()
      await stays()
    }
    const client = await house.enter(device, 'x', 5, { will: will('on purpose') })
    await client.leave(0x04)
    await comes('on purpose')
    const failed = await house.enter(device, 'x', 5, { will: will('full') })
    await failed.leave(0x97)
    await comes('on purpose', 'full')
  })

  it('is published when keep alive is over, when its client talks nonsense, and when it is taken over', async () => {
    const silent = await house.enter(device, 'x', 5, { keepalive: 10, will: will('silent') })
    house.timers.advance(15_001 + house.limits.sweepMs)
    assert.equal(await silent.ended(), 0x8d)
    await comes('silent')
    const mad = await house.enter(device, 'x', 5, { will: will('mad') })
    mad.write(Buffer.of(0, 0))
    assert.equal(await mad.ended(), 0x81)
    await comes('silent', 'mad')
    const first = await house.enter(device, 'x', 5, { will: will('taken over') })
    const next = await house.enter(device, 'x')
    assert.equal(await first.ended(), 0x8e)
    await comes('silent', 'mad', 'taken over')
    await next.leave()
  })

  it('waits for its delay', async () => {
    const client = await house.enter(device, 'x', 5, keeps(60, 'late', 30))
    await client.vanish()
    await stays()
    house.timers.advance(29_999)
    await stays()
    house.timers.advance(1)
    await comes('late')
  })

  it('that waits is taken back by the device that comes back to its session', async () => {
    const client = await house.enter(device, 'x', 5, keeps(60))
    await client.vanish()
    await house.rest()
    house.timers.advance(30_000)
    const back = await house.enter(device, 'x', 5, { ...keeps(60), will: undefined as never })
    house.timers.advance(60_000)
    await stays()
    await back.leave()
    const over = await house.enter(device, 'y', 5, keeps(60))
    const next = await house.enter(device, 'y', 5, { ...keeps(60), will: undefined as never })
    assert.equal(await over.ended(), 0x8e)
    house.timers.advance(60_000)
    await stays()
    await next.leave()
  })

  it('that waits is published when its session ends: by a clean start, or by its expiry', async () => {
    const client = await house.enter(device, 'x', 5, keeps(60, 'clean'))
    await client.vanish()
    await stays()
    const anew = await house.enter(device, 'x', 5, { clean: true })
    await comes('clean')
    await anew.leave()
    const short = await house.enter(device, 'y', 5, keeps(10, 'expired', 3600))
    await short.vanish()
    await house.rest()
    house.timers.advance(10_000)
    await comes('clean', 'expired')
    const none = await house.enter(device, 'z', 5, { will: will('no session', 3600) })
    await none.vanish()
    await comes('clean', 'expired', 'no session')
  })

  it('that waits does not wait longer than a session that DISCONNECT has ended', async () => {
    const client = await house.enter(device, 'x', 5, keeps(60, 'ended'))
    await client.leave(0x04, { sessionExpiryInterval: 0 })
    await comes('ended')
  })

  it('of a session that makes room for another is published: one device holds few', async () => {
    const most = house.limits.sessionsPerHolderMax
    const names = Array.from({ length: most + 3 }, (_, n) => `${n}`)
    for (const name of names) {
      const client = await house.enter(device, `will-${name}`, 5, keeps(3600, name))
      await client.vanish()
      await house.until(async () => (await house.sessions()).every(({ leftAt }) => leftAt !== null))
      // Left one after the other: the oldest is known.
      house.house.clock.time += 1
    }
    await comes(...names.slice(0, 3))
    house.timers.advance(3_600_000)
    await house.until(async () => (await said()).length === names.length)
  })

  it('is no last word of who may not speak any more', async () => {
    const { registry, clock } = house.house
    const revoked = await house.enter(device, 'x', 5, { will: will() })
    await registry.revoke(device.row.id, 'keyCompromise')
    assert.equal(await revoked.ended(), 0x87)
    await stays()

    device = await house.device()
    const suspended = await house.enter(device, 'x', 5, keeps(60))
    await suspended.vanish()
    await house.rest()
    await registry.suspend(device.row.id, 'lost')
    house.timers.advance(60_000)
    await stays()

    device = await house.device()
    const expired = await house.enter(device, 'x', 5, keeps(60))
    await expired.vanish()
    await house.rest()
    const { time } = clock
    clock.time = device.leaf.notAfter + 1_000
    house.timers.advance(0)
    await stays()
    clock.time = time

    device = await house.device()
    const distrusted = await house.enter(device, 'x', 5, { will: will() })
    const anchors = (await registry.listAnchors()).map(anchorOf)
    house.judge.setAnchors(anchors.filter(({ role }) => role !== 'owner'))
    house.house.notices.tell({ kind: 'anchors' })
    assert.equal(await distrusted.ended(), 0x87)
    await stays()
    house.judge.setAnchors(anchors)
  })

  it('names the device as it is at the end', async () => {
    const client = await house.enter(device, 'x', 5, { will: will() })
    const { registry, store, notices } = house.house
    const [row] = await registry.keysOf(device.row.id)
    const [set, key] = [{ assurance: 1 } as const, row?.spkiHash ?? '']
    await store.apply({ writes: [{ kind: 'update', table: 'key', key, set }] })
    notices.tell({ kind: 'device', id: device.row.id })
    await client.ping()
    await client.vanish()
    await comes('gone')
    const [message] = await house.messages(device)
    assert.match(message?.body ?? '', /"assurance":1,/)
  })

  it('waits for the pace of its device, and is dropped when that is too long', async (t) => {
    const { registry } = house.house
    await registry.setProduct('default', { messagesPerMinute: 6 })
    t.after(() => registry.setProduct('default', { messagesPerMinute: 600 }))
    for (let n = 0; n < 7; n++) {
      const client = await house.enter(device, 'x', 5, { will: will(`${n}`) })
      await client.vanish()
      await house.rest()
    }
    await stays('0', '1', '2', '3', '4', '5')
    house.timers.advance(10_000)
    await comes('0', '1', '2', '3', '4', '5', '6')
    await registry.setProduct('default', { messagesPerMinute: 1 })
    const client = await house.enter(device, 'x', 5, { will: will('too much') })
    await client.vanish()
    await house.rest()
    house.timers.advance(120_000)
    await stays('0', '1', '2', '3', '4', '5', '6')
    const fields = house.log.lines.find(({ message }) => message.includes('a will came'))?.fields
    assert.deepEqual(fields, { code: 'ERR_MESSAGE_RATE', device: device.row.id })
  })

  it('may be so long, and no longer: all of them are held in memory', async () => {
    const tooLong = { ...will(), payload: Buffer.alloc(house.limits.willBytesMax + 1, 'x') }
    await house.client(device, 5).refusedWith(0x97, 'x', { will: tooLong })
    const payload = Buffer.alloc(house.limits.willBytesMax, 'x')
    for (const version of [4, 5] as const) {
      const client = await house.enter(device, 'x', version, { will: { ...will(), payload } })
      await client.vanish()
      await house.until(async () => (await said()).length === version - 3)
    }
  })

  for (const [topic, five, code] of [
    ['devices/0123456789abcdef/status', 0x87, 'ERR_TOPIC_FOREIGN'],
    ['$SYS/broker', 0x87, 'ERR_TOPIC_FOREIGN'],
    ['status', 0x87, 'ERR_TOPIC_FOREIGN'],
    ['@/commands/reboot', 0x87, 'ERR_TOPIC_FOREIGN'],
    ['@/results/00000000000000000000000000000000', 0x90, 'ERR_TOPIC'],
    ['@/a//b', 0x90, 'ERR_TOPIC'],
    ['@/../b', 0x90, 'ERR_TOPIC'],
    ['@/ä', 0x90, 'ERR_TOPIC'],
  ] as const)
    it(`to ${topic} is refused with the CONNECT that left it`, async () => {
      const left = { ...will(), topic: topic.replace('@', `devices/${device.row.eui64}`) }
      await house.client(device, 5).refusedWith(five, 'x', { will: left })
      assert.equal(await house.lastRefusal(), code)
      await house.client(device, 4).refusedWith(5, 'x', { will: left })
    })

  it('with a wildcard or of a type that it has not is refused as well', async () => {
    for (const topic of [topicOf(device, '#'), topicOf(device, '+/a'), '#']) {
      await house.client(device, 5).refusedWith(0x81, 'x', { will: { ...will(), topic } })
      // 3.1.1 [MQTT-3.1.4-1]: without a CONNACK.
      const old = house.client(device, 4)
      const connack = old.connect('x', { will: { ...will(), topic } })
      await assert.rejects(connack, /connack has not come/)
    }
    const properties = { contentType: 'application/json' }
    const nonsense = { ...will(), payload: '{', properties }
    await house.client(device, 5).refusedWith(0x99, 'x', { will: nonsense })
  })

  it('that is to be retained is refused under MQTT 5, and taken without the flag under 3.1.1', async () => {
    const left = { ...will(), retain: true }
    await house.client(device, 5).refusedWith(0x9a, 'x', { will: left })
    assert.equal(await house.lastRefusal(), 'ERR_MQTT_RETAIN')
    const client = await house.enter(device, 'x', 4, { will: left })
    assert.equal(house.log.lines.at(-1)?.message, 'messages are not retained: the flag is ignored')
    await client.vanish()
    await comes('gone')
  })

  it('of a client that was never let in is not published, and takes nobody’s back', async () => {
    const first = await house.enter(device, 'x', 5, keeps(60, 'first'))
    await first.vanish()
    await house.rest()
    house.gate = () => Promise.reject(new Error('the disk is full'))
    await house.client(device, 5).refusedWith(0x88, 'x', keeps(60, 'second'))
    house.gate = undefined
    house.timers.advance(60_000)
    await comes('first')
  })

  it('is published when the door closes, waiting or not', async () => {
    const inside = await house.enter(device, 'x', 5, keeps(60, 'inside'))
    const outside = await house.enter(device, 'y', 5, keeps(60, 'outside'))
    await outside.vanish()
    await house.rest()
    await house.restart()
    assert.equal(await inside.ended(), 0x8b)
    // Stored when `close` resolves.
    assert.deepEqual(new Set(await said()), new Set(['inside', 'outside']))
    // Nothing is left that would publish it once more.
    house.timers.advance(60_000)
    await house.rest()
    assert.equal((await said()).length, 2)
  })
})
