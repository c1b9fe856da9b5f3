import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { hour } from '../../authority/house.ts'
import type { TestDevice } from '../house.ts'
import { MqttHouse, topicOf } from './house.ts'

const kept = { clean: false, properties: { sessionExpiryInterval: 3600 } } as const

describe('a command', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
  })
  beforeEach(async () => {
    device = await house.device()
  })
  after(() => house.close())

  const becomes = (row: { readonly id: string }, state: string): Promise<void> =>
    house.until(async () => (await house.house.store.get('command', row.id))?.state === state)
  const filter = (): string => topicOf(device, 'commands/#')

  it('comes at QoS 1, with a topic, a payload and properties as they are written here', async () => {
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    const { clock } = house.house
    const expiresAt = clock.now() + 90_500
    const command = await house.command(device, 'open.valve', {
      data: '{"n": 1,\n"m":2}',
      expiresAt,
    })
    const { cmd, qos, dup, retain, topic, payload, properties } = await client.take()
    const { eui64 } = device.row
    const expires = new Date(expiresAt).toISOString()
    assert.deepEqual(
      { cmd, qos, dup, retain, topic, payload: String(payload), properties: { ...properties } },
      {
        cmd: 'publish',
        qos: 1,
        dup: false,
        retain: false,
        topic: `devices/${eui64}/commands/open.valve`,
        payload: `{"id":"${command.id}","name":"open.valve","data":{"n": 1, "m":2},"expires":"${expires}"}`,
        properties: {
          payloadFormatIndicator: true,
          // Whole seconds, those that are left.
          messageExpiryInterval: 90,
          contentType: 'application/json',
          responseTopic: `devices/${eui64}/results/${command.id}`,
          correlationData: Buffer.from(command.id),
        },
      },
    )
  })

  it('is delivered when the device has acknowledged it, and not before', async () => {
    for (const version of [4, 5] as const) {
      const client = await house.enter(device, 'x', version)
      await client.subscribe(filter())
      const command = await house.command(device, 'go')
      const { messageId = 0 } = await client.next('publish')
      await client.ping()
      assert.equal(await house.stateOf(command), 'queued')
      client.send({ cmd: 'puback', messageId })
      await becomes(command, 'delivered')
    }
  })

  it('that is answered or refused on its result topic ends so', async () => {
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    for (const [n, qos] of [0, 1, 2].entries()) {
      const command = await house.command(device, 'go')
      const { properties } = await client.take()
      const answer = { qos: qos as 0 | 1 | 2, properties: { contentType: 'application/json' } }
      const topic = `${properties?.responseTopic ?? ''}${n === 1 ? '/refused' : ''}`
      await client.deliver(topic, '{"done":true}', answer)
      await becomes(command, n === 1 ? 'refused' : 'answered')
      const row = await house.house.store.get('command', command.id)
      assert.deepEqual(
        [Buffer.from(row?.result ?? []).toString(), row?.resultType],
        ['{"done":true}', 'application/json'],
      )
    }
    const old = await house.enter(device, 'x', 4)
    await old.subscribe(filter())
    const command = await house.command(device, 'go')
    await old.take()
    await old.deliver(topicOf(device, `results/${command.id}/refused`), 'the valve is stuck')
    await becomes(command, 'refused')
    assert.equal((await house.house.store.get('command', command.id))?.reason, 'the valve is stuck')
    // A result is no message.
    assert.deepEqual(await house.messages(device), [])
  })

  it('of another device, or of nobody, cannot be answered, and the device does not learn whose it is', async () => {
    const other = await house.device()
    const command = await house.command(other, 'go')
    const client = await house.enter(device, 'x')
    for (const id of [command.id, '0'.repeat(32)])
      for (const qos of [1, 2] as const)
        await client.deliver(topicOf(device, `results/${id}`), 'mine', { qos })
    assert.equal(await house.stateOf(command), 'queued')
  })

  it('that the device of MQTT 5 will not take is refused', async () => {
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    const command = await house.command(device, 'go')
    const { messageId = 0 } = await client.next('publish')
    client.send({ cmd: 'puback', messageId, reasonCode: 0x83 })
    await becomes(command, 'refused')
  })

  it('answered at QoS 2 twice is answered once', async () => {
    const client = await house.enter(device, 'x')
    const command = await house.command(device, 'go')
    const topic = topicOf(device, `results/${command.id}`)
    const messageId = client.publish(topic, 'one', { qos: 2 })
    await client.next('pubrec')
    client.publish(topic, 'two', { qos: 2, messageId, dup: true })
    await client.next('pubrec')
    assert.equal(await client.release(messageId), 0)
    const row = await house.house.store.get('command', command.id)
    assert.equal(Buffer.from(row?.result ?? []).toString(), 'one')
  })

  it('comes at QoS 0 to who asked for that, once, and waits for an answer', async () => {
    const client = await house.enter(device, 'x')
    await client.subscribe(filter(), 0)
    const command = await house.command(device, 'go')
    assert.equal((await client.next('publish')).qos, 0)
    const second = await house.command(device, 'again')
    assert.match((await client.next('publish')).topic, /again$/)
    assert.equal(await house.stateOf(command), 'queued')
    await client.deliver(topicOf(device, `results/${command.id}`), 'done')
    await becomes(command, 'answered')
    await client.leave()
    const next = await house.enter(device, 'x')
    await next.subscribe(filter())
    assert.match((await next.take()).topic, /again$/)
    await becomes(second, 'delivered')
  })

  it('that waited before the device came is among the first it hears', async () => {
    for (const name of ['one', 'two', 'three']) await house.command(device, name)
    const client = await house.enter(device, 'x')
    await client.ping()
    await client.subscribe(filter())
    for (const name of ['one', 'two', 'three'])
      assert.equal((await client.take()).topic, topicOf(device, `commands/${name}`))
  })

  it('comes to one of the device’s connections, and to the other one when that is lost', async () => {
    const both = [await house.enter(device, 'a'), await house.enter(device, 'b', 4)]
    for (const client of both) await client.subscribe(filter())
    const command = await house.command(device, 'go')
    await house.until(() => both.some(({ unread }) => unread.length > 0))
    await house.rest()
    assert.equal(
      both.reduce((sum, { unread }) => sum + unread.length, 0),
      1,
    )
    const [holder, other] = both[0]?.unread.length === 1 ? both : both.toReversed()
    await holder?.vanish()
    await other?.take()
    await becomes(command, 'delivered')
  })

  it('that was not acknowledged comes again with the next connection, until it is', async () => {
    const command = await house.command(device, 'go')
    for (let n = 0; n < 3; n++) {
      const client = await house.enter(device, 'x', 5, kept)
      if (n === 0) await client.subscribe(filter())
      assert.equal((await client.next('publish')).dup, false)
      if (n === 0) await client.vanish()
      if (n === 1) await house.crash()
    }
    assert.equal(await house.stateOf(command), 'queued')
    const last = await house.enter(device, 'x', 5, kept)
    await last.take()
    await becomes(command, 'delivered')
    await last.leave()
    const next = await house.enter(device, 'x', 5, kept)
    await next.ping()
    await house.rest()
    assert.deepEqual(next.unread, [])
  })

  it('that is late is never sent', async () => {
    const { clock } = house.house
    const expiresAt = clock.now() + 1000
    const command = await house.command(device, 'late', { expiresAt })
    house.timers.advance(1000)
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    await house.command(device, 'in-time')
    assert.equal((await client.take()).topic, topicOf(device, 'commands/in-time'))
    await becomes(command, 'expired')
  })

  it('that expires while it is underway is not delivered by a late acknowledgement', async () => {
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    const expiresAt = house.house.clock.now() + 1000
    const command = await house.command(device, 'go', { expiresAt })
    const { messageId = 0 } = await client.next('publish')
    house.timers.advance(1000)
    client.send({ cmd: 'puback', messageId })
    await becomes(command, 'expired')
  })

  it('waits for a device that is suspended, and is dropped for one that is revoked', async () => {
    const { registry } = house.house
    const client = await house.enter(device, 'x', 5, kept)
    await client.subscribe(filter())
    await registry.suspend(device.row.id, 'lost')
    assert.equal(await client.ended(), 0x87)
    const command = await house.command(device, 'go')
    await registry.resume(device.row.id)
    const back = await house.enter(device, 'x', 5, kept)
    await back.next('publish')
    await registry.revoke(device.row.id, 'keyCompromise')
    assert.equal(await back.ended(), 0x87)
    await becomes(command, 'refused')
    await assert.rejects(house.command(device, 'more'), { code: 'ERR_DEVICE_REVOKED' })
  })

  it('that came while the device was judged again is not forgotten', async () => {
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    const { registry } = house.house
    for (let n = 0; n < 20; n++) {
      const changed = registry.setProduct('default', { messagesPerMinute: 600 + n })
      const queued = house.command(device, `c-${n}`)
      await Promise.all([changed, queued])
      assert.equal((await client.take()).topic, topicOf(device, `commands/c-${n}`))
    }
  })

  it('is one of as many as the client takes at once, and no longer than it takes', async () => {
    const client = await house.enter(device, 'x', 5, { properties: { receiveMaximum: 2 } })
    await client.subscribe(filter())
    for (let n = 0; n < 5; n++) await house.command(device, `c-${n}`)
    const first = await client.next('publish')
    await client.next('publish')
    await client.ping()
    await house.rest()
    assert.deepEqual(client.unread, [])
    client.send({ cmd: 'puback', messageId: first.messageId ?? 0 })
    assert.equal((await client.next('publish')).topic, topicOf(device, 'commands/c-2'))
    await client.vanish()
    const small = await house.enter(device, 'y', 5, { properties: { maximumPacketSize: 250 } })
    await small.subscribe(filter())
    await house.rest()
    await small.ping()
    assert.deepEqual(small.unread, [])
    const old = await house.enter(device, 'z', 4)
    await old.subscribe(filter())
    for (let n = 1; n < 5; n++) await old.take()
  })

  it('that cannot be written down as delivered comes again on the next connection, not at once', async (t) => {
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    const command = await house.command(device, 'go')
    const { messageId = 0 } = await client.next('publish')
    const { store } = house.house
    const apply = t.mock.method(store, 'apply', () => Promise.reject(new Error('the disk is full')))
    client.send({ cmd: 'puback', messageId })
    assert.equal(await client.ended(), 0x89)
    apply.mock.restore()
    const next = await house.enter(device, 'x')
    await next.subscribe(filter())
    await next.take()
    await becomes(command, 'delivered')
  })

  it('is told to the applications in each state', async () => {
    const application = await house.application()
    const reader = await house.enter(application, 'r')
    await reader.subscribe(`events/${device.row.eui64}/$countersign.command.delivered`)
    await reader.subscribe(`events/${device.row.eui64}/$countersign.command.answered`)
    const client = await house.enter(device, 'x')
    await client.subscribe(filter())
    const command = await house.command(device, 'go', { expiresAt: house.house.clock.now() + hour })
    await client.take()
    const delivered = await reader.take()
    assert.match(delivered.topic, /\$countersign\.command\.delivered$/)
    await client.deliver(topicOf(device, `results/${command.id}`), '42')
    const answered = JSON.parse(String((await reader.take()).payload)) as { data: object }
    assert.deepEqual(
      { id: command.id, state: 'answered', result: 42 },
      {
        id: Reflect.get(answered.data, 'id'),
        state: Reflect.get(answered.data, 'state'),
        result: Reflect.get(answered.data, 'result'),
      },
    )
  })
})
