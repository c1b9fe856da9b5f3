/** Sign1, Encrypt0 and Mac0 against the published examples of RFC 9052 and RFC 9053. */
import assert from 'node:assert/strict'
import { createPrivateKey, sign } from 'node:crypto'
import { test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { cbor, fromHex, hex } from '../../src/codec/index.ts'
import {
  encStructure,
  type HeaderEntry,
  headerLabel,
  macStructure,
  makeEncrypt0,
  makeMac0,
  makeSign1,
  noBytes,
  openEncrypt0,
  parseEncrypt0,
  parseMac0,
  parseSign1,
  sigStructure,
  verifyMac0,
  verifySign1,
} from '../../src/cose/index.ts'
import { AdapterError, CallerError } from '../../src/errors.ts'
import type { Signer } from '../../src/ports.ts'
import { examples, first, publicKey } from './examples.ts'

const crypto = nodeCrypto
const content = fromHex(examples.content)

for (const { source, key, externalAad, structure, message } of examples.sign1) {
  test(`${source} verifies`, () => {
    const parsed = parseSign1(fromHex(message))
    const aad = fromHex(externalAad ?? '')
    const { protectedMap } = parsed.headers
    const signed = sigStructure({ protectedMap, externalAad: aad, payload: content })
    assert.equal(hex(signed), structure)
    const context = { crypto, key: publicKey(key), externalAad: aad }
    assert.equal(hex(verifySign1(parsed, context)), examples.content)
    const other = { ...context, externalAad: fromHex('00') }
    assert.throws(() => verifySign1(parsed, other), { code: 'ERR_COSE_UNVERIFIED' })
  })
}

for (const { source, key, code, message } of examples.sign1Refused) {
  test(`${source} is refused`, () => {
    const context = { crypto, key: publicKey(key) }
    assert.throws(() => verifySign1(parseSign1(fromHex(message)), context), { code })
  })
}

for (const { source, key, algorithm, nonce, structure, message } of examples.encrypt0) {
  test(`${source} opens, and is made again byte for byte`, () => {
    const parsed = parseEncrypt0(fromHex(message))
    const { headers } = parsed
    const { protectedMap } = headers
    assert.equal(hex(encStructure({ protectedMap, externalAad: noBytes })), structure)
    const secret = { crypto, key: crypto.importSecret(fromHex(key)), algorithm }
    const context = headers.iv === undefined ? { ...secret, nonce: fromHex(nonce) } : secret
    assert.equal(hex(openEncrypt0(parsed, context)), examples.content)
    const options = { headers: { unprotected: [...headers.unprotected] }, tagged: true }
    const made = makeEncrypt0(secret, fromHex(nonce), content, options)
    assert.equal(hex(made.message), message)
  })
}

for (const { source, key, algorithm, structure, message } of examples.mac0) {
  test(`${source} verifies, and is made again byte for byte`, () => {
    const parsed = parseMac0(fromHex(message))
    const { protectedMap } = parsed.headers
    const authenticated = { protectedMap, externalAad: noBytes, payload: content }
    assert.equal(hex(macStructure(authenticated)), structure)
    const secret = { crypto, key: crypto.importSecret(fromHex(key)), algorithm }
    assert.equal(hex(verifyMac0(parsed, secret)), examples.content)
    assert.equal(hex(makeMac0(secret, content, { tagged: true })), message)
  })
}

for (const { source, key, algorithm, code, message } of examples.mac0Refused) {
  test(`${source} is refused`, () => {
    const secret = { crypto, key: crypto.importSecret(fromHex(key)), algorithm }
    assert.throws(() => verifyMac0(parseMac0(fromHex(message)), secret), { code })
  })
}

/** RFC 8032 §7.1, TEST 1: the key of eddsa-sig-01, whose signatures are the same each time. */
const edKey = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
})
const edSigner: Signer = {
  scheme: { kind: 'ed25519' },
  spki: noBytes,
  sign: async (message) => new Uint8Array(sign(null, message, edKey)),
}

/** Content type 0, under the signature. */
const contentType: HeaderEntry = [headerLabel.contentType, cbor.int(0)]

test('a signer makes eddsa-examples/eddsa-sig-01 byte for byte', async () => {
  const [example] = examples.sign1.filter(({ source }) => source.endsWith('eddsa-sig-01'))
  const kid = cbor.byteString(fromHex('3131'))
  const made = await makeSign1(edSigner, -8, content, {
    headers: { protected: [contentType], unprotected: [[headerLabel.kid, kid]] },
    tagged: true,
  })
  assert.equal(hex(made), example?.message)
})

