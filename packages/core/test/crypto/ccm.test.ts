/** CCM of the portable provider: RFC 3610 §8, and what only a long input shows, against OpenSSL. */
import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { test } from 'node:test'
import { ccmOpen, ccmPlaintextMax, ccmSeal } from '../../src/crypto/noble/ccm.ts'

/** RFC 3610 §8, packet vectors 1 to 3: M = 8, L = 2, the first eight bytes are in the clear. */
const key = bytes('c0c1c2c3c4c5c6c7c8c9cacbcccdcecf')
const vectors = [
  {
    nonce: '00000003020100a0a1a2a3a4a5',
    packet: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e',
    sealed: '588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0',
  },
  {
    nonce: '00000004030201a0a1a2a3a4a5',
    packet: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    sealed: '72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916',
  },
  {
    nonce: '00000005040302a0a1a2a3a4a5',
    packet: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20',
    sealed: '51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5',
  },
] as const

for (const [index, { nonce, packet, sealed }] of vectors.entries()) {
  test(`packet vector ${index + 1} of RFC 3610 is sealed and opened`, () => {
    const [aad, plaintext] = [bytes(packet).subarray(0, 8), bytes(packet).subarray(8)]
    assert.equal(hex(ccmSeal(key, bytes(nonce), aad, plaintext, 8)), sealed)
    const opened = ccmOpen(key, bytes(nonce), aad, bytes(sealed), 8)
    assert.ok(opened !== undefined)
    assert.equal(hex(opened), packet.slice(16))
  })
}

test('additional data of every form of its length is sealed as OpenSSL does', () => {
  const nonce = new Uint8Array(13).fill(7)
  const plaintext = new Uint8Array(40).fill(9)
  // RFC 3610 §2.2: two bytes up to 0xfeff, then six.
  for (const length of [0, 1, 13, 14, 15, 0xfeff, 0xff00, 0xffff, 0x1_0000, 0x1_2345]) {
    const aad = new Uint8Array(length).fill(3)
    const cipher = createCipheriv('aes-128-ccm', key, nonce, { authTagLength: 16 })
    cipher.setAAD(aad, { plaintextLength: plaintext.length })
    const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    const sealed = ccmSeal(key, nonce, aad, plaintext, 16)
    assert.equal(hex(sealed), hex(expected), String(length))
    assert.deepEqual(ccmOpen(key, nonce, aad, sealed, 16), plaintext)
  }
})

test('what is longer than its counter can count is not opened', () => {
  assert.equal(ccmPlaintextMax(13), 0xffff)
  assert.equal(ccmPlaintextMax(12), 0xff_ffff)
  const sealed = new Uint8Array(0x1_0000 + 8)
  assert.equal(ccmOpen(key, new Uint8Array(13), new Uint8Array(0), sealed, 8), undefined)
})

function bytes(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, 'hex'))
}

function hex(data: Uint8Array): string {
  return Buffer.from(data).toString('hex')
}
