/**
 * The whole client against the servers of RFC 8448: from its start to the farewell of both sides,
 * each record that it sends is the trace's, its own hellos aside.
 */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { type ResumableSession, type Secured, TlsClient } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { recordsIn } from './foreignRecords.ts'
import { field, fieldOf, type Step, type Trace, type TraceName, trace } from './rfc8448.ts'
import {
  certificateOf,
  credentialOf,
  HelloExchange,
  policyOptionsOf,
  randomOf,
  tracedCrypto,
  trustOf,
} from './rfc8448Client.ts'

const full = [
  'Simple 1-RTT Handshake',
  'HelloRetryRequest',
  'Client Authentication',
  'Compatibility Mode',
] as const satisfies readonly TraceName[]

/** A client on the trace's stage, and everything that its outlet heard. */
class Player {
  readonly client: TlsClient
  readonly secured: Secured[] = []
  readonly data: string[] = []
  readonly sessions: ResumableSession[] = []
  ends: number = 0
  failure: unknown
  readonly #sent: string[] = []
  readonly #news: EventEmitter = new EventEmitter()

  constructor(one: Trace) {
    const hellos = new HelloExchange(one)
    this.client = new TlsClient(
      {
        crypto: tracedCrypto(one, hellos),
        random: randomOf(one),
        clock: { now: () => 0 },
        trust: trustOf(one),
        host: 'server',
        credential: credentialOf(one),
        policy: policyOptionsOf(one),
      },
      {
        send: (bytes) => this.#send(bytes, hellos),
        secured: (secured) => this.secured.push(secured),
        data: (bytes) => this.data.push(hex(bytes)),
        resumable: (session) => this.sessions.push(session),
        ended: () => this.ends++,
        failed: (error) => {
          this.failure = error
          this.#news.emit('news')
        },
      },
    )
  }

  /** The next record that the client sends; our hello, which has its own length, as the trace's. */
  async next(): Promise<string> {
    if (this.#sent.length === 0) await once(this.#news, 'news')
    assert.equal(this.failure, undefined)
    return this.#sent.shift() ?? ''
  }

  get isSilent(): boolean {
    return this.#sent.length === 0
  }

  #send(bytes: Uint8Array, hellos: HelloExchange): void {
    // What goes out in one piece may be several records.
    for (const record of recordsIn(bytes)) {
      const isHello = record[0] === 22 && record[5] === 1
      const shown = isHello ? withHello(record, hellos.exchange(record.subarray(5))) : hex(record)
      this.#sent.push(shown)
    }
    this.#news.emit('news')
  }
}

function withHello(record: Uint8Array, hello: Uint8Array): string {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(hello.length)
  return hex(record.subarray(0, 3)) + hex(length) + hex(hello)
}

/** One record of the trace: the server's goes in, the client's comes out. */
async function play(
  player: Player,
  { actor, label, fields }: Step,
  record: Uint8Array,
): Promise<void> {
  if (actor === 'server') {
    player.client.receive(record.slice())
    return
  }
  const payload = Buffer.from(fields.find(({ name }) => name === 'payload')?.hex ?? '', 'hex')
  if (label === 'send application_data record') player.client.write(payload)
  if (label === 'send alert record') player.client.end()
  assert.equal(await player.next(), hex(record), label)
}

async function playAll(one: Trace): Promise<Player> {
  const player = new Player(one)
  player.client.start()
  for (const step of one.steps.filter(({ label }) => /^send .* record$/.test(label))) {
    await play(player, step, fieldOf(step, 'complete record'))
  }
  assert.ok(player.isSilent)
  assert.equal(player.failure, undefined)
  return player
}

for (const name of full) {
  const one = trace(name)

  test(`${name}: the whole connection is the trace's, record by record`, async () => {
    const { secured, ends, client } = await playAll(one)
    assert.equal(ends, 1)
    const [first, ...others] = secured
    assert.ok(first && others.length === 0)
    assert.equal(hex(first.peer.leaf.der), hex(certificateOf(one, 'server')))
    assert.equal(first.suite, 'TLS_AES_128_GCM_SHA256')
    assert.equal(first.group, name === 'HelloRetryRequest' ? 'secp256r1' : 'x25519')
    assert.equal(first.isAuthenticated, name === 'Client Authentication')
    assert.equal(first.isResumed, false)
    assert.equal(first.alpn, undefined)
    assert.throws(() => client.write(Uint8Array.of(1)), { code: 'ERR_TLS_STATE' })
  })
}

test('Simple 1-RTT Handshake: data and a ticket come out, the ticket with its printed secret', async () => {
  const one = trace('Simple 1-RTT Handshake')
  const { data, sessions } = await playAll(one)
  assert.deepEqual(data, [hex(field(one, 'server', 'send application_data record', 'payload'))])
  const [session, ...others] = sessions
  assert.ok(session && others.length === 0)
  const secret = field(one, 'server', 'generate resumption secret "tls13 resumption"', 'expanded')
  assert.equal(hex(nodeCrypto.exportSecret(session.psk)), hex(secret))
  // RFC 8446 §4.6.1: lifetime, age_add, nonce<1> of two, ticket<2>; early_data behind it.
  const label = 'construct a NewSessionTicket handshake message'
  const message = Buffer.from(field(one, 'server', label, 'NewSessionTicket'))
  assert.equal(session.lifetimeMs, message.readUInt32BE(4) * 1000)
  assert.equal(session.ageAdd, message.readUInt32BE(8))
  assert.equal(hex(session.ticket), hex(message.subarray(17, 17 + message.readUInt16BE(15))))
  assert.equal(session.suite, 'TLS_AES_128_GCM_SHA256')
})
