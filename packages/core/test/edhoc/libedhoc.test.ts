/**
 * The certificates and keys of libedhoc's own tests: read, checked against the CA's key and the
 * thumbprints that libedhoc has for them, and used in whole handshakes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { cbor, fromHex, hex } from '@countersign/core/codec'
import { hashAlgorithm, thumbprint } from '@countersign/core/cose'
import { type Certificate, parseCertificate } from '@countersign/core/credential'
import {
  Initiator,
  methods,
  type OwnCredential,
  offer,
  oscoreSecrets,
  parseMessage1,
  parseMessage2,
  Responder,
  type Session,
  suitesOf,
  type TrustedCredential,
  type UsableSuite,
} from '@countersign/core/edhoc'
import type { KeyAlgorithm } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { node, p256Key, pkcs8 } from '../providers.ts'
import { softOwn } from './foreignPki.ts'
import { ephemeralKey } from './parties.ts'

interface KeySet {
  readonly C_I: string
  readonly C_R: string
  readonly X?: string
  readonly Y?: string
  readonly G_X?: string
  readonly G_Y?: string
  readonly SK_I: string
  readonly SK_R: string
  readonly CRED_I: string
  readonly CRED_R: string
  readonly PK_CA: string
  readonly CRED_I_thumbprint?: string
  readonly CRED_R_thumbprint?: string
}

const file = new URL('../../../../vectors/edhoc-libedhoc-x509.json', import.meta.url)
const { sets } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly sets: Readonly<Record<string, KeySet>>
}

/** Of suite 24 there are keys too; its curve is none that the port of crypto agrees on. */
const used = [
  ['x5chain_sign_keys_suite_0', 0, 0],
  ['x5chain_sign_keys_suite_2', 0, 2],
  ['x5t_sign_keys_suite_2', 0, 2],
  ['x5chain_static_dh_keys_suite_2', 3, 2],
] as const

test('each set of keys is used, or of a suite that is not here', () => {
  const others = Object.keys(sets).filter((name) => !used.some(([one]) => one === name))
  assert.deepEqual(others, ['x5chain_sign_keys_suite_24'])
  assert.ok(!suitesOf(nodeCrypto).some(({ number }) => number === 24))
})

for (const [name, methodNumber, suiteNumber] of used)
  test(`${name}: method ${methodNumber}`, async () => {
    const set = sets[name]
    const method = methods.get(methodNumber)
    const suite = suitesOf(nodeCrypto).find(({ number }) => number === suiteNumber)
    assert.ok(set && method && suite)
    const [I, R] = [sideOf(set, 'I', suite, name), sideOf(set, 'R', suite, name)]
    const ephemeral = (d: string | undefined) => (_: UsableSuite, agreements: number) =>
      d === undefined
        ? nodeCrypto.generateEphemeral(suite.curve.group, agreements)
        : ephemeralKey(node, suite, d, agreements)
    const base = { crypto: nodeCrypto, method, offer: offer([suite]), cI: fromHex(set.C_I) }
    const initiator = new Initiator({ ...base, own: I.own, ephemeral: ephemeral(set.X) })
    const { message1, next: wait2 } = initiator.send()
    const responder = { crypto: nodeCrypto, methods: [method.number], suites: [suite] }
    const compose2 = new Responder({ ...responder, ephemeral: ephemeral(set.Y) }).receive(message1)
    const { message2, next: wait3 } = await compose2.send({ own: R.own, cR: fromHex(set.C_R) })
    const judgeR = await wait2.receive(message2)
    const compose3 = await judgeR.accept(R.trusted)
    const { message3, next } = await compose3.send()
    const authenticated = wait3.receive(message3).accept(I.trusted)
    const { session } = next.receive(authenticated.message4())
    assert.equal(secretOf(session), secretOf(authenticated.session))
    // G_X and G_Y as libedhoc has them for these private keys.
    if (set.G_X === undefined || set.G_Y === undefined) return
    assert.equal(hex(parseMessage1(message1).gX), set.G_X)
    assert.equal(hex(parseMessage2(message2, suite).gY), set.G_Y)
  })

function sideOf(
  set: KeySet,
  side: 'I' | 'R',
  suite: UsableSuite,
  name: string,
): { readonly own: OwnCredential; readonly trusted: TrustedCredential } {
  const certificate = parseCertificate(fromHex(set[`CRED_${side}`]))
  assert.ok(isSignedBy(set.PK_CA, certificate))
  const { algorithm, der, keyBytes } = certificate.spki
  assert.ok(algorithm)
  const credential = cbor.byteString(certificate.der)
  // Of Ed25519 the public half stands behind the seed.
  const d = set[`SK_${side}`].slice(0, 64)
  const privateKey =
    suite.signature === 'EdDSA' ? pkcs8(`302e020100300506032b657004220420${d}`) : p256Key(d)
  const known = set[`CRED_${side}_thumbprint`]
  if (known !== undefined) {
    const { value } = thumbprint(nodeCrypto, hashAlgorithm(-15, 'test'), certificate.der)
    assert.equal(hex(value), known)
  }
  const kind = name.includes('static_dh') ? 'static key' : 'signature'
  const naming = known === undefined ? 'x5chain' : 'x5t'
  const own = softOwn({ leaf: certificate.der, privateKey }, kind, naming, suite)
  if (kind === 'static key') return { own, trusted: { credential, kind, g: keyBytes.slice(1, 33) } }
  return { own, trusted: { credential, kind, key: nodeCrypto.importPublicKey(der, algorithm) } }
}

function isSignedBy(publicKey: string, { signature, tbs }: Certificate): boolean {
  const isPoint = publicKey.length === 130
  const algorithm: KeyAlgorithm = isPoint ? { kind: 'ec', curve: 'P-256' } : { kind: 'ed25519' }
  const head = isPoint
    ? '3059301306072a8648ce3d020106082a8648ce3d030107034200'
    : '302a300506032b6570032100'
  const key = nodeCrypto.importPublicKey(fromHex(head + publicKey), algorithm)
  const scheme = isPoint
    ? ({ kind: 'ecdsa', hash: 'sha256', encoding: 'der' } as const)
    : ({ kind: 'ed25519' } as const)
  return nodeCrypto.verify(key, scheme, tbs, signature)
}

function secretOf({ suite, prkOut }: Session): string {
  return hex(nodeCrypto.exportSecret(oscoreSecrets(suite, prkOut).masterSecret))
}
