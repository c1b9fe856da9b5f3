/** Either side lacks the other's certificate, or is shown one that it must not trust. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { makeAuthority } from './pki.ts'
import { certificates, credentialOf, makeScene, reading, serverCredentials } from './scene.ts'

const { ca, owner } = certificates

test('a device that knows no server asks once for leaf and issuer, and only after Echo gets them', async () => {
  const { time, server, device } = makeScene()
  const first = await device()
  await time.until(first.session.request(reading(1)))
  // Without Echo, with it; the name of the certificate is enough from now on.
  assert.equal(server.counts.message1, 2)
  assert.deepEqual(server.asked, ['leaf and issuer', 'leaf and issuer'])
  server.forget()
  first.cut()
  const next = await device({}, first.storage)
  await time.advance(60_000)
  await time.until(next.session.request(reading(2)))
  assert.deepEqual(server.asked.slice(2), [undefined])
})

test('a server certificate that the device does not know is asked for by value, its issuer not', async () => {
  const { time, server, device } = makeScene()
  const { session, storage } = await device()
  await time.until(session.request(reading(1)))
  server.signs = await ca.issue('server', 'serverEdhocSign')
  server.forget()
  await time.advance(60_000)
  await time.until(session.request(reading(2)))
  assert.deepEqual(server.asked.slice(2), [undefined, 'leaf', 'leaf'])
  assert.equal(server.stored.size, 2)
  assert.equal(serverCredentials(storage).length, 2)
})

test('a server of the static key is known by its kid the second time', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device({ method: 1 })
  await time.until(session.request(reading(1)))
  server.forget()
  await time.advance(60_000)
  await time.until(session.request(reading(2)))
  assert.deepEqual(server.asked, ['leaf and issuer', 'leaf and issuer', undefined])
})

test('a server that lacks the device gets its leaf by value', async () => {
  const { time, server, device } = makeScene()
  server.known.clear()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  assert.equal(server.counts.message3, 2)
  assert.deepEqual([...server.stored.keys()], ['m/room?n=1'])
})

test('a server that has it by value and does not take it is asked no third time', async () => {
  const { time, server, device } = makeScene()
  server.known.clear()
  const stranger = await makeAuthority('Nobody')
  const leaf = await stranger.issue('device', 'clientAuth')
  const { session } = await device({ credential: credentialOf(leaf) })
  await assert.rejects(time.until(session.request(reading(1))), { code: 'ERR_NARROW_REFUSED' })
  assert.equal(server.counts.message3, 2)
  // Not before the backoff has passed.
  await assert.rejects(time.until(session.request(reading(1))), { code: 'ERR_NARROW_BUDGET' })
  assert.equal(server.counts.message3, 2)
})

const wrong: readonly [
  string,
  string,
  () => Promise<Partial<ReturnType<typeof makeScene>['server']>>,
][] = [
  [
    'expired',
    'ERR_CERT_EXPIRED',
    async () => ({
      signs: await ca.issue('server', 'serverEdhocSign', { notAfter: Date.UTC(2025, 11, 31) }),
    }),
  ],
  [
    'not valid yet',
    'ERR_CERT_NOT_YET_VALID',
    async () => ({
      signs: await ca.issue('server', 'serverEdhocSign', { notBefore: Date.UTC(2026, 1, 1) }),
    }),
  ],
  [
    'for TLS alone',
    'ERR_CHAIN_PURPOSE',
    async () => ({
      signs: await ca.issue('server', 'serverAuth'),
    }),
  ],
  [
    'of a device',
    'ERR_CHAIN_PURPOSE',
    async () => ({
      signs: await ca.issue('server', 'clientAuth'),
    }),
  ],
  [
    'for key agreement',
    'ERR_CHAIN',
    async () => ({
      signs: await ca.issue('server', 'serverEdhocDh'),
    }),
  ],
  [
    'of the owner of devices',
    'ERR_CHAIN',
    async () => ({
      signs: await owner.issue('server', 'serverEdhocSign'),
    }),
  ],
]

for (const [what, code, change] of wrong) {
  test(`a server whose certificate is ${what} is told nothing`, async () => {
    const { time, server, device } = await changed(change)
    const { session, storage } = await device()
    await assert.rejects(time.until(session.request(reading(1))), (error: { code: string }) => {
      assert.match(error.code, new RegExp(`^${code}`))
      return true
    })
    assert.equal(server.counts.message3, 0)
    assert.equal(server.stored.size, 0)
    assert.equal(serverCredentials(storage).length, 0)
  })
}

async function changed(
  change: () => Promise<Partial<ReturnType<typeof makeScene>['server']>>,
): Promise<ReturnType<typeof makeScene>> {
  const scene = makeScene()
  Object.assign(scene.server, await change())
  return scene
}

test('a server below another CA is told nothing, also when it shows the pinned one', async () => {
  const other = await makeAuthority('Server CA')
  const signs = await other.issue('server', 'serverEdhocSign')
  for (const issuer of [other.der, ca.der]) {
    const { time, server, device } = makeScene()
    server.signs = signs
    server.issuer = issuer
    const { session } = await device()
    await assert.rejects(time.until(session.request(reading(1))), {
      code: issuer === ca.der ? /^ERR_CHAIN/ : 'ERR_ANCHOR_MISMATCH',
    })
    assert.equal(server.counts.message3, 0)
  }
})

test('a certificate that expires is judged again in the next handshake', async () => {
  const { time, server, device } = makeScene()
  server.signs = await ca.issue('server', 'serverEdhocSign', {
    notAfter: time.now() + 3_600_000,
  })
  const { session } = await device()
  await time.until(session.request(reading(1)))
  await time.advance(7_200_000)
  server.forget()
  await assert.rejects(time.until(session.request(reading(2))), { code: 'ERR_CERT_EXPIRED' })
  assert.equal(server.counts.message3, 1)
})

test('a server that pushes its next certificate can show it by name', async () => {
  const { time, server, device } = makeScene()
  const { session, storage } = await device()
  await time.until(session.request(reading(1)))
  const next = await ca.issue('server', 'serverEdhocSign')
  const pushed = await time.until(
    server.ask({ path: ['k'], queries: ['kid=07'], payload: next.der }),
  )
  assert.equal(pushed.code, 0x44)
  assert.equal(serverCredentials(storage).length, 2)
  server.signs = next
  server.forget()
  await time.advance(60_000)
  await time.until(session.request(reading(2)))
  assert.deepEqual(server.asked.slice(2), [undefined])
})

test('a pushed certificate that the device would not trust is refused, and not kept', async () => {
  const { time, server, device } = makeScene()
  const { session, storage } = await device()
  await time.until(session.request(reading(1)))
  const strange = await makeAuthority('Server CA')
  const bad = [
    (await strange.issue('server', 'serverEdhocSign')).der,
    (await ca.issue('server', 'serverAuth')).der,
    (await ca.issue('server', 'serverEdhocSign', { notAfter: time.now() - 1 })).der,
    fromHex('3000'),
    new Uint8Array(),
  ]
  for (const payload of bad) {
    const { code } = await time.until(server.ask({ path: ['k'], queries: ['kid=07'], payload }))
    assert.equal(code >> 5, 4, hex(payload.subarray(0, 16)))
  }
  const { der } = await ca.issue('server', 'serverEdhocSign')
  for (const queries of [[], ['kid='], ['kid=0'], ['kid=zz'], [`kid=${'00'.repeat(9)}`]]) {
    const { code } = await time.until(server.ask({ path: ['k'], queries, payload: der }))
    assert.equal(code >> 5, 4)
  }
  assert.equal(serverCredentials(storage).length, 1)
})
