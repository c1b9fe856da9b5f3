/**
 * The peers themselves, with a client that is known to work: Node's. What a server is told to do is
 * seen from the client's side, and who the client is from the server's.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import type { ConnectionOptions } from 'node:tls'
import { peers } from './all.ts'
import { NodeClient } from './nodeClient.ts'
import { openssl, startTerminal } from './openssl.ts'
import { type ForeignServer, opensslGroups, type Peer, type ServerWish } from './peer.ts'
import { type Credential, makePki, type Pki } from './pki.ts'
import { stopAll } from './process.ts'
import { rustls, updateKeys } from './rustls.ts'

const noOpenssl = openssl.missing()
const authenticated = { clientCertificate: 'required' } as const satisfies ServerWish

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
    it('knows its client, answers it and resumes', async () => {
      await using server = await running(peer, authenticated)
      await using first = await meet(server)
      const answer = await first.ask(peer.speaks)
      const who = identity(pki.client.p256)
      if (!who.test(answer)) await server.prints(who)
      assert.equal(first.isRetried(), false)
      const [session] = first.sessions
      await first.close()
      await using second = await meet(server, { session })
      assert.ok(second.socket.isSessionReused())
      await second.ask(peer.speaks)
    })

    it('asks for the key share of the group that it is told', async () => {
      for (const group of peer.abilities.groups) {
        await using server = await running(peer, { ...authenticated, groups: [group] })
        const other = group === 'x25519' ? 'P-256' : 'X25519'
        await using client = await meet(server, {
          ecdhCurve: `${other}:${opensslGroups[group]}`,
        })
        assert.ok(client.isRetried(), group)
        await client.ask(peer.speaks)
      }
    })

    it('does as it is told about suites, protocols, a stapled response and tickets', async () => {
      const { suites, alpn, staple, noTickets } = peer.abilities
      const stapled = pki.staple('good', 'issuer')
      for (const suite of suites.length > 0 ? suites : [undefined]) {
        await using server = await running(peer, {
          clientCertificate: 'none',
          ...(suite ? { suites: [suite] } : {}),
          ...(alpn ? { alpn: ['one', 'two'] } : {}),
          ...(staple ? { staple: stapled } : {}),
          ...(noTickets ? { tickets: false } : {}),
        })
        await using client = await meet(server, {
          requestOCSP: true,
          ciphers: suite ? `${suite}:DEFAULT@SECLEVEL=0` : undefined,
          ALPNProtocols: alpn ? ['two'] : undefined,
        })
        await client.ask(peer.speaks)
        if (suite) assert.equal(client.socket.getCipher().standardName, suite)
        if (alpn) assert.equal(client.socket.alpnProtocol, 'two')
        if (staple) assert.deepEqual(client.staples, [readFileSync(stapled)])
        assert.equal(client.sessions.length === 0, noTickets)
      }
    })

    it('refuses a client of an unknown CA, or expired, or with a certificate for servers', async () => {
      const { by, ofPurpose } = peer.refusal
      for (const fault of ['unknownCa', 'expired', 'serverPurpose'] as const) {
        await using server = await running(peer, authenticated)
        await using client = await meet(server, {}, pki.wrongClient[fault])
        if (fault === 'serverPurpose' && !ofPurpose) await client.ask(peer.speaks)
        else if (by === 'page') await assert.rejects(client.ask(peer.speaks), /HTTP\/1\.1 400 /)
        else if (by === 'alert') await assert.rejects(client.hears(/./), /alert number \d+$/m)
        else await assert.rejects(client.hears(/./), /closed:\s*$/)
      }
    })
  })

describe('OpenSSL s_server, somebody sitting before it', { skip: noOpenssl }, () => {
  it('prints what a client sends, sends what is typed, and updates its keys', async () => {
    await using server = disposable(await startTerminal(pki, authenticated))
    await using client = await meet(server)
    client.socket.write('from the client\n')
    await server.prints(/^from the client$/m)
    server.type('from the server')
    await client.hears(/^from the server\n$/)
    server.updateKeys('update_not_requested')
    await server.prints(/>>> .*KeyUpdate/)
    assert.doesNotMatch(server.output(), /<<< .*KeyUpdate/)
    server.updateKeys('update_requested')
    await server.prints(/>>> .*KeyUpdate[^]*>>> .*KeyUpdate/)
    server.type('with new keys')
    await client.hears(/^with new keys\n$/m)
    // OpenSSL's client answers a request when it writes next.
    client.socket.write('of both sides\n')
    await server.prints(/<<< .*KeyUpdate/)
    await server.prints(/^of both sides$/m)
  })

  it('shows a leaf of any key, and takes a client with Ed25519', async () => {
    for (const credential of Object.values(pki.server)) {
      await using server = await running(openssl, { ...authenticated, credential })
      await using client = await meet(server, {}, pki.client.ed25519)
      assert.ok(client.socket.authorized)
      await client.ask(openssl.speaks)
      await server.prints(/^Peer certificate: CN = device-ed25519$/m)
    }
  })
})

describe('rustls, asked to', { skip: noOpenssl || rustls.missing() }, () => {
  it('updates its keys, and has the client update its own', async () => {
    await using server = await running(rustls, authenticated)
    await using client = await meet(server)
    client.socket.write(updateKeys)
    await client.hears(/^update keys$/m)
    // A KeyUpdate of five bytes, then twelve of data; each with its type and a tag (RFC 8446 §5.2).
    assert.deepEqual(client.recordLengths().slice(-2), [5 + 1 + 16, 12 + 1 + 16])
    client.socket.write('with new keys\n')
    await client.hears(/^with new keys$/m)
  })
})

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

function meet(
  server: ForeignServer,
  options: ConnectionOptions = {},
  { leaf, key }: Credential = pki.client.p256,
): Promise<NodeClient> {
  return NodeClient.meet(server, {
    ca: readFileSync(pki.root),
    cert: readFileSync(leaf),
    key: readFileSync(key),
    ...options,
  })
}
