/**
 * Servers that show a certificate which is not the right one. Each learns the alert, shows nothing
 * more, and has seen nothing of the client. (What a stapled response says of a right one is the
 * business of the tests of stapling.)
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { suite, test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { type Anchor, Judge, purposes } from '@countersign/core/credential'
import type { Signer } from '@countersign/core/ports'
import { type ServerTrust, trustAnchors, trustPinned } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { chainLengthMax } from '../../../src/tls/limits.ts'
import { day, type Entity, now, root, type Shape } from '../../judge/world.ts'
import type { PuppetIdentity } from '../puppet.ts'
import { fixedKey } from '../puppetKeys.ts'
import {
  anchor,
  clientCa,
  ed25519Scheme,
  host,
  identity,
  identityOf,
  issuingCa,
  rootCa,
  serverShape,
} from '../puppetWorld.ts'
import { assertOpen, assertRefused, clock, type Refusal, type Talk, talk } from './conversation.ts'
import { knownAnchor, pin, pinnedAnchor } from './settings.ts'

function shows(shown: PuppetIdentity, trust: ServerTrust = knownAnchor): Promise<Talk> {
  return talk({ identity: shown }, { trust })
}

/** A chain as it is given, with the puppet's key. */
function chainOf(...chain: readonly Uint8Array[]): PuppetIdentity {
  return { ...identity, chain }
}

/** A judge that remembers nothing. */
function trusting(...anchors: readonly Anchor[]): ServerTrust {
  return trustAnchors(new Judge({ crypto: nodeCrypto, clock, anchors }), host)
}

const leaf = identity.chain[0] ?? Buffer.alloc(0)
const ca = issuingCa.certificate.der
const altName = (value: string): Shape => ({ altNames: [{ kind: 'dns', value }] })

const shapes: readonly (readonly [what: string, shape: Shape, alert: string, code: string])[] = [
  ['another name', altName('other.example'), 'certificate_unknown', 'ERR_CHAIN_NAME'],
  ['a name below', altName(`a.${host}`), 'certificate_unknown', 'ERR_CHAIN_NAME'],
  ['no name but the common one', { altNames: [] }, 'certificate_unknown', 'ERR_CHAIN_NAME'],
  ['a term that is over', { notAfter: now - day }, 'certificate_expired', 'ERR_CERT_EXPIRED'],
  ['a term to come', { notBefore: now + day }, 'certificate_expired', 'ERR_CERT_NOT_YET_VALID'],
  [
    'the purpose of a client',
    { extKeyUsage: [purposes.clientAuth] },
    'unsupported_certificate',
    'ERR_CHAIN_PURPOSE',
  ],
  ['no purpose', { extKeyUsage: [] }, 'unsupported_certificate', 'ERR_CHAIN_PURPOSE'],
  [
    'a critical extension that nobody knows',
    // 1.2.3.4, critical, an empty value.
    { extra: [Buffer.from('300a06032a03040101ff0400', 'hex')] },
    'unsupported_certificate',
    'ERR_CHAIN_CRITICAL_EXTENSION',
  ],
  ['the rights of a CA', { ca: true }, 'unsupported_certificate', 'ERR_CHAIN_PURPOSE'],
  [
    'a key that does not sign',
    { keyUsage: ['keyAgreement'] },
    'unsupported_certificate',
    'ERR_CHAIN_KEY_USAGE',
  ],
]

