/** Certificates as credentials: judged, then trusted for what the method does with their key. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cbor, fromHex, hex } from '@countersign/core/codec'
import {
  type Certificate,
  Judge,
  parseCertificate,
  type VerifiedPeer,
} from '@countersign/core/credential'
import {
  Initiator,
  Responder,
  type Suite,
  suites,
  type TrustedCredential,
  trustedCertificate,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { now } from '../judge/world.ts'
import { providers } from '../providers.ts'
import { certificatesOf, scriptOf } from './parties.ts'

const clock = { now: (): number => now }

/** The device's certificate of the vectors, under the issuing CA that its maker's anchor is. */
function judged(pki: 'p256' | 'ed25519'): VerifiedPeer {
  const { cred_i, ica } = certificatesOf(pki)
  const certificate = parseCertificate(fromHex(ica))
  const anchors = [{ role: 'maker', certificate, origin: 'foreign', scope: {} }] as const
  const judge = new Judge({ crypto: nodeCrypto, clock, anchors })
  return judge.judge(fromHex(cred_i), [], { role: 'maker', purpose: 'clientAuth' })
}

/** A server's certificate whose key is one of X25519. */
function judgedX25519(): VerifiedPeer {
  const { cred_r, ica } = certificatesOf('x25519-m3')
  const certificate = parseCertificate(fromHex(ica))
  const anchors = [{ role: 'server', certificate, origin: 'foreign', scope: {} }] as const
  const judge = new Judge({ crypto: nodeCrypto, clock, anchors })
  return judge.judge(fromHex(cred_r), [], { role: 'server', purpose: 'serverEdhocDh' })
}

function suiteOf(number: number): Suite {
  const suite = suites.get(number)
  assert.ok(suite)
  return suite
}

function trust(
  pki: Parameters<typeof judged>[0] | 'x25519',
  suite: number,
  by: TrustedCredential['kind'],
): unknown {
  const peer = pki === 'x25519' ? judgedX25519() : judged(pki)
  const [one, ...others] = providers.map(({ crypto }) => {
    try {
      return trustedCertificate(crypto, suiteOf(suite), by, peer)
    } catch (error) {
      return error
    }
  })
  // Handles differ, what is trusted does not.
  for (const other of others) assert.equal(String(other), String(one))
  if (one instanceof Error) throw one
  return one
}

const refused = (error: unknown): boolean =>
  error instanceof PeerError && error.code === 'ERR_EDHOC_CREDENTIAL'

test('a responder trusts the certificate that the judge verified, with methods 0 to 3', async () => {
  const peer = judged('p256')
  for (const method of [0, 1, 2, 3]) {
    const script = scriptOf(`m${method}-s2-x5t-c-14`)
    const { message1 } = new Initiator(script.initiator).send()
    const compose2 = new Responder(script.responder).receive(message1)
    const { next } = await compose2.send({ own: script.R.own, cR: script.cR })
    const judge = next.receive(fromHex(script.messages[2]))
    // x5t of the judge and of the message: the first eight bytes of SHA-256.
    assert.equal(hex(judge.reference.x5t?.value ?? new Uint8Array()), peer.fingerprint.slice(0, 16))
    const by = compose2.method.initiator
    const { session } = judge.accept(trustedCertificate(nodeCrypto, compose2.suite, by, peer))
    assert.equal(hex(session.peer.credential), hex(script.I.own.credential))
  }
})

test('a key of another algorithm than the suite has is refused', () => {
  trust('ed25519', 0, 'signature')
  trust('p256', 6, 'signature')
  for (const [pki, suite, by] of [
    ['ed25519', 2, 'signature'],
    ['p256', 0, 'signature'],
    ['p256', 24, 'signature'],
    ['p256', 24, 'static key'],
    // A key of Ed25519 is none of X25519.
    ['ed25519', 0, 'static key'],
    ['p256', 0, 'static key'],
    ['ed25519', 2, 'static key'],
    ['x25519', 2, 'static key'],
    ['x25519', 0, 'signature'],
  ] as const) {
    assert.throws(() => trust(pki, suite, by), refused, `${pki} ${suite} ${by}`)
  }
})

test('a certificate of X25519 is trusted for its one coordinate', () => {
  for (const suite of [0, 1, 4]) {
    const trusted = trust('x25519', suite, 'static key')
    const { leaf } = judgedX25519()
    assert.deepEqual(trusted, {
      kind: 'static key',
      credential: cbor.byteString(leaf.der),
      g: leaf.spki.der.slice(-32),
    })
  }
})

test('a key is used for what its certificate says', () => {
  const peer = judged('p256')
  for (const [usages, signature, staticKey] of [
    [['digitalSignature'], true, false],
    [['keyAgreement'], false, true],
    [['keyEncipherment'], false, false],
    [undefined, true, true],
  ] as const) {
    const keyUsage = usages === undefined ? undefined : new Set(usages)
    const leaf = { ...peer.leaf, extensions: { ...peer.leaf.extensions, keyUsage } } as Certificate
    const narrowed = { ...peer, leaf } as VerifiedPeer
    for (const [by, isFine] of [
      ['signature', signature],
      ['static key', staticKey],
    ] as const) {
      const used = (): unknown => trustedCertificate(nodeCrypto, suiteOf(2), by, narrowed)
      if (isFine) used()
      else assert.throws(used, refused)
    }
  }
})
