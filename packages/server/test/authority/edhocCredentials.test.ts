/**
 * What the server shows in EDHOC: made once, and each certificate good for its own method alone.
 */
import assert from 'node:assert/strict'
import { createECDH, createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { cbor, hex } from '@countersign/core/codec'
import { type ChainErrorCode, parseCertificate } from '@countersign/core/credential'
import {
  type Authentication,
  Initiator,
  methods,
  type OwnCredential,
  Responder,
  suitesOf,
  type TrustedCredential,
  trustedCertificate,
} from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareCoseSigner, softwareSigner } from '@countersign/element/softwareSigner'
import { edhocKinds, edhocLifetimeMs } from '../../src/authority/edhocCredentials.ts'
import type { EdhocCredentials } from '../../src/ports.ts'
import { judgeOf, keyFiles, purposeOf, withHouse } from './edhocHouse.ts'
import { ask, invite, refusal } from './estClient.ts'
import { type House, makeHouse, requestFor } from './house.ts'

describe("the server's EDHOC certificates", () => {
  let house: House
  let edhoc: EdhocCredentials

  before(async () => {
    house = await makeHouse()
    edhoc = await house.authority.edhocCredentials()
  })

  after(async () => {
    await house.close()
  })

  it('are made when a door first asks, once for all who ask at once', async () => {
    await withHouse(async (other) => {
      assert.deepEqual(await keyFiles(other), [])
      const asked = await Promise.all([1, 2, 3].map(() => other.authority.edhocCredentials()))
      assert.equal(new Set(asked.map((one) => one.current('signature').fingerprint)).size, 1)
      assert.deepEqual(await keyFiles(other), ['server-edhoc-dh-2.key', 'server-edhoc-sign-1.key'])
    })
  })

  it('are issued by the server CA for a year, from the beginning of the CA', () => {
    const ca = house.authority.cas().find((row) => row.name === 'server')
    assert.ok(ca)
    for (const kind of edhocKinds) {
      const shown = edhoc.current(kind)
      assert.deepEqual(shown.issuer, ca.der)
      assert.equal(shown.fingerprint, createHash('sha256').update(shown.der).digest('hex'))
      const leaf = parseCertificate(shown.der)
      assert.equal(leaf.notBefore, parseCertificate(ca.der).notBefore)
      assert.ok(Math.abs(leaf.notAfter - house.clock.now() - edhocLifetimeMs) < 1001)
      assert.equal(leaf.notAfter, shown.notAfter)
    }
  })

  it('sign as COSE does with the one', async () => {
    const { signer, agree, der } = edhoc.current('signature')
    assert.ok(signer)
    assert.equal(agree, undefined)
    const message = Buffer.from('the MAC of a handshake')
    const signature = await signer.sign(message)
    assert.equal(signature.length, 64)
    const key = createPublicKey({
      key: Buffer.from(parseCertificate(der).spki.der),
      format: 'der',
      type: 'spki',
    })
    assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
  })

  it('agree with the other, and refuse what is no point of the curve', async () => {
    const { signer, agree, der } = edhoc.current('static key')
    assert.ok(agree)
    assert.equal(signer, undefined)
    const peer = createECDH('prime256v1')
    const share = new Uint8Array(peer.generateKeys())
    const secret = await agree(share)
    const own = parseCertificate(der).spki.keyBytes
    assert.deepEqual(
      Buffer.from(nodeCrypto.exportSecret(secret)),
      peer.computeSecret(Buffer.from(own)),
    )
    const refused: readonly Uint8Array[] = [
      share.with(64, (share[64] ?? 0) ^ 1),
      share.subarray(0, 64),
      new Uint8Array(65),
      new Uint8Array(peer.getPublicKey(undefined, 'compressed')),
      new Uint8Array(peer.getPublicKey(undefined, 'hybrid')),
    ]
    for (const point of refused)
      await assert.rejects(agree(point), { name: 'PeerError', code: 'ERR_KEY_SHARE' })
    // It is as good as before.
    assert.equal((await agree(share)).length, 32)
  })

  it('open a handshake, each with its method, to a device that judges them', async () => {
    const judge = await judgeOf(house)
    for (const [kind, number] of [
      ['signature', 0],
      ['static key', 1],
    ] as const) {
      const method = methods.get(number)
      const suite = suitesOf(nodeCrypto).find((one) => one.number === 2)
      assert.ok(method && suite)
      const device = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      const initiator = new Initiator({
        crypto: nodeCrypto,
        method,
        offer: { suitesI: [2], suite },
        cI: Uint8Array.of(0x0e),
        own: {
          kind: 'signature',
          reference: { kid: Uint8Array.of(7) },
          credential: cbor.byteString(Uint8Array.of(1, 2, 3)),
          signer: softwareCoseSigner(device),
        },
      })
      const { message1, next } = initiator.send()
      const responder = new Responder({ crypto: nodeCrypto, methods: [number], suites: [suite] })
      const shown = edhoc.current(kind)
      const named = { reference: { kid: shown.kid }, credential: cbor.byteString(shown.der) }
      const { signer, agree } = shown
      const own: OwnCredential | undefined =
        signer !== undefined
          ? { kind: 'signature', ...named, signer }
          : agree && { kind: 'static key', ...named, key: { agree } }
      assert.ok(own)
      const composing = responder.receive(message1)
      const { message2 } = await composing.send({ own, cR: Uint8Array.of(0x18) })
      const trusted = (by: Authentication): TrustedCredential =>
        trustedCertificate(nodeCrypto, suite, by, judge(shown.der, purposeOf[by]))
      const judging = await next.receive(message2)
      assert.deepEqual(judging.reference.kid, shown.kid)
      // Throws unless the server has shown its key.
      const { message3 } = await (await judging.accept(trusted(kind))).send()
      assert.ok(message3.length > 64)
      const other = kind === 'signature' ? 'static key' : 'signature'
      assert.throws(() => trusted(other), { code: 'ERR_CHAIN_PURPOSE' })
    }
  })

  it('say nothing of their keys when they are printed', () => {
    const text = JSON.stringify(edhocKinds.map((kind) => edhoc.current(kind)))
    assert.doesNotMatch(text, /PRIVATE|"d"|KeyObject/)
  })

  it('are each good for their own method, and neither for TLS, to the judge', async () => {
    const judge = await judgeOf(house)
    const tls = parseCertificate(leafOf((await house.authority.serverCredential()).chainPem)).der
    const shown = {
      serverEdhocSign: edhoc.current('signature').der,
      serverEdhocDh: edhoc.current('static key').der,
      serverAuth: tls,
    } as const
    for (const [own, der] of Object.entries(shown)) {
      for (const purpose of [
        'serverEdhocSign',
        'serverEdhocDh',
        'serverAuth',
        'clientAuth',
      ] as const) {
        if (purpose === own) {
          assert.equal(judge(der, purpose).purpose, purpose)
          continue
        }
        const code: ChainErrorCode = 'ERR_CHAIN_PURPOSE'
        assert.throws(() => judge(der, purpose), { code }, `${own} taken for ${purpose}`)
      }
    }
  })

  it('have kids of one byte that travels as an integer, and no two the same', () => {
    const kids = edhocKinds.map((kind) => edhoc.current(kind).kid)
    for (const kid of kids) {
      assert.equal(kid.length, 1)
      // RFC 9528 §3.3.2: the encodings of 0..23 and -1..-24.
      assert.match(hex(kid), /^(0[0-9a-f]|1[0-7]|2[0-9a-f]|3[0-7])$/)
    }
    assert.equal(new Set(kids.map(hex)).size, 2)
  })

  it('are the same after a restart', async () => {
    await withHouse(async (first) => {
      const made = await first.authority.edhocCredentials()
      const again = await first.reopen()
      const same = await again.authority.edhocCredentials()
      for (const kind of edhocKinds) {
        assert.equal(same.current(kind).fingerprint, made.current(kind).fingerprint)
        assert.deepEqual(same.current(kind).kid, made.current(kind).kid)
      }
      return again
    })
  })

  it('have keys that are of nobody else: no request gets a certificate for one', async () => {
    const key = await house.vault.openKey('server-edhoc-dh-2.key')
    const csr = await requestFor('STOLEN', softwareSigner(key))
    const answer = await ask(house, 'simpleenroll', { token: await invite(house), csr })
    assert.match(refusal(answer), /ERR_KEY_USED/)
  })
})

function leafOf(chainPem: string): Uint8Array {
  const [leaf] = chainPem.split('-----END CERTIFICATE-----')
  return Buffer.from((leaf ?? '').replaceAll(/-----.*?-----|\s/g, ''), 'base64')
}
