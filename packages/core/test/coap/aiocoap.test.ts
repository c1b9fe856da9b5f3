/** aiocoap as a client and as a server, over UDP of this machine. */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { CoapMessage, OutgoingRequest } from '../../src/coap/index.ts'
import {
  BlockAssembler,
  codeText,
  contentFormatIn,
  contentFormatOption,
  pathOf,
  queryOf,
  type Respond,
  sendInBlocks,
  uriPath,
  uriQuery,
} from '../../src/coap/index.ts'
import { fromUtf8, hex, utf8 } from '../../src/codec/index.ts'
import { missingPythonPeers } from '../peers/python.ts'
import { PythonPeer } from '../peers/pythonPeer.ts'
import { type Copies, UdpEndpoint } from '../peers/udpEndpoint.ts'
import { nothing, seeded } from './world.ts'

const skip = missingPythonPeers()
const random = seeded(11)

function body(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff)
}

interface Heard {
  readonly code?: string
  readonly payload?: string
  readonly format?: number | null
  readonly error?: string
}

let client: PythonPeer
let server: PythonPeer
let serverAt = ''
before(async () => {
  if (skip !== false) return
  client = new PythonPeer('coap.py', 'client')
  server = new PythonPeer('coap.py', 'server')
  const { port } = (await server.says()) as { port: number }
  serverAt = `127.0.0.1:${port}`
})
after(async () => {
  if (skip === false) await Promise.all([client.stop(), server.stop()])
})

/** Puts blocks together, answers `/slow` late, and `/<number>` with so many bytes. */
class Served {
  readonly requests: string[] = []
  readonly #assembler = new BlockAssembler({ clock: { now: () => Date.now() }, random })

  serve(message: CoapMessage, from: string, respond: Respond): void {
    const taken = this.#assembler.take(from, message)
    if (taken.kind === 'answer') return respond(taken.response)
    const { request } = taken
    const [path = ''] = pathOf(request)
    this.requests.push(`${request.type} ${path} ${queryOf(request, 'n')} ${request.payload.length}`)
    const payload = path === 'slow' ? request.payload : body(Number(path))
    const answer = taken.answer({ code: 0x44, options: [contentFormatOption(60)], payload })
    if (path === 'slow') setTimeout(() => respond(answer), 400)
    else respond(answer)
  }
}

interface Asked {
  readonly path: string
  readonly payload?: string
  readonly type?: 'CON' | 'NON'
}

async function asks(t: TestContext, served: Served, asked: Asked, copies?: Copies): Promise<Heard> {
  const serve = served.serve.bind(served)
  const udp = await UdpEndpoint.open(t, { serve, transmission: { processingMs: 50 } }, copies)
  const { path, ...rest } = { method: 'POST', payload: '', type: 'CON', ...asked }
  client.tell({ ...rest, uri: `coap://127.0.0.1:${udp.port}/${path}` })
  return (await client.says()) as Heard
}

test('aiocoap asks and is answered, with and without reliability', { skip }, async (t) => {
  const served = new Served()
  for (const type of ['CON', 'NON'] as const) {
    const heard = await asks(t, served, { type, path: '5?n=7' })
    assert.deepEqual(heard, { code: '2.04', payload: hex(body(5)), format: 60 })
  }
  assert.deepEqual(served.requests, ['CON 5 7 0', 'NON 5 7 0'])
})

test('aiocoap waits for a separate response, and acknowledges it', { skip }, async (t) => {
  const served = new Served()
  const heard = await asks(t, served, { path: 'slow', payload: '00ff' })
  assert.deepEqual([heard.code, heard.payload, served.requests.length], ['2.04', '00ff', 1])
})

test('aiocoap sends and fetches bodies in blocks', { skip }, async (t) => {
  const served = new Served()
  const heard = await asks(t, served, { path: '5000', payload: hex(body(3000)) })
  assert.deepEqual([heard.code, heard.payload], ['2.04', hex(body(5000))])
  assert.deepEqual(served.requests, ['CON 5000 undefined 3000'])
})

test('aiocoap asks again when an answer was lost, and is served once', { skip }, async (t) => {
  const served = new Served()
  let count = 0
  const heard = await asks(t, served, { path: '9' }, () => (count++ === 0 ? 0 : 1))
  assert.deepEqual([heard.payload, served.requests.length, count], [hex(body(9)), 1, 2])
})

function echo(
  path: string,
  payload: Uint8Array,
  more: Partial<OutgoingRequest> = {},
): OutgoingRequest {
  const options = [...uriPath(path), ...uriQuery('n=7'), contentFormatOption(42)]
  return { code: 2, options, payload, ...more }
}

function textOf(response: Pick<CoapMessage, 'code' | 'payload' | 'options'>): string {
  const [, query, text] = fromUtf8(response.payload).split(' ')
  return `${codeText(response.code)} ${query} ${text} ${contentFormatIn(response)}`
}

test('aiocoap answers, at once and separately, with and without reliability', {
  skip,
}, async (t) => {
  const udp = await UdpEndpoint.open(t)
  for (const path of ['echo', 'slow']) {
    for (const type of ['CON', 'NON'] as const) {
      const response = await udp.endpoint.request(echo(path, utf8('hello'), { type }), serverAt)
      assert.equal(textOf(response), '2.04 n=7 hello 42')
      assert.equal(response.type, type === 'CON' && path === 'echo' ? 'ACK' : type)
    }
  }
  const missing = await udp.endpoint.request(echo('nowhere', nothing), serverAt)
  assert.equal(codeText(missing.code), '4.04')
})

test('aiocoap serves a request that was sent three times once', { skip }, async (t) => {
  const udp = await UdpEndpoint.open(t, {}, () => 3)
  const counts: number[] = []
  for (let round = 0; round < 2; round++) {
    const response = await udp.endpoint.request(echo('slow', nothing), serverAt)
    counts.push(Number(fromUtf8(response.payload).split(' ')[0]))
  }
  assert.equal((counts[1] ?? 0) - (counts[0] ?? 0), 1)
})

test('a request to aiocoap that was lost is sent again', { skip }, async (t) => {
  let count = 0
  const udp = await UdpEndpoint.open(t, { transmission: { ackTimeoutMs: 50 } }, () =>
    count++ < 2 ? 0 : 1,
  )
  const response = await udp.endpoint.request(echo('echo', utf8('late')), serverAt)
  assert.deepEqual([textOf(response), count], ['2.04 n=7 late 42', 3])
})

test('aiocoap takes and gives bodies in blocks', { skip }, async (t) => {
  const udp = await UdpEndpoint.open(t)
  for (const [length, szxMax] of [
    [65_536, 6],
    [1500, 2],
  ] as const) {
    const sent = body(length).map((byte) => 0x41 + (byte % 26))
    const exchange = (part: OutgoingRequest): Promise<CoapMessage> =>
      udp.endpoint.request(part, serverAt)
    const response = await sendInBlocks(echo('echo', sent), exchange, { random, szxMax })
    assert.equal(textOf(response), `2.04 n=7 ${fromUtf8(sent)} 42`)
  }
})
