/**
 * `handshake()` over a wire of Inbound and RecordWriter, with what the servers of RFC 8448 sent. Our
 * own hello goes out; whatever hashes it is given the trace's, which has other extensions.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, hex } from '@countersign/core/codec'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type HandshakeWire, handshake } from '../../src/tls/handshake.ts'
import { Inbound } from '../../src/tls/inbound.ts'
import { plaintextBytesMax } from '../../src/tls/limits.ts'
import type { Established } from '../../src/tls/negotiation.ts'
import { RecordWriter } from '../../src/tls/recordWriter.ts'
import { contentType } from '../../src/tls/registry.ts'
import { type Actor, field, fieldOf, type Trace, type TraceName, trace } from './rfc8448.ts'
import { HelloExchange, optionsOf } from './rfc8448Client.ts'

const full = [
  'Simple 1-RTT Handshake',
  'HelloRetryRequest',
  'Client Authentication',
  'Compatibility Mode',
] as const satisfies readonly TraceName[]

/** The records of a side up to the end of the handshake. */
function handshakeRecords(one: Trace, side: Actor): readonly Uint8Array[] {
  const last = one.steps.findLastIndex(({ label }) => label.startsWith('derive read traffic keys'))
  return one.steps
    .slice(0, last)
    .filter(({ actor, label }) => actor === side && label.endsWith(' record'))
    .map((step) => fieldOf(step, 'complete record'))
}

class TracedWire implements HandshakeWire {
  readonly sent: Uint8Array[] = []
  readonly inbound: Inbound = new Inbound(plaintextBytesMax)
  readonly #writer: RecordWriter = new RecordWriter()
  readonly #hellos: HelloExchange
  #mayChange: boolean

  constructor(hellos: HelloExchange, isCompatible: boolean) {
    this.#hellos = hellos
    this.#mayChange = isCompatible
  }

  message: HandshakeWire['message'] = async () => {
    const incoming = this.inbound.next()
    assert.equal(incoming?.kind, 'message')
    return incoming.message
  }

  send: HandshakeWire['send'] = (...messages) => {
    const isHello = messages[0]?.[0] === 1
    const flight = isHello ? messages.map((one) => this.#hellos.exchange(one)) : messages
    this.sent.push(this.#writer.write(contentType.handshake, concat(...flight)))
  }

  changeCipherSpec: HandshakeWire['changeCipherSpec'] = () => {
    if (!this.#mayChange) return
    this.#mayChange = false
    this.sent.push(this.#writer.write(contentType.changeCipherSpec, Uint8Array.of(1)))
  }

  readWith: HandshakeWire['readWith'] = (protection) => this.inbound.protect(protection)
  writeWith: HandshakeWire['writeWith'] = (protection) => this.#writer.protect(protection)
  limitTo: HandshakeWire['limitTo'] = (contentMax) => this.#writer.limitTo(contentMax)
}

async function run(
  one: Trace,
  records: readonly Uint8Array[],
): Promise<{ readonly wire: TracedWire; readonly established: Established }> {
  const hellos = new HelloExchange(one)
  const wire = new TracedWire(hellos, one.name === 'Compatibility Mode')
  for (const record of records) wire.inbound.push(record)
  return { wire, established: await handshake(optionsOf(one, hellos), wire) }
}

for (const name of full) {
  const one = trace(name)

  test(`${name}: the records of the handshake are those of the trace`, async () => {
    const { wire, established } = await run(one, handshakeRecords(one, 'server'))
    assert.deepEqual(wire.sent.map(hex), handshakeRecords(one, 'client').map(hex))
    assert.equal(wire.inbound.waiting, 0)
    const secret = field(one, 'client', 'derive secret "tls13 res master"', 'expanded')
    assert.equal(hex(nodeCrypto.exportSecret(established.resumption)), hex(secret))
  })

  test(`${name}: the same when its octets come one by one`, async () => {
    const octets = handshakeRecords(one, 'server').flatMap((record) =>
      Array.from(record, (octet) => Uint8Array.of(octet)),
    )
    const { wire } = await run(one, octets)
    assert.deepEqual(wire.sent.map(hex), handshakeRecords(one, 'client').map(hex))
  })
}
