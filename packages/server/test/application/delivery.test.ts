import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ApplicationHouse, deviceId } from './house.ts'
import { hang, ok, Receiver, status } from './receiver.ts'

describe('a webhook', () => {
  let house: ApplicationHouse
  let receiver: Receiver

  beforeEach(async () => {
    house = await ApplicationHouse.create({ attemptsMax: 3 })
    receiver = new Receiver()
  })
  afterEach(async () => {
    await house.dispose()
    await receiver.close()
  })

  /** The wait before another attempt: half of the doubled second, and at most all of it. */
  const backoff = (attempts: number) => (ms: number) => {
    const whole = 1000 * 2 ** (attempts - 1)
    return ms >= whole / 2 && ms <= whole && ms !== house.limits.cursorSaveMs
  }

  it('receives each message once, in order, as a signed CloudEvent', async () => {
    const { secret } = await house.applications.add({
      name: 'desk',
      webhook: await receiver.open(),
    })
    const ids = await house.send(5)
    await receiver.arrived(5)
    assert.deepEqual(receiver.ids(), ids)
    const [first] = receiver.received
    assert.ok(first)
    assert.equal(first.headers['content-type'], 'application/cloudevents+json; charset=utf-8')
    assert.deepEqual(JSON.parse(first.body), {
      specversion: '1.0',
      id: 'reading-1',
      source: deviceId,
      type: 'countersign.message',
      time: '2026-11-23T00:00:00.000Z',
      subject: 'a',
      road: 'https',
      datacontenttype: 'application/json',
      data: { n: 1 },
    })
    // As a receiver of Standard Webhooks verifies: the secret is the base64 behind the prefix.
    assert.match(secret, /^whsec_/)
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
    const signed = `${String(first.headers['webhook-id'])}.${String(first.headers['webhook-timestamp'])}.${first.body}`
    const mac = createHmac('sha256', key).update(signed).digest('base64')
    assert.equal(first.headers['webhook-signature'], `v1,${mac}`)
    assert.equal(first.headers['webhook-timestamp'], String(Date.UTC(2026, 10, 23) / 1000))
  })

  it('that answers 500 gets the same message again after a growing wait, and then the next ones', async () => {
    receiver.behaviour = status(500)
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const ids = await house.send(2)
    await house.timers.armed(backoff(1))
    house.timers.advance(1000)
    await house.timers.armed(backoff(2))
    receiver.behaviour = ok
    house.timers.advance(2000)
    await receiver.arrived(4)
    assert.deepEqual(receiver.ids(), [ids[0], ids[0], ids[0], ids[1]])
    const webhookIds = receiver.received.map(({ headers }) => headers['webhook-id'])
    assert.equal(new Set(webhookIds.slice(0, 3)).size, 1)
    assert.deepEqual(await house.applications.deadLetters('desk'), [])
  })

  it('that hangs is given up after the named time and tried again', async () => {
    receiver.behaviour = hang
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const [id] = await house.send(1)
    await receiver.arrived(1)
    receiver.behaviour = ok
    house.timers.advance(house.limits.webhookMsMax)
    await house.timers.armed(backoff(1))
    house.timers.advance(1000)
    await receiver.arrived(2)
    assert.deepEqual(receiver.ids(), [id, id])
    assert.match(String(house.log.lines[0]?.fields['error']), /no answer within 15000 ms/)
  })

  it('that redirects is not followed: the dead letter says so, and can be delivered later', async () => {
    receiver.behaviour = status(302, { location: 'http://127.0.0.1:1/elsewhere' })
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const ids = await house.send(2)
    for (const attempt of [1, 2]) {
      await house.timers.armed(backoff(attempt))
      if (attempt === 2)
        receiver.behaviour = (got, response) =>
          (got.body.includes(ids[1] ?? '?') ? ok : status(302))(got, response)
      house.timers.advance(1000 * 2 ** (attempt - 1))
    }
    await receiver.arrived(4)
    assert.deepEqual(receiver.ids(), [ids[0], ids[0], ids[0], ids[1]])
    assert.ok(receiver.received.every(({ path }) => path === '/hook'))
    const [letter, ...others] = await house.applications.deadLetters('desk')
    assert.deepEqual(others, [])
    assert.equal(letter?.attempts, 3)
    assert.match(letter?.lastError ?? '', /302.*never followed/)
    const [listed] = await house.applications.list()
    assert.equal(listed?.deadLetters, 1)
    const refused = await house.applications.redeliver('desk')
    assert.deepEqual([refused.delivered, refused.left], [0, 1])
    receiver.behaviour = ok
    assert.deepEqual(await house.applications.redeliver('desk'), {
      delivered: 1,
      left: 0,
      error: null,
    })
    assert.equal(receiver.ids().at(-1), ids[0])
  })

  it('that answers 410 is paused and goes on after a test that succeeds', async () => {
    receiver.behaviour = status(410)
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const ids = await house.send(2)
    await receiver.arrived(1)
    await house.shut()
    await house.open()
    assert.equal((await house.applications.get('desk')).webhookState, 'paused')
    receiver.behaviour = ok
    const outcome = await house.applications.test('desk')
    assert.deepEqual([outcome.ok, outcome.status, outcome.resumed], [true, 204, true])
    await receiver.arrived(4)
    const types = receiver.received.map(({ body }) =>
      String((JSON.parse(body) as { type: unknown }).type),
    )
    assert.deepEqual(types, [
      'countersign.message',
      'countersign.test',
      'countersign.message',
      'countersign.message',
    ])
    assert.deepEqual(receiver.ids().slice(2), ids)
  })

  it('that is slow delays no other application', async () => {
    const slow = new Receiver(hang)
    await house.applications.add({ name: 'slow', webhook: await slow.open() })
    await house.applications.add({ name: 'quick', webhook: await receiver.open() })
    const ids = await house.send(20)
    await receiver.arrived(20)
    await slow.arrived(1)
    assert.deepEqual(receiver.ids(), ids)
    assert.equal(slow.received.length, 1)
    await slow.close()
  })

  it('goes on after a restart where it stopped, with what came meanwhile', async () => {
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const before = await house.send(3)
    await receiver.arrived(3)
    await house.shut()
    await house.open()
    const after = await house.send(2)
    await receiver.arrived(5)
    assert.deepEqual(receiver.ids(), [...before, ...after])
  })

  it('gets a delivery that a crash interrupted again, under the same id', async () => {
    receiver.behaviour = hang
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const [id] = await house.send(1)
    await receiver.arrived(1)
    await house.shutImpatiently()
    receiver.behaviour = ok
    await house.open()
    await receiver.arrived(2)
    assert.deepEqual(receiver.ids(), [id, id])
    assert.equal(
      receiver.received[0]?.headers['webhook-id'],
      receiver.received[1]?.headers['webhook-id'],
    )
  })

  it('is not held up by an endless answer', async () => {
    receiver.behaviour = (_got, response) => {
      response.writeHead(200)
      const pour = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
        response.once('drain', pour)
      }
      pour()
    }
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const ids = await house.send(2)
    await receiver.arrived(2)
    assert.deepEqual(receiver.ids(), ids)
  })

  it('of a removed application is called no more, and its dead letters go with it', async () => {
    receiver.behaviour = status(500)
    const { id } = await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    await house.send(1)
    for (const attempt of [1, 2]) {
      await house.timers.armed(backoff(attempt))
      house.timers.advance(1000 * 2 ** (attempt - 1))
    }
    await receiver.arrived(3)
    await house.send(1)
    await receiver.arrived(4)
    await house.applications.remove('desk')
    await assert.rejects(house.applications.get('desk'), { code: 'ERR_APPLICATION_UNKNOWN' })
    assert.deepEqual(await house.store.find('deadLetter', 'application', id), [])
    await house.outbox.close()
    assert.equal(receiver.received.length, 4)
  })
})
