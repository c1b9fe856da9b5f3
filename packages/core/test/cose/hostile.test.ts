/** Messages with a bit changed, cut, or made longer: nothing of them is believed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { fromHex, hex } from '../../src/codec/index.ts'
import {
  openEncrypt0,
  parseEncrypt0,
  parseMac0,
  parseSign1,
  verifyMac0,
  verifySign1,
} from '../../src/cose/index.ts'
import { PeerError } from '../../src/errors.ts'
import { examples, first, flips, publicKey } from './examples.ts'

const crypto = nodeCrypto

interface Subject {
  readonly name: string
  readonly message: Uint8Array
  readonly judge: (bytes: Uint8Array) => Uint8Array
  /** Bits of the unprotected map that may change: the value of a kid, which nothing protects. */
  readonly unprotected: readonly string[]
}

const [sign1, encrypt0, mac0] = [
  first(examples.sign1),
  first(examples.encrypt0),
  first(examples.mac0),
]
const key = publicKey(sign1.key)
const aeadKey = { crypto, key: crypto.importSecret(fromHex(encrypt0.key)), algorithm: 10 }
const macKey = { crypto, key: crypto.importSecret(fromHex(mac0.key)), algorithm: 5 }

const subjects: readonly Subject[] = [
  {
    name: 'COSE_Sign1',
    message: fromHex(sign1.message),
    judge: (bytes) => verifySign1(parseSign1(bytes), { crypto, key }),
    unprotected: ['a104423131'],
  },
  {
    name: 'COSE_Encrypt0',
    message: fromHex(encrypt0.message),
    judge: (bytes) => openEncrypt0(parseEncrypt0(bytes), aeadKey),
    unprotected: [],
  },
  {
    name: 'COSE_Mac0',
    message: fromHex(mac0.message),
    judge: (bytes) => verifyMac0(parseMac0(bytes), macKey),
    unprotected: [],
  },
]

for (const { name, message, judge, unprotected } of subjects) {
  test(`no bit of a ${name} can be changed, but of what is not protected`, () => {
    const [map = ''] = unprotected
    const at = hex(message).indexOf(map) / 2
    let taken = 0
    let changed = 0
    for (const flipped of flips(message)) {
      const bit = changed++
      try {
        assert.equal(hex(judge(flipped)), examples.content)
        taken++
        assert.ok(bit >= at * 8 && bit < (at + map.length / 2) * 8, `bit ${bit} was taken`)
      } catch (error) {
        assert.ok(error instanceof PeerError, `bit ${bit}: ${String(error)}`)
      }
    }
    assert.equal(changed, message.length * 8)
    assert.equal(taken > 0, unprotected.length > 0)
  })

  test(`a ${name} that was cut or made longer is refused`, () => {
    for (let length = 0; length < message.length; length++) {
      assert.throws(() => judge(message.subarray(0, length)), PeerError, `${length} bytes`)
      // The first byte is the tag, without which it is the same message.
      if (length === message.length - 1) continue
      assert.throws(() => judge(message.subarray(message.length - length)), PeerError)
    }
    assert.equal(hex(judge(message.subarray(1))), examples.content)
    assert.throws(() => judge(Uint8Array.of(...message, 0)), { code: 'ERR_CBOR_TRAILING' })
  })
}

test('a shorter tag or signature is none, and an empty one neither', () => {
  const tagCut = fromHex(mac0.message.replace('5820a1', '581fa1').slice(0, -2))
  assert.throws(() => verifyMac0(parseMac0(tagCut), macKey), { code: 'ERR_COSE_UNVERIFIED' })
  const noTag = fromHex(`${mac0.message.slice(0, mac0.message.indexOf('5820a1'))}40`)
  assert.throws(() => verifyMac0(parseMac0(noTag), macKey), { code: 'ERR_COSE_UNVERIFIED' })
  const signatureAt = sign1.message.indexOf('58408eb3')
  const none = fromHex(`${sign1.message.slice(0, signatureAt)}40`)
  const judged = (): unknown => verifySign1(parseSign1(none), { crypto, key })
  assert.throws(judged, { code: 'ERR_COSE_UNVERIFIED' })
})
