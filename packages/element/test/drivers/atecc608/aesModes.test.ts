/**
 * Modes over a block function. Vectors: NIST SP 800-38A F.2.1 and F.5.1 (AES-128), RFC 4493 §4,
 * RFC 3610 §8 (packets 1 to 3), NIST SP 800-38C C.1 to C.3, and of the GCM specification the cases
 * 1 to 6 (all of AES-128).
 */
import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { test } from 'node:test'
import { ccmOpen, ccmSeal } from '../../../src/drivers/atecc608/aesCcm.ts'
import { gcmOpen, gcmSeal, multiplyHere } from '../../../src/drivers/atecc608/aesGcm.ts'
import {
  type BlockFunction,
  cbcDecrypt,
  cbcEncrypt,
  cmac,
  ctr,
} from '../../../src/drivers/atecc608/aesModes.ts'
import { type AeadGroup, wycheproof } from '../../vectors.ts'
import { bytes, hexOf } from './scripted.ts'

function encryptWith(key: string): BlockFunction {
  return async (block) =>
    createCipheriv('aes-128-ecb', bytes(key), null).setAutoPadding(false).update(block)
}

function decryptWith(key: string): BlockFunction {
  return async (block) =>
    createDecipheriv('aes-128-ecb', bytes(key), null).setAutoPadding(false).update(block)
}

const key = '2b7e151628aed2a6abf7158809cf4f3c'
const message = `6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
  30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710`

test('CBC (SP 800-38A F.2.1)', async () => {
  const iv = bytes('000102030405060708090a0b0c0d0e0f')
  const secret = `7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2
    73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7`
  assert.equal(
    hexOf(await cbcEncrypt(encryptWith(key), iv, bytes(message))),
    secret.replaceAll(/\s/g, ''),
  )
  assert.equal(
    hexOf(await cbcDecrypt(decryptWith(key), iv, bytes(secret))),
    message.replaceAll(/\s/g, ''),
  )
  await assert.rejects(cbcEncrypt(encryptWith(key), iv, new Uint8Array(15)), {
    code: 'ERR_ELEMENT_ARGUMENT',
  })
})

test('CTR (SP 800-38A F.5.1)', async () => {
  const counter = bytes('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff')
  const secret = `874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff
    5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee`
  assert.equal(
    hexOf(await ctr(encryptWith(key), counter, bytes(message))),
    secret.replaceAll(/\s/g, ''),
  )
  // A part of a block is a part of the stream.
  assert.equal(
    hexOf(await ctr(encryptWith(key), counter, bytes(message).subarray(0, 21))),
    secret.replaceAll(/\s/g, '').slice(0, 42),
  )
})

test('CMAC (RFC 4493 §4)', async () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, 'bb1d6929e95937287fa37d129b756746'],
    [16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [40, 'dfa66747de9ae63030ca32611497c827'],
    [64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ]
  for (const [length, expected] of cases) {
    const tag = await cmac(encryptWith(key), bytes(message).subarray(0, length))
    assert.equal(hexOf(tag), expected, `${length} bytes`)
  }
})

interface CcmCase {
  readonly name: string
  readonly key: string
  readonly nonce: string
  readonly aad: string
  readonly plain: string
  readonly sealed: string
  readonly tagLength: number
}