suite('a leaf with', () => {
  for (const [what, shape, alert, code] of shapes) {
    test(`${what} is refused, below an anchor and below a pin`, async () => {
      const shown = await identityOf(shape)
      assertRefused(await shows(shown), { alert, code })
      assertRefused(await shows(shown, pinnedAnchor), { alert, code })
    })
  }

  test('a key of an algorithm that is not known, or that cannot sign, is refused', async () => {
    // RFC 8410 §4: id-X448, and id-X25519 where a signing key should be.
    const x448 = Buffer.from('3042300506032b656f033900', 'hex')
    const x25519 = Buffer.from('302a300506032b656e032100', 'hex')
    const refusal = { alert: 'bad_certificate', code: 'ERR_CHAIN_ALGORITHM' }
    for (const [head, length] of [
      [x448, 56],
      [x25519, 32],
    ] as const) {
      const spki = Buffer.concat([head, Buffer.alloc(length, 9)])
      assertRefused(await shows(await identityOf({ spki })), refusal)
    }
  })

  test('a signature over SHA-1 or MD5 is a bad_certificate (RFC 8446 §4.4.2.4)', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const signer: Signer = {
      scheme: { kind: 'rsa-pkcs1', hash: 'sha1' },
      spki: publicKey.export({ type: 'spki', format: 'der' }),
      sign: async (message) => sign('sha1', message, privateKey),
    }
    const issuer = await rootCa.issue({ name: 'Server CA', ca: true, pathLen: 0, signer })
    const trust = trusting({ ...anchor, certificate: issuer.certificate })
    const overSha1 = await identityOf({}, fixedKey('ed25519', 3), issuer)
    // md5WithRSAEncryption stands next to sha1WithRSAEncryption (RFC 3279 §2.2.1).
    const overMd5 = overSha1.chain.map((der) =>
      Buffer.from(hex(der).replaceAll('2a864886f70d010105', '2a864886f70d010104'), 'hex'),
    )
    const refusal = { alert: 'bad_certificate', code: 'ERR_CHAIN_ALGORITHM' }
    assertRefused(await shows(overSha1, trust), refusal)
    assertRefused(await shows({ ...overSha1, chain: overMd5 }, trust), refusal)
  })

  test('a key that is no point of its curve is refused', async () => {
    const prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
    const spki = Buffer.concat([prefix, Buffer.alloc(64, 1)])
    const shown = { ...(await identityOf({ spki })), scheme: 0x0403 }
    assertRefused(await shows(shown), { alert: 'bad_certificate', code: 'ERR_KEY_INVALID' })
  })
})

/** An issuing CA with the name of ours and another key. */
async function impostor(): Promise<Entity> {
  const signer = softwareSigner(fixedKey('ed25519', 66))
  return rootCa.issue({ name: 'Server CA', ca: true, pathLen: 0, signer })
}

const unknownCa: Refusal = { alert: 'unknown_ca', code: 'ERR_CHAIN_UNKNOWN_ISSUER' }
const mismatch: Refusal = { alert: 'unknown_ca', code: 'ERR_ANCHOR_MISMATCH' }
const badSignature: Refusal = { alert: 'bad_certificate', code: 'ERR_CHAIN_SIGNATURE' }

