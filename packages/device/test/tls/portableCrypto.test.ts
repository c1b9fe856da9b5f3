/** The TLS client on the crypto provider in JavaScript alone, with OpenSSL at the other end. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { nobleCrypto } from '@countersign/core/crypto/noble'
import type { ResumableSession } from '@countersign/core/tls'
import { randomBytes } from '@countersign/element/nodeCrypto'
import { makeStage } from './streamScene.ts'

const stage = makeStage(after)
const crypto = nobleCrypto(randomBytes)
const suites = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
] as const

for (const group of ['x25519', 'secp256r1'] as const) {
  for (const suite of suites) {
    test(`a handshake by ${group} and ${suite}, and what is said after it`, async () => {
      const policy = { groups: [group], suites: [suite] }
      const { stream, server } = await stage.meet({ crypto, policy })
      assert.deepEqual([stream.secured?.suite, stream.secured?.group], [suite, group])
      server.pipe(server)
      const sent = randomBytes.bytes(50_000)
      stream.end(sent)
      const heard = createHash('sha256')
      for await (const part of stream) heard.update(part)
      assert.equal(heard.digest('hex'), createHash('sha256').update(sent).digest('hex'))
      assert.equal(stream.secured?.isAuthenticated, true)
    })
  }
}

test('a session is resumed', async () => {
  const tickets: ResumableSession[] = []
  const onSession = (session: ResumableSession): void => void tickets.push(session)
  const first = await stage.meet({ crypto, onSession })
  first.server.write('a word')
  await once(first.stream, 'data')
  first.stream.destroy()
  const [session] = tickets
  assert.ok(session !== undefined)
  const again = await stage.meet({ crypto, session })
  assert.equal(again.stream.secured?.isResumed, true)
  again.stream.destroy()
})