const rfcKey = 'c0c1c2c3c4c5c6c7c8c9cacbcccdcecf'
const nistKey = '404142434445464748494a4b4c4d4e4f'
const ccmCases: readonly CcmCase[] = [
  {
    name: 'RFC 3610 packet 1',
    key: rfcKey,
    nonce: '00000003020100a0a1a2a3a4a5',
    aad: '0001020304050607',
    plain: '08090a0b0c0d0e0f101112131415161718191a1b1c1d1e',
    sealed: '588c979a61c663d2f066d0c2c0f989806d5f6b61dac384 17e8d12cfdf926e0',
    tagLength: 8,
  },
  {
    name: 'RFC 3610 packet 2',
    key: rfcKey,
    nonce: '00000004030201a0a1a2a3a4a5',
    aad: '0001020304050607',
    plain: '08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    sealed: '72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3b a091d56e10400916',
    tagLength: 8,
  },
  {
    name: 'RFC 3610 packet 3',
    key: rfcKey,
    nonce: '00000005040302a0a1a2a3a4a5',
    aad: '0001020304050607',
    plain: '08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20',
    sealed: '51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da859657 4adaa76fbd9fb0c5',
    tagLength: 8,
  },
  {
    name: 'SP 800-38C C.1',
    key: nistKey,
    nonce: '10111213141516',
    aad: '0001020304050607',
    plain: '20212223',
    sealed: '7162015b 4dac255d',
    tagLength: 4,
  },
  {
    name: 'SP 800-38C C.2',
    key: nistKey,
    nonce: '1011121314151617',
    aad: '000102030405060708090a0b0c0d0e0f',
    plain: '202122232425262728292a2b2c2d2e2f',
    sealed: 'd2a1f0e051ea5f62081a7792073d593d 1fc64fbfaccd',
    tagLength: 6,
  },
  {
    name: 'SP 800-38C C.3',
    key: nistKey,
    nonce: '101112131415161718191a1b',
    aad: '000102030405060708090a0b0c0d0e0f10111213',
    plain: '202122232425262728292a2b2c2d2e2f3031323334353637',
    sealed: 'e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5 484392fbc1b09951',
    tagLength: 8,
  },
]

for (const each of ccmCases) {
  test(`CCM: ${each.name}`, async () => {
    const encrypt = encryptWith(each.key)
    const [nonce, aad, plain] = [bytes(each.nonce), bytes(each.aad), bytes(each.plain)]
    const sealed = await ccmSeal(encrypt, nonce, aad, plain, each.tagLength)
    assert.equal(hexOf(sealed), each.sealed.replaceAll(' ', ''))
    assert.equal(hexOf(await ccmOpen(encrypt, nonce, aad, sealed, each.tagLength)), each.plain)
  })
}

const gcmKey = 'feffe9928665731c6d6a8f9467308308'
const gcmPlain = `d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
  1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255`
const gcmAad = 'feedfacedeadbeeffeedfacedeadbeefabaddad2'
type GcmCase = readonly [
  name: string,
  key: string,
  iv: string,
  aad: string,
  plain: string,
  sealed: string,
]
const gcmCases: readonly GcmCase[] = [
  ['case 1', '00'.repeat(16), '00'.repeat(12), '', '', '58e2fccefa7e3061367f1d57a4e7455a'],
  [
    'case 2',
    '00'.repeat(16),
    '00'.repeat(12),
    '',
    '00'.repeat(16),
    '0388dace60b6a392f328c2b971b2fe78 ab6e47d42cec13bdf53a67b21257bddf',
  ],
  [
    'case 3',
    gcmKey,
    'cafebabefacedbaddecaf888',
    '',
    gcmPlain,
    `42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
     21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985
     4d5c2af327cd64a62cf35abd2ba6fab4`,
  ],
  [
    'case 4',
    gcmKey,
    'cafebabefacedbaddecaf888',
    gcmAad,
    gcmPlain.slice(0, -8),
    `42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
     21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091
     5bc94fbc3221a5db94fae95ae7121a47`,
  ],
  [
    'case 5',
    gcmKey,
    'cafebabefacedbad',
    gcmAad,
    gcmPlain.slice(0, -8),
    `61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423
     73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598
     3612d2e79e3b0785561be14aaca2fccb`,
  ],
  [
    'case 6',
    gcmKey,
    `9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728
     c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b`,
    gcmAad,
    gcmPlain.slice(0, -8),
    `8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7
     01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5
     619cc5aefffe0bfa462af43c1699d050`,
  ],
]

