/** Keying material for the layer above is what Node's TLS gives at the other end (RFC 8446 §7.5). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { TlsClient } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type Meeting, meet } from './nodeServer.ts'

const none = Buffer.alloc(0)

/** Labels that the registry of exporters has, and whatever else an application may take. */
const requests: readonly (readonly [label: string, context: Buffer, length: number])[] = [
  ['EXPORTER-Channel-Binding', none, 32],
  ['EXPORTER-Channel-Binding', none, 16],
  ['EXPORTER_EAP_TLS_Key_Material', Buffer.of(0x0d), 128],
  ['EXPERIMENTAL a label', Buffer.from('a context'), 48],
  ['x', Buffer.alloc(1000, 7), 1],
  ['y'.repeat(249), none, 255],
]

function requireSame({ client, server }: Meeting): void {
  for (const [label, context, length] of requests) {
    const ours = Buffer.from(client.exporter(label, context, length))
    const theirs = server.exportKeyingMaterial(length, label, context)
    assert.equal(ours.toString('hex'), theirs.toString('hex'), label)
  }
}

for (const suite of [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_CCM_8_SHA256',
] as const) {
  test(`${suite}: both ends export the same for each label, context and length`, async () => {
    const meeting = await meet({ suites: [suite] })
    assert.equal(meeting.secured.suite, suite)
    assert.equal(meeting.server.getCipher().standardName, suite)
    requireSame(meeting)
  })
}

interface ContextFree {
  exportKeyingMaterial(length: number, label: string): Buffer
}

test('no context is an empty context', async () => {
  const { client, server } = await meet()
  const ours = client.exporter('EXPORTER-Channel-Binding', none, 32)
  // Node's types ask for a context, Node does not.
  const exporting = server as unknown as ContextFree
  const theirs = exporting.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding')
  assert.deepEqual(Buffer.from(ours), theirs)
})

test('another label, context, length or connection gives something else', async () => {
  const { client } = await meet()
  const { client: other } = await meet()
  const made = [
    client.exporter('a', none, 32),
    client.exporter('b', none, 32),
    client.exporter('a', Buffer.of(0), 32),
    client.exporter('a', none, 33).subarray(0, 32),
    other.exporter('a', none, 32),
  ].map((bytes) => Buffer.from(bytes).toString('hex'))
  assert.equal(new Set(made).size, made.length)
})

test('new keys of the connection change nothing in what is exported', async () => {
  const meeting = await meet()
  const { client, server, received } = meeting
  const before = client.exporter('EXPORTER-Channel-Binding', none, 32)
  client.updateKeys(true)
  client.write(Buffer.from('to the server'))
  const [data] = await once(server, 'data')
  assert.equal(String(data), 'to the server')
  await new Promise((resolve) => server.write('to the client', resolve))
  assert.equal(received(), 'to the client')
  assert.deepEqual(client.exporter('EXPORTER-Channel-Binding', none, 32), before)
  requireSame(meeting)
})

test('what no exporter can give is refused', async () => {
  const { client } = await meet()
  // RFC 5705 §4: labels are ASCII.
  for (const label of ['', 'y'.repeat(250), 'é']) {
    assert.throws(() => client.exporter(label, none, 32), { code: 'ERR_TLS_POLICY' }, label)
  }
  // RFC 5869 §2.3: 255 blocks of the hash.
  assert.equal(client.exporter('a', none, 255 * 32).length, 8160)
  assert.throws(() => client.exporter('a', none, 255 * 32 + 1), { code: 'ERR_HKDF_LENGTH' })
})

const unused = (): never => assert.fail('nothing starts here')

test('before the handshake there is nothing to export', () => {
  const client = new TlsClient(
    { crypto: nodeCrypto, random: { bytes: unused }, clock: { now: unused }, trust: unused },
    {
      send: unused,
      secured: unused,
      data: unused,
      resumable: unused,
      ended: unused,
      failed: unused,
    },
  )
  assert.throws(() => client.exporter('a', none, 32), { code: 'ERR_TLS_STATE' })
})
