/** Our TLS client and foreign servers, live: what RFC 8446 §9 and this product ask of it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import type { GroupName } from '@countersign/core/ports'
import { peers } from './peers/all.ts'
import { gnutls } from './peers/gnutls.ts'
import { openssl, startTerminal } from './peers/openssl.ts'
import { OwnClient } from './peers/ownClient.ts'
import type { ForeignServer, Peer, ServerWish, SuiteName } from './peers/peer.ts'
import { type Credential, makePki, type Pki, type ServerFault } from './peers/pki.ts'
import { stopAll } from './peers/process.ts'
import { rustls, updateKeys } from './peers/rustls.ts'

const noOpenssl = openssl.missing()
const authenticated = { clientCertificate: 'required' } as const satisfies ServerWish
const everySuite: readonly SuiteName[] = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_CCM_8_SHA256',
]

let pki: Pki
before(() => {
  if (noOpenssl === false) pki = makePki()
})
after(async () => {
  await stopAll()
  pki?.remove()
})

for (const peer of peers)
  describe(peer.name, { skip: noOpenssl || peer.missing() }, () => {
    it('knows who its client is; the element signs once, and not again when it resumes', async () => {
      await using server = await running(peer, authenticated)
      await using first = await OwnClient.meet(pki, server)
      const answer = await first.ask(peer.speaks)
      const who = identity(pki.client.p256)
      if (!who.test(answer)) await server.prints(who)
      assert.equal(first.secured.isResumed, false)
      assert.equal(first.secured.isAuthenticated, true)
      assert.equal(first.signatures(), 1)
      const session = first.sessions.at(-1)
      assert.ok(session, 'no ticket')
      await first.close()
      await using second = await OwnClient.meet(pki, server, { session })
      assert.equal(second.secured.isResumed, true)
      assert.equal(second.secured.isAuthenticated, true)
      assert.equal(second.signatures(), 0)
      // What the server showed before is judged again, and nothing else.
      assert.deepEqual(second.shown, [first.shown[0]])
      const again = await second.ask(peer.speaks)
      if (/"resumed"/.test(answer)) assert.match(again, /"resumed":true/)
    })

    it('asks for another share when the first is of no use to it', async () => {
      for (const group of peer.abilities.groups) {
        const groups: readonly GroupName[] = ['X25519MLKEM768', 'x25519', 'secp256r1']
        const other = group === 'x25519' ? 'secp256r1' : 'x25519'
        await using server = await running(peer, { ...authenticated, groups: [group] })
        const policy = {
          groups: groups.filter((one) => one === group || one === other),
          shares: [other] as const,
        }
        await using client = await OwnClient.meet(pki, server, { policy })
        assert.deepEqual(client.shares, [other, group])
        assert.equal(client.secured.group, group)
        await client.ask(peer.speaks)
        // Resumed with a retry: the binder covers both hellos.
        const session = client.sessions.at(-1)
        if (session === undefined) continue
        await client.close()
        await using again = await OwnClient.meet(pki, server, { policy, session })
        assert.deepEqual(again.shares, [other, group])
        assert.equal(again.secured.isResumed, true)
        await again.ask(peer.speaks)
      }
    })

    it('agrees on each group at once, and on each suite', async () => {
      for (const group of peer.abilities.groups) {
        await using server = await running(peer, { ...authenticated, groups: [group] })
        await using client = await OwnClient.meet(pki, server, { policy: { groups: [group] } })
        assert.deepEqual(client.shares, [group])
        assert.equal(client.secured.group, group)
        const answer = await client.ask(peer.speaks)
        if (/"group":"/.test(answer))
          assert.ok(answer.toLowerCase().includes(nameOf(group)), answer)
      }
      for (const suite of everySuite.filter((one) => peer.abilities.suites.includes(one))) {
        await using server = await running(peer, { ...authenticated, suites: [suite] })
        await using client = await OwnClient.meet(pki, server, { policy: { suites: [suite] } })
        assert.equal(client.secured.suite, suite)
        await client.ask(peer.speaks)
      }
    })

    it('shows a client without certificate its data, a protocol and a staple where it can', async () => {
      const { alpn, staple } = peer.abilities
      const stapled = pki.staple('good', 'issuer')
      await using server = await running(peer, {
        clientCertificate: 'none',
        ...(alpn ? { alpn: ['one', 'two'] } : {}),
        ...(staple ? { staple: stapled } : {}),
      })
      const policy = alpn ? { alpn: ['three', 'two'] } : {}
      await using client = await OwnClient.meet(pki, server, { policy }, undefined)
      assert.equal(client.secured.isAuthenticated, false)
      assert.equal(client.secured.alpn, alpn ? 'two' : undefined)
      const [shown] = client.shown
      if (staple) assert.deepEqual(Buffer.from(shown?.staple ?? []), readFileSync(stapled))
      if (peer.speaks !== 'mqtt') await client.ask(peer.speaks)
    })

    it('is turned away when a staple says that it is revoked', {
      skip: staplesNoRevocation(peer),
    }, async () => {
      const staple = pki.staple('revoked', 'delegate')
      await using server = await running(peer, { ...authenticated, staple })
      await assert.rejects(OwnClient.meet(pki, server), { code: 'ERR_CERT_REVOKED' })
    })

    it('refuses a client of an unknown CA, or expired, or with a certificate for servers', async () => {
      const { by, ofPurpose } = peer.refusal
      for (const fault of ['unknownCa', 'expired', 'serverPurpose'] as const) {
        await using server = await running(peer, authenticated)
        await using client = await OwnClient.meet(pki, server, {}, pki.wrongClient[fault])
        if (fault === 'serverPurpose' && !ofPurpose) await client.ask(peer.speaks)
        else if (by === 'page') await assert.rejects(client.ask(peer.speaks), /HTTP\/1\.1 400 /)
        else await assert.rejects(client.hears(/./), by === 'alert' ? alerted : cutOff)
      }
    })
  })

function staplesNoRevocation({ name, abilities }: Peer): string | false {
  if (!abilities.staple) return `${name} staples nothing`
  return name === 'GnuTLS' && 'GnuTLS does not start with a response that says so'
}

const alerted = { code: 'ERR_TLS_ALERT', message: /(certificate|unknown_ca|access_denied)/ }
const cutOff = { code: /ERR_TLS_TRUNCATED|ECONNRESET/ }

const wrongServers: Readonly<Record<ServerFault, string>> = {
  expired: 'ERR_CERT_EXPIRED',
  otherName: 'ERR_CHAIN_NAME',
  noPurpose: 'ERR_CHAIN_PURPOSE',
  clientPurpose: 'ERR_CHAIN_PURPOSE',
  unknownCa: 'ERR_ANCHOR_MISMATCH',
  selfSigned: 'ERR_ANCHOR_MISMATCH',
  leafAsCa: 'ERR_CHAIN_NOT_A_CA',
}

describe('OpenSSL s_server', { skip: noOpenssl }, () => {
  for (const [fault, code] of Object.entries(wrongServers) as [ServerFault, string][])
    it(`whose certificate is wrong (${fault}) learns nothing of the client`, async () => {
      const credential = pki.wrongServer[fault]
      await using server = await running(openssl, { ...authenticated, credential })
      await assert.rejects(OwnClient.meet(pki, server), { code })
      await server.stop()
      assert.doesNotMatch(server.output(), /device-p256/)
    })

  it('shows a leaf of any key, and takes a client with Ed25519', async () => {
    for (const credential of Object.values(pki.server)) {
      await using server = await running(openssl, { ...authenticated, credential })
      await using client = await OwnClient.meet(pki, server, {}, pki.client.ed25519)
      await client.ask(openssl.speaks)
      await server.prints(/^Peer certificate: CN = device-ed25519$/m)
    }
  })

  it('is spoken with over the two pipes of a process as over a socket', async () => {
    await using server = await running(openssl, authenticated)
    const relay = `require('net').connect(${server.port}, '${server.host}', function () {
      process.stdin.pipe(this).pipe(process.stdout) })`
    const { stdin, stdout } = spawn(process.execPath, ['-e', relay])
    const pipes = Duplex.from({ readable: stdout, writable: stdin })
    await using client = await OwnClient.meet(pki, server, {}, pki.client.p256, pipes)
    assert.equal(client.secured.isAuthenticated, true)
    await client.ask(openssl.speaks)
  })

  it('updates its keys and asks for ours, and data goes on in both directions', async () => {
    await using server = disposable(await startTerminal(pki, authenticated))
    await using client = await OwnClient.meet(pki, server)
    client.stream.write('from the client\n')
    await server.prints(/^from the client$/m)
    server.updateKeys('update_not_requested')
    await server.prints(/>>> .*KeyUpdate/)
    server.type('with new keys')
    await client.hears(/^with new keys\n$/m)
    assert.doesNotMatch(server.output(), /<<< .*KeyUpdate/)
    server.updateKeys('update_requested')
    // What is typed behind it too soon would be part of the command.
    await server.prints(/>>> .*KeyUpdate[^]*>>> .*KeyUpdate/)
    server.type('of one side')
    await client.hears(/^of one side\n$/m)
    client.stream.write('and of the other\n')
    // Our answer stands before our next data (RFC 8446 §4.6.3).
    await server.prints(/<<< .*KeyUpdate/)
    await server.prints(/^and of the other$/m)
  })
})

describe('rustls', { skip: noOpenssl || rustls.missing() }, () => {
  it('updates its keys and asks for ours', async () => {
    await using server = await running(rustls, authenticated)
    await using client = await OwnClient.meet(pki, server)
    client.stream.write(updateKeys)
    await client.hears(/^update keys$/m)
    client.stream.write('with new keys\n')
    await client.hears(/^with new keys$/m)
  })
})

describe('GnuTLS', { skip: noOpenssl || gnutls.missing() }, () => {
  it('keeps to the size of records that it is told (RFC 8449)', async () => {
    await using server = await running(gnutls, authenticated)
    await using client = await OwnClient.meet(pki, server, { policy: { recordContentMax: 512 } })
    await client.ask(gnutls.speaks)
  })
})

/** As servers write it, in lower case: OpenSSL says prime256v1, Go P256. */
function nameOf(group: GroupName): string {
  return group === 'secp256r1' ? '256' : group.toLowerCase()
}

/** As an answer has it, or what the server prints. */
function identity({ leaf }: Credential): RegExp {
  const { raw } = new X509Certificate(readFileSync(leaf))
  return new RegExp(`CN ?= ?device-p256\\b|u'device-p256'|"client":"${raw.toString('hex')}"`)
}

async function running(peer: Peer, wish: ServerWish): Promise<ForeignServer & AsyncDisposable> {
  return disposable(await peer.start(pki, wish))
}

function disposable<T extends ForeignServer>(server: T): T & AsyncDisposable {
  return { ...server, [Symbol.asyncDispose]: () => server.stop() }
}
