/** Code points of TLS 1.3 as its RFCs give them, and the scheme that a signer's signatures have. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { HashName, KeyAlgorithm, SignatureScheme, Signer } from '@countersign/core/ports'
import { type ClientCredential, TlsClient } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { alertName, alertNumbers } from '../../src/tls/alerts.ts'
import {
  contentType,
  groupNumbers,
  handshakeType,
  schemeNumber,
  type SuiteName,
  suites,
} from '../../src/tls/registry.ts'
import { foreignSuites } from './foreignRecords.ts'
import { newSigner, root } from '../judge/world.ts'

const ecdsa = (hash: HashName, encoding: 'der' | 'p1363' = 'der'): SignatureScheme => ({
  kind: 'ecdsa',
  hash,
  encoding,
})
const pss = (hash: HashName, saltLength: number): SignatureScheme => ({
  kind: 'rsa-pss',
  hash,
  saltLength,
})
const ed25519: SignatureScheme = { kind: 'ed25519' }
const key = {
  p256: { kind: 'ec', curve: 'P-256' },
  p384: { kind: 'ec', curve: 'P-384' },
  p521: { kind: 'ec', curve: 'P-521' },
  ed25519: { kind: 'ed25519' },
  rsa: { kind: 'rsa', modulusBits: 2048 },
} as const satisfies Readonly<Record<string, KeyAlgorithm>>

test('a signer of TLS 1.3 has the number of RFC 8446 §4.2.3', () => {
  assert.equal(schemeNumber(ecdsa('sha256'), key.p256), 0x0403)
  assert.equal(schemeNumber(ecdsa('sha384'), key.p384), 0x0503)
  assert.equal(schemeNumber(ecdsa('sha512'), key.p521), 0x0603)
  assert.equal(schemeNumber(ed25519, key.ed25519), 0x0807)
  assert.equal(schemeNumber(pss('sha256', 32), key.rsa), 0x0804)
  assert.equal(schemeNumber(pss('sha384', 48), key.rsa), 0x0805)
  assert.equal(schemeNumber(pss('sha512', 64), key.rsa), 0x0806)
})

test('a curve with the hash of another has no number, nor has r || s', () => {
  assert.equal(schemeNumber(ecdsa('sha384'), key.p256), undefined)
  assert.equal(schemeNumber(ecdsa('sha256'), key.p384), undefined)
  assert.equal(schemeNumber(ecdsa('sha1'), key.p256), undefined)
  assert.equal(schemeNumber(ecdsa('sha256', 'p1363'), key.p256), undefined)
})

test('RSA signs with a salt as long as its hash, and never as PKCS#1 v1.5', () => {
  assert.equal(schemeNumber(pss('sha256', 20), key.rsa), undefined)
  assert.equal(schemeNumber(pss('sha256', 0), key.rsa), undefined)
  assert.equal(schemeNumber(pss('sha512', 32), key.rsa), undefined)
  assert.equal(schemeNumber({ kind: 'rsa-pkcs1', hash: 'sha256' }, key.rsa), undefined)
})

test('a scheme with the key of another kind has no number', () => {
  assert.equal(schemeNumber(ecdsa('sha256'), key.rsa), undefined)
  assert.equal(schemeNumber(ed25519, key.p256), undefined)
  assert.equal(schemeNumber(ecdsa('sha256'), key.ed25519), undefined)
  assert.equal(schemeNumber(pss('sha256', 32), key.p256), undefined)
})

test('suites are those of RFC 8446 §B.4, with the lengths of their algorithms', () => {
  assert.deepEqual(
    Object.values(suites).map(({ name, id }) => [name, id]),
    [
      ['TLS_AES_128_GCM_SHA256', 0x1301],
      ['TLS_AES_256_GCM_SHA384', 0x1302],
      ['TLS_CHACHA20_POLY1305_SHA256', 0x1303],
      ['TLS_AES_128_CCM_8_SHA256', 0x1305],
    ],
  )
  for (const [name, suite] of Object.entries(suites)) {
    const foreign = foreignSuites[name as SuiteName]
    assert.deepEqual([suite.hash, suite.keyLength], [foreign.hash, foreign.keyLength], name)
    assert.equal(suite.hashLength, createHash(suite.hash).digest().length)
  }
})

test('groups, types and alerts have their registered numbers', () => {
  assert.deepEqual(groupNumbers, { secp256r1: 0x0017, x25519: 0x001d, X25519MLKEM768: 0x11ec })
  const { changeCipherSpec, alert, handshake, applicationData } = contentType
  assert.deepEqual([changeCipherSpec, alert, handshake, applicationData], [20, 21, 22, 23])
  // RFC 8446 §B.3
  assert.deepEqual(
    [handshakeType.clientHello, handshakeType.serverHello, handshakeType.newSessionTicket],
    [1, 2, 4],
  )
  assert.deepEqual(
    [
      handshakeType.encryptedExtensions,
      handshakeType.certificate,
      handshakeType.certificateRequest,
      handshakeType.certificateVerify,
    ],
    [8, 11, 13, 15],
  )
  assert.deepEqual(
    [handshakeType.finished, handshakeType.keyUpdate, handshakeType.messageHash],
    [20, 24, 254],
  )
})

/** RFC 8446 §B.2, without what it reserves. */
const alerts = `close_notify(0), unexpected_message(10), bad_record_mac(20), record_overflow(22),
  handshake_failure(40), bad_certificate(42), unsupported_certificate(43), certificate_revoked(44),
  certificate_expired(45), certificate_unknown(46), illegal_parameter(47), unknown_ca(48),
  access_denied(49), decode_error(50), decrypt_error(51), protocol_version(70),
  insufficient_security(71), internal_error(80), inappropriate_fallback(86), user_canceled(90),
  missing_extension(109), unsupported_extension(110), unrecognized_name(112),
  bad_certificate_status_response(113), unknown_psk_identity(115), certificate_required(116),
  no_application_protocol(120)`