test('a payload that travels elsewhere is signed as it is, and has to be there', async () => {
  const [example] = examples.sign1.filter(({ source }) => source.endsWith('eddsa-sig-01'))
  assert.ok(example)
  const options = { headers: { protected: [contentType] }, detached: true }
  const bytes = await makeSign1(edSigner, -8, content, options)
  // The signature covers neither kid nor tag: it is that of the example.
  assert.equal(hex(bytes), `8445a201270300a0f65840${example.message.slice(-128)}`)
  const detached = parseSign1(bytes)
  const context = { crypto, key: publicKey(example.key) }
  assert.equal(hex(verifySign1(detached, { ...context, payload: content })), examples.content)
  assert.throws(() => verifySign1(detached, context), { code: 'ERR_COSE_MESSAGE' })
  const whole = parseSign1(fromHex(example.message))
  const both = { ...context, payload: content }
  assert.throws(() => verifySign1(whole, both), { code: 'ERR_COSE_MESSAGE' })
})

test('an algorithm is for its curve alone, and has to be the one that the context names', () => {
  const es256 = parseSign1(fromHex(`8443a10126a041005840${'00'.repeat(64)}`))
  const es384 = parseSign1(fromHex(`8444a1013822a041005860${'00'.repeat(96)}`))
  const key = publicKey(first(examples.sign1).key)
  assert.throws(() => verifySign1(es384, { crypto, key }), { code: 'ERR_COSE_ALGORITHM' })
  const named = { crypto, key, algorithm: -35 }
  assert.throws(() => verifySign1(es256, named), { code: 'ERR_COSE_ALGORITHM' })
  assert.throws(() => verifySign1(es256, { crypto, key }), { code: 'ERR_COSE_UNVERIFIED' })
})

test('a key of one AEAD opens nothing that names another', () => {
  const { key, message } = first(examples.encrypt0)
  const secret = { crypto, key: crypto.importSecret(fromHex(key)), algorithm: 30 }
  const open = (): unknown => openEncrypt0(parseEncrypt0(fromHex(message)), secret)
  assert.throws(open, { code: 'ERR_COSE_ALGORITHM' })
})

test('an IV is there once, and as long as its algorithm takes', () => {
  const secret = { crypto, key: crypto.importSecret(new Uint8Array(16)), algorithm: 10 }
  const nonce = new Uint8Array(13)
  const refused = (text: string, own?: Uint8Array): void => {
    const context = own === undefined ? secret : { ...secret, nonce: own }
    const open = (): unknown => openEncrypt0(parseEncrypt0(fromHex(text)), context)
    assert.throws(open, { code: 'ERR_COSE_HEADER' }, text)
  }
  refused('8343a1010aa04800000000000000ff')
  refused('8343a1010aa1054c0000000000000000000000004800000000000000ff')
  refused('8343a1010aa1054d000000000000000000000000004800000000000000ff', nonce)
  refused('8343a1010aa106410148000000000000000f')
})

test('a signer of another scheme, or of signatures with another length, makes no message', async () => {
  await assert.rejects(makeSign1(edSigner, -7, content), CallerError)
  const broken: Signer = { ...edSigner, sign: async () => new Uint8Array(63) }
  await assert.rejects(makeSign1(broken, -8, content), AdapterError)
  const der: Signer = { ...edSigner, scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'der' } }
  await assert.rejects(makeSign1(der, -7, content), CallerError)
  const scheme = { kind: 'ecdsa', hash: 'sha384', encoding: 'p1363' } as const
  await assert.rejects(makeSign1({ ...edSigner, scheme }, -7, content), CallerError)
})

test('a signature of another length is none, whatever a provider says of it', () => {
  const { key, message } = first(examples.sign1)
  const longer = fromHex(`${message.replace('5840', '5841')}00`)
  const context = { crypto: { verify: () => true }, key: publicKey(key) }
  assert.equal(hex(verifySign1(parseSign1(fromHex(message)), context)), examples.content)
  const judge = (): unknown => verifySign1(parseSign1(longer), context)
  assert.throws(judge, { code: 'ERR_COSE_UNVERIFIED' })
})
