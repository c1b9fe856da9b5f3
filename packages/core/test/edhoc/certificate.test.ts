/** Certificates as credentials: judged, then trusted for what the method does with their key. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
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
import { certificates, scriptOf } from './parties.ts'

const clock = { now: (): number => now }

/** The device's certificate of the vectors, under the issuing CA that its maker's anchor is. */
function judged(pki: 'p256' | 'ed25519'): VerifiedPeer {
  const { cred_i, ica } = certificates[pki]
  const certificate = parseCertificate(fromHex(ica))
  const anchors = [{ role: 'maker', certificate, origin: 'foreign', scope: {} }] as const
  const judge = new Judge({ crypto: nodeCrypto, clock, anchors })
  return judge.judge(fromHex(cred_i), [], { role: 'maker', purpose: 'clientAuth' })
}

function suiteOf(number: number): Suite {
  const suite = suites.get(number)
  assert.ok(suite)
  return suite
}

function trust(pki: 'p256' | 'ed25519', suite: number, by: TrustedCredential['kind']): unknown {
  return trustedCertificate(nodeCrypto, suiteOf(suite), by, judged(pki))
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
  ] as const) {
    assert.throws(() => trust(pki, suite, by), refused, `${pki} ${suite} ${by}`)
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
