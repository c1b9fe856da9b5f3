/** A static key in this process: it agrees as Node does, again and again, and on its own curve alone. */
import assert from 'node:assert/strict'
import { createECDH, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { nodeCrypto } from '../src/nodeCrypto.ts'
import { softwareStaticKey } from '../src/softwareStaticKey.ts'

/** RFC 5903 §8.1. */
const rfc5903 = {
  i: 'c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433',
  gix: 'dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180',
  giy: '5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
  grx: 'd12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63',
  gry: '56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab',
  secret: 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de',
}

test('the secret is that of the example in RFC 5903, as often as it is asked for', async () => {
  const { i, gix, giy, grx, gry, secret } = rfc5903
  const jwk = { kty: 'EC', crv: 'P-256', d: word(i), x: word(gix), y: word(giy) }
  const key = softwareStaticKey(createPrivateKey({ key: jwk, format: 'jwk' }))
  for (let time = 0; time < 3; time++) {
    const agreed = await key.agree(fromHex(`04${grx}${gry}`))
    assert.equal(hex(nodeCrypto.exportSecret(agreed)), secret)
  }
})

function word(text: string): string {
  return Buffer.from(text, 'hex').toString('base64url')
}

test('what is no uncompressed point of the curve is refused, and the key is as good as before', async () => {
  const key = softwareStaticKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  const peer = createECDH('prime256v1')
  const share = new Uint8Array(peer.generateKeys())
  const off = share.with(40, (share[40] ?? 0) ^ 1)
  const other = new Uint8Array(createECDH('secp384r1').generateKeys())
  const compressed = new Uint8Array(peer.getPublicKey(undefined, 'compressed'))
  for (const point of [off, other, compressed, share.subarray(1), new Uint8Array(65)])
    await assert.rejects(key.agree(point), { name: 'PeerError', code: 'ERR_KEY_SHARE' })
  assert.equal((await key.agree(share)).length, 32)
})

test('other keys make none, and none shows its key', () => {
  for (const key of [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    generateKeyPairSync('x25519').privateKey,
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
  ])
    assert.throws(() => softwareStaticKey(key), { code: 'ERR_STATIC_KEY' })
  const key = softwareStaticKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  assert.equal(JSON.stringify(key), '{}')
})
