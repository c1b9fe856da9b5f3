/** What a client keeps of a server that it meets again, and in how many pieces it speaks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { ChannelCrypto } from '@countersign/core/ports'
import { type PresentedChain, type ServerTrust, trustPinned } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { assertOpen, clock, fixedCrypto, Talk, talk } from './hostile/conversation.ts'
import { resumed } from './hostile/settings.ts'
import { extension, field, lay, sized, u8 } from './puppetBytes.ts'
import { fixedKey } from './puppetKeys.ts'
import * as steps from './puppetSteps.ts'
import { host, identity, issuingCa } from './puppetWorld.ts'

interface Work {
  verified: number
  imported: number
}

function counting(): { readonly crypto: ChannelCrypto; readonly work: Work } {
  const work = { verified: 0, imported: 0 }
  const crypto: ChannelCrypto = {
    ...fixedCrypto,
    verify(...given) {
      work.verified++
      return nodeCrypto.verify(...given)
    },
    importPublicKey(...given) {
      work.imported++
      return nodeCrypto.importPublicKey(...given)
    },
  }
  return { crypto, work }
}

function pinnedBy(crypto: ChannelCrypto): ServerTrust {
  const anchor = hex(crypto.hash('sha256', issuingCa.certificate.spki.der))
  return trustPinned({ crypto, clock, host, anchor })
}

/** The keys of CA and server; the signature of the certificate, and that of the handshake. */
const everything: Work = { verified: 2, imported: 2 }

test('of a server that the judge remembers, the signature of the handshake alone is verified', async () => {
  const { crypto, work } = counting()
  const options = { crypto, trust: pinnedBy(crypto) }
  assertOpen(await talk({}, options))
  assert.deepEqual(work, everything)
  for (const again of [1, 2]) {
    assertOpen(await talk({}, options))
    assert.deepEqual(work, { verified: 2 + again, imported: 2 })
  }
})

test('a new judge, and another provider, begin from nothing', async () => {
  const { crypto, work } = counting()
  assertOpen(await talk({}, { crypto, trust: pinnedBy(crypto) }))
  assertOpen(await talk({}, { crypto, trust: pinnedBy(crypto) }))
  assert.deepEqual(work, { verified: 4, imported: 4 })

  // The judge works with the first, the handshake with the second.
  const other = counting()
  const trust = pinnedBy(crypto)
  assertOpen(await talk({}, { crypto, trust }))
  assertOpen(await talk({}, { crypto: other.crypto, trust }))
  assert.deepEqual(other.work, { verified: 1, imported: 1 })
})

test('a remembered server that does not hold its key is refused', async () => {
  const trust = pinnedBy(fixedCrypto)
  assertOpen(await talk({}, { trust }))
  const thief = { ...identity, key: fixedKey('ed25519', 99) }
  const { failed, secured } = await talk({ identity: thief }, { trust })
  assert.deepEqual(secured, [])
  assert.equal((failed[0] as { code?: string }).code, 'ERR_TLS_SIGNATURE')
})

/** Of what the client sends: the types of the records in each piece. */
function listen({ puppet }: Talk): readonly string[] {
  const pieces: string[] = []
  const receive = puppet.receive.bind(puppet)
  puppet.receive = (bytes) => {
    pieces.push(typesOf(bytes))
    receive(bytes)
  }
  return pieces
}

function typesOf(bytes: Uint8Array): string {
  if (bytes.length === 0) return ''
  const end = 5 + Buffer.from(bytes).readUInt16BE(3)
  return [bytes[0], typesOf(bytes.subarray(end))].filter(Boolean).join(' ')
}

test('each flight goes out in one piece, change_cipher_spec with what it stands before', async () => {
  const { puppet, options } = await resumed()
  for (const talking of [new Talk(), new Talk(puppet, options)]) {
    const pieces = listen(talking)
    assertOpen(await talking.start())
    assert.deepEqual(pieces, ['22', '20 23'])
  }
})

test('change_cipher_spec is not held back by a handshake that fails', async () => {
  const talking = new Talk({}, { trust: () => assert.fail('not this one') })
  const pieces = listen(talking)
  await talking.start()
  assert.equal(talking.failed.length, 1)
  assert.deepEqual(pieces, ['22', '20 23'])
})

test('what a server showed is kept without the records that it came in', async () => {
  const response = Buffer.alloc(700, 7)
  const staple = sized('response', 3, response)
  const stapled = extension('status_request', 5, lay(field('type', u8(1)), staple))
  const shows = steps.certificate(([leaf, ...above]) => [
    { der: leaf?.der ?? Buffer.alloc(0), extensions: [stapled] },
    ...above,
  ])
  const flight = steps.fullFlight.toSpliced(4, 1, shows)
  const kept: PresentedChain[] = []
  const trust: ServerTrust = (presented) => {
    kept.push(presented)
    return pinnedBy(nodeCrypto)({ ...presented, staple: undefined })
  }
  assertOpen(await talk({ flights: [flight] }, { trust }))
  const [presented] = kept
  assert.deepEqual(presented?.staple, new Uint8Array(response))
  for (const bytes of [...(presented?.chain ?? []), presented?.staple]) {
    assert.equal(bytes?.buffer.byteLength, bytes?.length)
  }
})
