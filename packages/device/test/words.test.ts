import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { backoffMs } from '../src/backoff.ts'
import { parseEui64 } from '../src/enroll.ts'
import { fileSource, lineSource, type Source, systemWorld, textSample } from '../src/index.ts'
import { readProblem, retryAfterMs } from '../src/problem.ts'
import { measureHost } from '../src/source.ts'
import { parseTarget } from '../src/target.ts'
import { requireTopic } from '../src/topic.ts'

const root = await mkdtemp(join(tmpdir(), 'countersign-words-'))
after(() => rm(root, { recursive: true }))
const anchor = 'ab'.repeat(32)

test('a server is named by https, host and port and nothing else', () => {
  assert.deepEqual(parseTarget('https://Iot.Example.com:8444/', anchor.toUpperCase()), {
    url: 'https://iot.example.com:8444',
    host: 'iot.example.com',
    port: 8444,
    anchor,
  })
  assert.equal(parseTarget('https://[::1]:1', anchor).host, '::1')
  assert.equal(parseTarget('https://iot.example.com', anchor).port, 443)
  for (const bad of [
    'http://a:1',
    'https://a/b',
    'https://u:p@a',
    'a:8444',
    '',
    'https://a/?x=1',
  ]) {
    assert.throws(() => parseTarget(bad, anchor), { code: 'ERR_SERVER_URL' }, bad)
  }
  for (const bad of ['', 'ab', `${anchor}ab`, anchor.replace('a', 'g')]) {
    assert.throws(() => parseTarget('https://a', bad), { code: 'ERR_ANCHOR_FORMAT' }, bad)
  }
})

test('the mqtts door is named the same way, with a port of its own', () => {
  assert.deepEqual(parseTarget('MQTTS://Iot.Example.com', anchor, 'mqtts'), {
    url: 'mqtts://iot.example.com:8883',
    host: 'iot.example.com',
    port: 8883,
    anchor,
  })
  assert.equal(parseTarget('mqtts://a:443/', anchor, 'mqtts').url, 'mqtts://a:443')
  assert.deepEqual(parseTarget('mqtts://[::1]:1', anchor, 'mqtts'), {
    url: 'mqtts://[::1]:1',
    host: '::1',
    port: 1,
    anchor,
  })
  for (const bad of [
    'https://a:1',
    'mqtt://a:1',
    'mqtts:a',
    'mqtts://',
    'mqtts://a/b',
    'mqtts://u@a',
    'mqtts://a:65536',
    'mqtts://a#x',
  ]) {
    assert.throws(() => parseTarget(bad, anchor, 'mqtts'), { code: 'ERR_SERVER_URL' }, bad)
  }
  assert.throws(() => parseTarget('mqtts://a', anchor), { where: '--server' })
  assert.throws(() => parseTarget('https://a', anchor, 'mqtts'), { where: '--mqtts' })
})

test('so is the coap door', () => {
  assert.deepEqual(parseTarget('coap://Iot.Example.com', anchor, 'coap'), {
    url: 'coap://iot.example.com:5683',
    host: 'iot.example.com',
    port: 5683,
    anchor,
  })
  assert.equal(parseTarget('coap://[::1]:443', anchor, 'coap').url, 'coap://[::1]:443')
  for (const bad of [
    'coaps://a',
    'udp://a:1',
    'coap:a',
    'coap://a/m/x',
    'coap://a?n=1',
    'coap://',
  ]) {
    assert.throws(
      () => parseTarget(bad, anchor, 'coap'),
      { code: 'ERR_SERVER_URL', where: '--coap' },
      bad,
    )
  }
})

test('an EUI-64 is taken in every usual spelling and kept in one', () => {
  assert.equal(parseEui64('02-00-5E-FF-FE-00-00-01'), '02005efffe000001')
  assert.equal(parseEui64('02:00:5e:ff:fe:00:00:01'), '02005efffe000001')
  for (const bad of ['', '02005efffe0000', '02005efffe00000g', '02005efffe00000101']) {
    assert.throws(() => parseEui64(bad), { code: 'ERR_EUI64_FORMAT' })
  }
})

