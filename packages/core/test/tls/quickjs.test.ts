/**
 * Core's TLS client in an engine for small devices: a heap with an enforced limit, none of the
 * library that browsers and Node add to the language, every key behind a number. The other end is
 * OpenSSL's, in Node's TLS server.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { bytecodeOf, type Variant } from './quickjs/build.ts'
import { startEngine } from './quickjs/engine.ts'
import { hostPorts } from './quickjs/hostPorts.ts'
import { type Peer, startPeer } from './quickjs/peer.ts'
import { silent, VisitError, visits } from './quickjs/visit.ts'

/** Bytes. `npm run bench -- quickjs` shows how much less would do. */
const memoryLimit = 768_000

const first = { isResumed: false, isAuthenticated: true, answer: 'first device 7 ' }
const again = { isResumed: true, isAuthenticated: true, answer: 'again device 7 ' }

const variants: readonly (readonly [Variant, suite: string])[] = [
  ['AEAD of the host', 'TLS_AES_128_GCM_SHA256'],
  ['ChaCha20-Poly1305 inside', 'TLS_CHACHA20_POLY1305_SHA256'],
]

suite('the TLS client in a small engine', () => {
  let peer: Peer
  before(async () => {
    peer = await startPeer()
  })
  after(() => peer[Symbol.asyncDispose]())

  for (const [variant, name] of variants) {
    test(`${variant}: in ${memoryLimit / 1000} kB it proves itself, talks, takes its leave, resumes, and does it again`, async () => {
      const done = await visits(await bytecodeOf(variant), peer, memoryLimit, { count: 4 })
      // Node's server gives tickets with a full handshake only.
      const full = { suite: name, ...first, tickets: 2, signatures: 1 }
      const resumed = { suite: name, ...again, tickets: 0, signatures: 0 }
      assert.deepEqual(done, [full, resumed, full, resumed])
    })
  }

  test('a server that fills its records is read in the same heap', async () => {
    const code = await bytecodeOf('AEAD of the host')
    const answerBytes = 16_000
    const done = await visits(code, peer, memoryLimit, { count: 2, answerBytes })
    const rest = '.'.repeat(answerBytes)
    assert.deepEqual(
      done.map(({ answer }) => answer),
      [first.answer + rest, again.answer + rest],
    )
  })

  test('in the same heap it refuses a server of another anchor before it says who it is', async () => {
    const code = await bytecodeOf('AEAD of the host')
    const anchor = '00'.repeat(32)
    await assert.rejects(visits(code, peer, memoryLimit, { count: 1, anchor }), (error) => {
      assert.ok(error instanceof VisitError)
      assert.equal(error.code, 'ERR_ANCHOR_MISMATCH')
      return true
    })
  })

  test('the limit is enforced: in three quarters of it the program is out of memory', async () => {
    const code = await bytecodeOf('AEAD of the host')
    await assert.rejects(visits(code, peer, memoryLimit * 0.75, { count: 1 }), /out of memory/)
  })

  test('the engine has nothing that core may not need', async () => {
    const code = await bytecodeOf('AEAD of the host')
    using engine = await startEngine(code, hostPorts(Date.now), silent, memoryLimit)
    const missing = [
      'Buffer',
      'TextDecoder',
      'TextEncoder',
      'atob',
      'console',
      'crypto',
      'process',
      'setTimeout',
      'structuredClone',
      'URL',
    ]
    assert.deepEqual(
      missing.filter((name) => engine.has(name)),
      [],
    )
    assert.ok(engine.has('guest'), 'a name that is there is found')
  })
})