for (const [name, theKey, iv, aad, plain, sealed] of gcmCases) {
  test(`GCM: ${name}`, async () => {
    const encrypt = encryptWith(theKey)
    const got = await gcmSeal(encrypt, multiplyHere, bytes(iv), bytes(aad), bytes(plain))
    assert.equal(hexOf(got), sealed.replaceAll(/\s/g, ''))
    const opened = await gcmOpen(encrypt, multiplyHere, bytes(iv), bytes(aad), got)
    assert.equal(hexOf(opened), plain.replaceAll(/\s/g, ''))
  })
}

test('nothing opens with a bit flipped, cut short, or with other additional data', async () => {
  const encrypt = encryptWith(key)
  const [nonce, aad, plain] = [bytes('00'.repeat(12)), bytes('0102'), bytes('03040506')]
  const failed = { code: 'ERR_ELEMENT_VERIFY_FAILED' }
  const ways = [
    [
      await ccmSeal(encrypt, nonce, aad, plain, 8),
      (a: Uint8Array, s: Uint8Array) => ccmOpen(encrypt, nonce, a, s, 8),
    ],
    [
      await gcmSeal(encrypt, multiplyHere, nonce, aad, plain),
      (a: Uint8Array, s: Uint8Array) => gcmOpen(encrypt, multiplyHere, nonce, a, s),
    ],
  ] as const
  for (const [sealed, open] of ways) {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Uint8Array.from(sealed)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      await assert.rejects(open(aad, flipped), failed)
    }
    for (let length = 0; length < sealed.length; length++) {
      await assert.rejects(open(aad, sealed.subarray(0, length)), failed)
    }
    await assert.rejects(open(bytes('0103'), sealed), failed)
  }
})

test('lengths that a mode does not have are refused', async () => {
  const encrypt = encryptWith(key)
  const none = new Uint8Array()
  const argument = { code: 'ERR_ELEMENT_ARGUMENT' }
  const nonce = new Uint8Array(12)
  await assert.rejects(ccmSeal(encrypt, new Uint8Array(6), none, none, 8), argument)
  await assert.rejects(ccmSeal(encrypt, new Uint8Array(14), none, none, 8), argument)
  await assert.rejects(ccmSeal(encrypt, nonce, none, none, 5), argument)
  await assert.rejects(ccmSeal(encrypt, nonce, none, none, 2), argument)
  await assert.rejects(
    ccmSeal(encrypt, new Uint8Array(13), none, new Uint8Array(65_536), 8),
    argument,
  )
  await assert.rejects(gcmSeal(encrypt, multiplyHere, none, none, none), argument)
})

type Open = (encrypt: BlockFunction, each: AeadGroup['tests'][number]) => Promise<Uint8Array>

/** All cases of AES-128 with the lengths that we have; the others must be refused. */
async function judgeAll(vectors: string, open: (group: AeadGroup) => Open): Promise<number> {
  let count = 0
  for (const group of wycheproof<AeadGroup>(vectors).testGroups) {
    if (group.keySize !== 128) continue
    for (const each of group.tests) {
      const opened = open(group)(encryptWith(each.key), each)
      const what = `${vectors} ${each.tcId}: ${each.comment}`
      if (each.result === 'valid') {
        assert.equal(hexOf(await opened), each.msg, what)
        count++
      } else if (each.result === 'invalid') await assert.rejects(opened, what)
    }
  }
  return count
}

test('CCM and GCM judge the Wycheproof cases of AES-128 rightly', async () => {
  const ccm = await judgeAll(
    'aes_ccm_test.json',
    (group) =>
      (encrypt, { iv, aad, ct, tag }) =>
        ccmOpen(encrypt, bytes(iv), bytes(aad), bytes(ct + tag), group.tagSize / 8),
  )
  const gcm = await judgeAll(
    'aes_gcm_test.json',
    () =>
      (encrypt, { iv, aad, ct, tag }) =>
        gcmOpen(encrypt, multiplyHere, bytes(iv), bytes(aad), bytes(ct + tag)),
  )
  assert.ok(ccm > 50 && gcm > 50, `${ccm} and ${gcm} cases`)
})