suite('a chain', () => {
  test('of another authority is refused', async () => {
    const other = await root({ name: 'Other Root' })
    const theirs = await other.issue({ name: 'Other CA', ca: true, pathLen: 0 })
    const shown = await identityOf({}, fixedKey('ed25519', 3), theirs)
    assertRefused(await shows(shown), unknownCa)
    assertRefused(await shows(shown, pinnedAnchor), mismatch)
  })

  test('of another role is refused as such where the role is known', async () => {
    const shown = await identityOf({}, fixedKey('ed25519', 3), clientCa)
    assertRefused(await shows(shown), unknownCa)
    const owners = { ...anchor, role: 'owner', certificate: clientCa.certificate } as const
    const refusal = { alert: 'unknown_ca', code: 'ERR_CHAIN_ROLE' }
    assertRefused(await shows(shown, trusting(anchor, owners)), refusal)
  })

  test('below the root itself is refused: the root stands for no role', async () => {
    assertRefused(await shows(await identityOf({}, fixedKey('ed25519', 3), rootCa)), unknownCa)
  })

  test('whose CA has the right name and another key is refused', async () => {
    const shown = await identityOf({}, fixedKey('ed25519', 3), await impostor())
    assertRefused(await shows(shown), badSignature)
    assertRefused(await shows(shown, pinnedAnchor), mismatch)
    // With the right CA beside it, which was pinned.
    const both = chainOf(...shown.chain, ca)
    assertRefused(await shows(both, pinnedAnchor), badSignature)
  })

  test('with a link missing is refused', async () => {
    const wide = await rootCa.issue({ name: 'Wide CA', ca: true, pathLen: 1 })
    const between = await wide.issue({ name: 'Between', ca: true, pathLen: 0 })
    const shown = await identityOf({}, fixedKey('ed25519', 3), between)
    const trust = (): ServerTrust => trusting({ ...anchor, certificate: wide.certificate })
    assertOpen(await shows(shown, trust()))
    assertRefused(await shows(chainOf(...shown.chain.slice(0, 1)), trust()), unknownCa)
  })

  test('with a strange certificate around the pinned key is as good as that key, and no better', async () => {
    const stranger = await root({ name: 'Other Root' })
    const kept = trustPinned({ crypto: nodeCrypto, clock, host, anchor: pin })
    const wrapper = await stranger.issue({
      name: 'Server CA',
      ca: true,
      pathLen: 0,
      spki: issuingCa.certificate.spki.der,
    })
    // What was pinned is a key: who has it signed this leaf, whatever stands around it.
    assertOpen(await shows(chainOf(leaf, wrapper.certificate.der), kept))
    // And who has not, signs nothing that counts.
    const theirs = await identityOf({}, fixedKey('ed25519', 3), await impostor())
    const [forged = Buffer.alloc(0)] = theirs.chain
    const shown = { ...theirs, chain: [forged, wrapper.certificate.der] }
    assertRefused(await shows(shown, kept), badSignature)
    // Nor does it stay: the right chain is judged by its own certificate again.
    assertOpen(await shows(identity, kept))
  })

  test('without the pinned CA is refused', async () => {
    assertRefused(await shows(chainOf(leaf), pinnedAnchor), mismatch)
    assertRefused(await shows(chainOf(leaf, rootCa.certificate.der), pinnedAnchor), mismatch)
    const other = trustPinned({ crypto: nodeCrypto, clock, host, anchor: pin.replace(/^./, '0') })
    assert.notEqual(pin[0], '0')
    assertRefused(await shows(identity, other), mismatch)
  })

  test('of one certificate that signed itself is refused', async () => {
    const signer = softwareSigner(fixedKey('ed25519', 3))
    const alone = await root({ ...serverShape(), ca: false, signer })
    const shown = chainOf(alone.certificate.der)
    assertRefused(await shows(shown), unknownCa)
    assertRefused(await shows(shown, pinnedAnchor), mismatch)
  })

  test('that begins with the CA is refused, though the CA shows its key', async () => {
    const shown = { chain: [ca], key: fixedKey('ed25519', 2), scheme: ed25519Scheme }
    const isCa = { alert: 'unsupported_certificate', code: 'ERR_CHAIN_PURPOSE' }
    const twice = { ...shown, chain: [ca, ca] }
    for (const trust of [knownAnchor, pinnedAnchor]) assertRefused(await shows(twice, trust), isCa)
  })

  test('whose pinned key is in no CA is refused', async () => {
    const signer = softwareSigner(fixedKey('ed25519', 2))
    const refusal = { alert: 'bad_certificate', code: 'ERR_CHAIN_NOT_A_CA' }
    const plain = await rootCa.issue({ name: 'Server CA', signer })
    assertRefused(await shows(chainOf(leaf, plain.certificate.der), pinnedAnchor), refusal)
    const selfMade = await root({ name: 'Server CA', signer })
    assertRefused(await shows(chainOf(leaf, selfMade.certificate.der), pinnedAnchor), refusal)
  })

  test('of no certificate is refused', async () => {
    const refusal = { alert: 'decode_error', code: 'ERR_TLS_NO_CERTIFICATE' }
    for (const trust of [knownAnchor, pinnedAnchor]) {
      assertRefused(await shows(chainOf(), trust), refusal)
    }
  })

  test('with an empty certificate is refused', async () => {
    const refusal = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }
    assertRefused(await shows(chainOf(Buffer.alloc(0))), refusal)
    assertRefused(await shows(chainOf(leaf, Buffer.alloc(0))), refusal)
  })

  test('of what is no certificate is refused', async () => {
    const refusal = { alert: 'bad_certificate', code: 'ERR_CERT_MALFORMED' }
    const junk = Buffer.from('no certificate')
    for (const trust of [knownAnchor, pinnedAnchor]) {
      assertRefused(await shows(chainOf(junk, ca), trust), refusal)
      assertRefused(await shows(chainOf(leaf, junk), trust), refusal)
    }
  })

  test('is no longer than the limit', async () => {
    const most = [leaf, ...Array.from({ length: chainLengthMax - 1 }, () => ca)]
    assertOpen(await shows(chainOf(...most)))
    const refusal = { alert: 'internal_error', code: 'ERR_TLS_LIMIT' }
    assertRefused(await shows(chainOf(...most, ca)), refusal)
  })
})