test('alerts have the names and numbers of RFC 8446 §B.2', () => {
  const listed = [...alerts.matchAll(/(\w+)\((\d+)\)/g)].map(([, name, number]) => [
    name,
    Number(number),
  ])
  assert.equal(listed.length, 27)
  assert.deepEqual(Object.entries(alertNumbers), listed)
  assert.equal(alertName(48), 'unknown_ca')
  assert.equal(alertName(200), 'alert 200')
})

const unused = (): never => assert.fail('nothing starts here')

function clientWith(credential: ClientCredential): TlsClient {
  const crypto = nodeCrypto
  return new TlsClient(
    { crypto, random: { bytes: unused }, clock: { now: unused }, trust: unused, credential },
    {
      send: unused,
      secured: unused,
      data: unused,
      resumable: unused,
      ended: unused,
      failed: unused,
    },
  )
}

test('a credential that TLS 1.3 cannot use is refused when the client is made', async () => {
  const { certificate, signer: good } = await root()
  const { der } = certificate
  clientWith({ chain: [der], signer: good })
  const refusedSigners: Signer[] = [
    { ...good, scheme: ecdsa('sha256', 'p1363') },
    { ...good, scheme: ecdsa('sha384') },
    { ...good, spki: newSigner('Ed25519').spki },
    // Sound, and of another key.
    newSigner('P-256'),
  ]
  for (const signer of refusedSigners) {
    assert.throws(() => clientWith({ chain: [der], signer }), { code: 'ERR_TLS_CREDENTIAL' })
  }
  const noChains = [[], Array.from({ length: 9 }, () => der), [new Uint8Array(100)]]
  for (const chain of noChains) {
    assert.throws(() => clientWith({ chain, signer: good }), { code: 'ERR_TLS_CREDENTIAL' })
  }
})