test('a topic is a path of plain segments', () => {
  for (const good of ['a', 'room/temperature', 'a/b/c.d_e~f-g', '..a']) requireTopic(good)
  const bad = [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    '.',
    'a/../b',
    'ü',
    'a b',
    'a%2fb',
    'a?b',
    'x'.repeat(257),
  ]
  bad.push(Array.from({ length: 17 }, () => 'a').join('/'))
  for (const topic of bad)
    assert.throws(() => requireTopic(topic), { code: 'ERR_TOPIC_FORMAT' }, topic)
})

test('waiting doubles up to its bound and lies between half and the whole', () => {
  const limits = { firstMs: 100, maxMs: 1000 }
  for (const [failures, whole] of [
    [0, 100],
    [1, 200],
    [3, 800],
    [4, 1000],
    [99, 1000],
  ] as const) {
    const least = backoffMs(failures, limits, { bytes: () => Uint8Array.of(0, 0) })
    const most = backoffMs(failures, limits, { bytes: () => Uint8Array.of(255, 255) })
    assert.deepEqual([least, most], [whole / 2, whole])
  }
})

test('what the other side says goes to a terminal as one harmless line', () => {
  const evil = JSON.stringify({
    code: 'ERR_X',
    detail: 'a\u001b[31mb\u202ec\nd',
    hint: 'h'.repeat(999),
  })
  assert.deepEqual(readProblem(answer(evil)), {
    status: 403,
    code: 'ERR_X',
    message: 'a [31mb c d',
    hint: 'h'.repeat(300),
  })
  for (const body of ['', 'null', '[]', '{"code":7,"detail":{}}', '{"code":"rm -rf"}']) {
    const { code, message } = readProblem(answer(body))
    assert.deepEqual([code, message], [undefined, 'it answered 403'])
  }
  assert.equal(retryAfterMs(answer('', { 'retry-after': '7' })), 7000)
  for (const long of ['3601', '999999', '9'.repeat(400)])
    assert.equal(retryAfterMs(answer('', { 'retry-after': long })), 3_600_000)
  assert.equal(
    retryAfterMs(answer('', { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' })),
    undefined,
  )
})

test('lines of an input are readings, and JSON is told from text', async () => {
  const source = lineSource(Readable.from(['{"celsius":21.5}\nplain', ' text\n\n', '7\r\nlast']))
  assert.deepEqual(await takeAll(source), [
    ['application/json', '{"celsius":21.5}'],
    ['text/plain; charset=utf-8', 'plain text'],
    ['application/json', '7'],
    ['text/plain; charset=utf-8', 'last'],
  ])
})

test('a file is read anew each time, and one that is too large or not there is said', async () => {
  const path = join(root, 'sensor')
  await writeFile(path, '1\n')
  const world = { ...systemWorld(), wait: async () => writeFile(path, '2\n') }
  const seen: string[] = []
  const stop = new AbortController()
  for await (const { data } of fileSource(world, path, 1000).samples(stop.signal)) {
    seen.push(Buffer.from(data).toString())
    if (seen.length === 3) stop.abort()
  }
  assert.deepEqual(seen, ['1', '2', '2'])
  await writeFile(path, 'x'.repeat(70_000))
  await assert.rejects(takeAll(fileSource(world, path, 1000)), { code: 'ERR_READING_TOO_LARGE' })
  await assert.rejects(takeAll(fileSource(world, join(root, 'none'), 1)), { code: 'ERR_SOURCE' })
  assert.throws(() => textSample('x'.repeat(65_537)), { code: 'ERR_READING_TOO_LARGE' })
})

test('this machine measures itself, by the clock that it was given', async () => {
  const { contentType, data } = await measureHost({ now: () => 86_400_000 })
  assert.equal(contentType, 'application/json')
  const text = Buffer.from(data).toString()
  assert.match(text, /"time":"1970-01-02T00:00:00.000Z"/)
  for (const name of ['host', 'uptimeSeconds', 'load1', 'memoryFreeBytes']) {
    assert.match(text, new RegExp(`"${name}":`))
  }
})

async function takeAll(source: Source): Promise<string[][]> {
  const taken: string[][] = []
  for await (const { contentType, data } of source.samples(new AbortController().signal)) {
    taken.push([contentType, Buffer.from(data).toString()])
  }
  return taken
}

function answer(body: string, headers = {}): Parameters<typeof readProblem>[0] {
  return { status: 403, headers, body: Buffer.from(body) }
}
