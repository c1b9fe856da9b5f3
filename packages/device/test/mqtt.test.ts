import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Publication } from '../src/mqttConnection.ts'
import { judgeReason, type Said } from '../src/mqttReasons.ts'
import { clientId, connack, meet, meetInside, target } from './mqttScene.ts'

const reading: Publication = {
  topic: `devices/${clientId}/room`,
  contentType: 'application/json',
  data: Buffer.from('{"celsius":21}'),
  user: { 'countersign-number': '7' },
}

test('a device says CONNECT of MQTT 5 with a clean start, and publishes at QoS 1', async () => {
  const { connection, next, say } = meet()
  const connected = connection.connected()
  assert.partialDeepStrictEqual(await next(), {
    cmd: 'connect',
    protocolVersion: 5,
    clean: true,
    clientId,
    keepalive: 60,
    properties: { maximumPacketSize: 73_728 },
  })
  say(connack)
  await connected
  const said = connection.publish(reading)
  const publish = await next()
  assert.partialDeepStrictEqual(publish, {
    cmd: 'publish',
    topic: reading.topic,
    qos: 1,
    dup: false,
    retain: false,
    payload: reading.data,
    properties: { contentType: 'application/json', userProperties: { 'countersign-number': '7' } },
  })
  say({ cmd: 'puback', messageId: publish.messageId ?? 0, reasonCode: 0 })
  assert.deepEqual(await said, { packet: 'puback', code: 0 })
  connection.close()
  assert.partialDeepStrictEqual(await next(), { cmd: 'disconnect', reasonCode: 0 })
})

test('what the server says of a reading is heard, and the connection stays', async () => {
  const { connection, next, say } = await meetInside()
  for (const code of [0x10, 0x80, 0x87, 0x97, 0x99]) {
    const said = connection.publish(reading)
    const { messageId = 0 } = await next()
    say({ cmd: 'puback', messageId, reasonCode: code })
    assert.deepEqual(await said, { packet: 'puback', code: code === 0x10 ? 0 : code })
    assert.equal(connection.isOpen, true)
  }
  connection.close()
})

test('a CONNACK that says no ends the connection with its reason', async () => {
  for (const code of [0x87, 0x88, 0x89]) {
    const { connection, next, say } = meet()
    const said = connection.connected()
    await next()
    say({ ...connack, reasonCode: code })
    assert.deepEqual(await said, { packet: 'connack', code })
    assert.equal(connection.isOpen, false)
  }
})

test('a DISCONNECT ends the connection: who waits hears its reason', async () => {
  const { connection, next, say } = await meetInside()
  const said = connection.publish(reading)
  await next()
  say({ cmd: 'disconnect', reasonCode: 0x87 })
  assert.deepEqual(await said, { packet: 'disconnect', code: 0x87 })
  assert.equal(connection.isOpen, false)
  // And so does who comes later.
  assert.deepEqual(await connection.publish(reading), { packet: 'ended', code: 0x87 })
})

test('of two that wait, a DISCONNECT speaks of the one that was sent', async () => {
  const { connection, next, say } = await meetInside()
  const words = [connection.publish(reading), connection.publish(reading)]
  await next()
  say({ cmd: 'disconnect', reasonCode: 0x99 })
  const outcomes = (await Promise.all(words)).map((said) => judgeReason(said, 'id').kind)
  assert.deepEqual(outcomes, ['rejected', 'later'])
})

test('a connection that breaks, and one whose answer does not come, is no answer', async () => {
  const broken = await meetInside()
  const said = broken.connection.publish(reading)
  await broken.next()
  broken.ours.destroy(Object.assign(new Error('the way broke'), { code: 'ECONNRESET' }))
  await assert.rejects(said, {
    code: 'ERR_SERVER_UNREACHABLE',
    details: { reason: 'ECONNRESET' },
    where: target.url,
  })

  const { connection } = meet(1)
  await assert.rejects(connection.connected(), { code: 'ERR_SERVER_TIMEOUT', message: /CONNACK/ })
  assert.equal(connection.isOpen, false)
})

test('a connection that is closed while a reading is under way says that it ended', async () => {
  const { connection, next } = await meetInside()
  const said = connection.publish(reading)
  await next()
  connection.close()
  await assert.rejects(said, { code: 'ERR_SERVER_UNREACHABLE' })
})

test('a packet without end is not kept', async () => {
  const { connection, socket } = await meetInside()
  const said = connection.publish(reading)
  // PUBLISH with the greatest remaining length (MQTT 5 §1.5.5), and nothing but zeros behind it.
  socket.write(Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f))
  const zeros = Buffer.alloc(16 * 1024)
  for (let sent = 0; sent <= 256 * 1024; sent += zeros.length) socket.write(zeros)
  await assert.rejects(said, { code: 'ERR_SERVER_UNREACHABLE' })
  assert.equal(connection.isOpen, false)
})

const kinds: readonly [packet: Said['packet'], code: number, kind: string][] = [
  ['puback', 0x00, 'taken'],
  ['puback', 0x10, 'taken'],
  ['puback', 0x90, 'rejected'],
  ['puback', 0x95, 'rejected'],
  ['puback', 0x99, 'rejected'],
  ['puback', 0x87, 'refused'],
  ['puback', 0x97, 'later'],
  ['puback', 0x89, 'later'],
  ['puback', 0x80, 'later'],
  ['connack', 0x87, 'refused'],
  ['connack', 0x8a, 'refused'],
  ['connack', 0x88, 'later'],
  ['connack', 0x95, 'later'],
  ['disconnect', 0x00, 'later'],
  ['disconnect', 0x87, 'refused'],
  ['disconnect', 0x8b, 'later'],
  ['disconnect', 0x8e, 'later'],
  ['disconnect', 0x95, 'rejected'],
  ['disconnect', 0x97, 'later'],
  ['ended', 0x95, 'later'],
  ['ended', 0x87, 'refused'],
  ['suback', 0x87, 'refused'],
  ['suback', 0x99, 'later'],
]

test('every reason code of every packet has one meaning', () => {
  for (const [packet, code, kind] of kinds) {
    const outcome = judgeReason({ packet, code }, 'id')
    assert.equal(outcome.kind, kind, `${packet} 0x${code.toString(16)}`)
  }
  for (const packet of ['connack', 'suback', 'puback', 'disconnect', 'ended'] as const) {
    for (let code = 0; code <= 0xff; code++) {
      const outcome = judgeReason({ packet, code }, 'id')
      // Only an acknowledgement takes a reading away from the outbox as delivered.
      if (outcome.kind === 'taken') assert.equal(packet, 'puback')
      else assert.equal(outcome.problem.status, code)
    }
  }
})
