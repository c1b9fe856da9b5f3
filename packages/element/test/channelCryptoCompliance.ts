/**
 * What every provider of a channel's crypto must do, written against the port: handles without a
 * face, hashes, HKDF and the AEADs with the vectors of standards and of Wycheproof, and every bit
 * of what travels changed. Key agreement has a file of its own. The other end is OpenSSL.
 */
import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { CallerError, InvariantError, PeerError } from '@countersign/core/errors'
import type { AeadName, ChannelCrypto, HashName, SecretKey } from '@countersign/core/ports'
import { keyAgreement } from './keyAgreementCompliance.ts'
import {
  type AeadGroup,
  bytes,
  type HkdfGroup,
  hex,
  rfc5869,
  rfc8439,
  wycheproof,
} from './vectors.ts'

export function channelCryptoCompliance(name: string, crypto: ChannelCrypto): void {
  describe(`channel crypto: ${name}`, () => {
    secrets(crypto)
    hashes(crypto)
    hkdf(crypto)
    aeadVectors(crypto)
    for (const aead of crypto.aeads) aeadHostile(crypto, aead)
    keyAgreement(crypto)
  })
}

const none: Uint8Array = new Uint8Array(0)

function secrets(crypto: ChannelCrypto): void {
  test('a secret goes in and comes out as a copy', () => {
    const given = bytes('000102030405060708090a0b0c0d0e0f')
    const key = crypto.importSecret(given)
    assert.equal(key.length, 16)
    given.fill(0xff)
    const taken = crypto.exportSecret(key)
    assert.equal(hex(taken), '000102030405060708090a0b0c0d0e0f')
    taken.fill(0xff)
    assert.equal(hex(crypto.exportSecret(key)), '000102030405060708090a0b0c0d0e0f')
  })

  test('a secret of no bytes is one', () => {
    const key = crypto.importSecret(none)
    assert.equal(key.length, 0)
    assert.equal(crypto.exportSecret(key).length, 0)
  })

  test('a handle shows none of its bytes', () => {
    const text = 'c0ffee11deadbeef5afe5afe0badcafe'
    const key = crypto.importSecret(bytes(text))
    const faces = [
      inspect(key, { showHidden: true, depth: 20, getters: true }),
      inspect(structuredClone({ ...key }), { showHidden: true }),
      JSON.stringify(key),
      ...Reflect.ownKeys(key).map((name) => inspect(Reflect.get(key, name), { showHidden: true })),
    ]
    const head = bytes(text).subarray(0, 4)
    const forms = [hex(head), Buffer.from(head).toString('base64').slice(0, 5), head.join(',')]
    for (const face of faces) {
      const packed = face.toLowerCase().replaceAll(/\s/g, '')
      for (const form of forms) assert.ok(!packed.includes(form.toLowerCase()), face)
    }
  })

  test('a handle of another provider is refused everywhere', () => {
    const own = crypto.importSecret(new Uint8Array(16))
    const forged: SecretKey = Object.create(Object.getPrototypeOf(own))
    for (const foreign of [{ length: 16 }, { ...own }, forged]) {
      const uses = [
        () => crypto.exportSecret(foreign),
        () => crypto.hmac('sha256', foreign, none),
        () => crypto.hkdfExtract('sha256', foreign, own),
        () => crypto.hkdfExtract('sha256', own, foreign),
        () => crypto.hkdfExpand('sha256', foreign, none, 16),
        () => crypto.seal('aes-128-gcm', foreign, new Uint8Array(12), none, none),
        () => crypto.open('aes-128-gcm', foreign, new Uint8Array(12), none, new Uint8Array(16)),
      ]
      for (const use of uses) assert.throws(use, isMisuse)
    }
    const key = { algorithm: { kind: 'ed25519' }, spki: none } as const
    const verify = (): boolean => crypto.verify(key, { kind: 'ed25519' }, none, new Uint8Array(64))
    assert.throws(verify, isMisuse)
  })
}

function hashes(crypto: ChannelCrypto): void {
  // FIPS 180-4: the examples of SHA-256 with one and with two blocks, and of SHA-384 and SHA-512.
  const twoBlocks = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'
  const sha256: readonly [string, string][] = [
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [twoBlocks, '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1'],
  ]

  test('a running hash tells its digest so far, as often as it is asked', () => {
    const hasher = crypto.hasher('sha256')
    let given = ''
    for (const [text, digest] of sha256) {
      hasher.update(Buffer.from(text.slice(given.length)))
      given = text
      assert.equal(hex(hasher.digest()), digest)
      assert.equal(hex(hasher.digest()), digest)
      assert.equal(hex(crypto.hash('sha256', Buffer.from(text))), digest)
    }
  })

  test('two running hashes do not meet', () => {
    const [first, second] = [crypto.hasher('sha256'), crypto.hasher('sha384')]
    first.update(Buffer.from('a'))
    second.update(Buffer.from('abc'))
    first.update(Buffer.from('bc'))
    assert.equal(hex(first.digest()), sha256[1]?.[1])
    assert.equal(
      hex(second.digest()),
      'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
    )
  })

  test('HMAC gives what RFC 4231 §4.3 gives', () => {
    const key = crypto.importSecret(Buffer.from('Jefe'))
    const data = Buffer.from('what do ya want for nothing?')
    const macs: readonly [HashName, string][] = [
      ['sha256', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
      [
        'sha384',
        'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649',
      ],
      [
        'sha512',
        '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
      ],
    ]
    for (const [hash, mac] of macs) assert.equal(hex(crypto.hmac(hash, key, data)), mac)
  })
}

function hkdf(crypto: ChannelCrypto): void {
  test('HKDF gives what RFC 5869 Appendix A gives, step by step', () => {
    const { cases } = rfc5869()
    assert.equal(cases.length, 7)
    for (const { section, hash, ikm, salt, info, length, prk, okm } of cases) {
      // §2.2: a salt that is not provided is as many zeros as the hash has bytes.
      const saltBytes = salt === null ? new Uint8Array(prk.length / 2) : bytes(salt)
      const [saltKey, inputKey] = [saltBytes, bytes(ikm)].map((key) => crypto.importSecret(key))
      assert.ok(saltKey !== undefined && inputKey !== undefined)
      const extracted = crypto.hkdfExtract(hash, saltKey, inputKey)
      assert.equal(hex(crypto.exportSecret(extracted)), prk, section)
      const expanded = crypto.hkdfExpand(hash, extracted, bytes(info), length)
      assert.equal(expanded.length, length)
      assert.equal(hex(crypto.exportSecret(expanded)), okm, section)
    }
  })

  test('every HKDF of Wycheproof comes out as it says', () => {
    const vectors = wycheproof<HkdfGroup>('hkdf_sha256_test.json')
    let judged = 0
    for (const { tcId, ikm, salt, info, size, okm, result } of all(vectors.testGroups)) {
      const derive = (): SecretKey => {
        const [saltKey, inputKey] = [
          crypto.importSecret(bytes(salt)),
          crypto.importSecret(bytes(ikm)),
        ]
        const prk = crypto.hkdfExtract('sha256', saltKey, inputKey)
        return crypto.hkdfExpand('sha256', prk, bytes(info), size)
      }
      if (result === 'valid') assert.equal(hex(crypto.exportSecret(derive())), okm, String(tcId))
      else assert.throws(derive, CallerError, String(tcId))
      judged++
    }
    assert.equal(judged, vectors.numberOfTests)
  })

  test('HKDF gives no negative, broken or overlong number of bytes', () => {
    const prk = crypto.importSecret(new Uint8Array(48))
    assert.equal(crypto.hkdfExpand('sha384', prk, none, 255 * 48).length, 255 * 48)
    for (const length of [255 * 48 + 1, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => crypto.hkdfExpand('sha384', prk, none, length), CallerError)
    }
  })
}

function aeadVectors(crypto: ChannelCrypto): void {
  const files: readonly [string, AeadName, number, number, number, number][] = [
    // Key, nonce and tag in bits, and how many cases the file has of them. It has none of
    // AES-CCM-16-64-128.
    ['aes_gcm_test.json', 'aes-128-gcm', 128, 96, 128, 67],
    ['aes_gcm_test.json', 'aes-256-gcm', 256, 96, 128, 66],
    ['aes_ccm_test.json', 'aes-128-ccm-8', 128, 96, 64, 8],
    ['aes_ccm_test.json', 'aes-ccm-16-128-128', 128, 104, 128, 6],
  ]
  for (const [file, aead, keySize, ivSize, tagSize, cases] of files) {
    test(
      `every ${aead} of Wycheproof is sealed and opened as it says`,
      skipWithout(crypto, aead),
      () => {
        const groups = wycheproof<AeadGroup>(file).testGroups.filter(
          (group) =>
            group.keySize === keySize && group.tagSize === tagSize && group.ivSize === ivSize,
        )
        let judged = 0
        for (const one of all(groups)) {
          const key = crypto.importSecret(bytes(one.key))
          const [nonce, aad, sealed] = [bytes(one.iv), bytes(one.aad), bytes(one.ct + one.tag)]
          const opens = (): string => hex(crypto.open(aead, key, nonce, aad, sealed))
          if (one.result === 'valid') {
            assert.equal(opens(), one.msg, String(one.tcId))
            const again = crypto.seal(aead, key, nonce, aad, bytes(one.msg))
            assert.equal(hex(again), one.ct + one.tag, String(one.tcId))
          } else {
            assert.throws(opens, unopened, `${one.tcId}: ${one.comment}`)
          }
          judged++
        }
        assert.equal(judged, cases)
      },
    )
  }

  const chacha = 'chacha20-poly1305'
  test('ChaCha20-Poly1305 gives what RFC 8439 §2.8.2 gives', skipWithout(crypto, chacha), () => {
    const vector = rfc8439()
    const key = crypto.importSecret(bytes(vector.key))
    const [nonce, aad] = [bytes(vector.nonce), bytes(vector.aad)]
    const sealed = crypto.seal(chacha, key, nonce, aad, bytes(vector.plaintext))
    assert.equal(hex(sealed), vector.ciphertext + vector.tag)
    assert.equal(hex(crypto.open(chacha, key, nonce, aad, sealed)), vector.plaintext)
  })

  const short = 'aes-ccm-16-64-128'
  test('AES-CCM-16-64-128 seals the request of RFC 8613 C.4', skipWithout(crypto, short), () => {
    const key = crypto.importSecret(bytes('f0910ed7295e6ad4b54fc793154302ff'))
    const nonce = bytes('4622d4dd6d944168eefb549868')
    const aad = bytes('8368456e63727970743040488501810a40411440')
    const sealed = crypto.seal(short, key, nonce, aad, bytes('01b3747631'))
    assert.equal(hex(sealed), '612f1092f1776f1c1668b3825e')
    assert.equal(hex(crypto.open(short, key, nonce, aad, sealed)), '01b3747631')
  })
}

interface AeadShape {
  readonly keyLength: number
  readonly nonceLength: number
  readonly tagLength: number
}

const shapes: Readonly<Record<AeadName, AeadShape>> = {
  'aes-128-gcm': { keyLength: 16, nonceLength: 12, tagLength: 16 },
  'aes-256-gcm': { keyLength: 32, nonceLength: 12, tagLength: 16 },
  'chacha20-poly1305': { keyLength: 32, nonceLength: 12, tagLength: 16 },
  'aes-128-ccm-8': { keyLength: 16, nonceLength: 12, tagLength: 8 },
  'aes-ccm-16-64-128': { keyLength: 16, nonceLength: 13, tagLength: 8 },
  'aes-ccm-16-128-128': { keyLength: 16, nonceLength: 13, tagLength: 16 },
}

function aeadHostile(crypto: ChannelCrypto, aead: AeadName): void {
  const { keyLength, nonceLength, tagLength } = shapes[aead]
  const keyBytes = pattern(keyLength, 3)
  const key = crypto.importSecret(keyBytes)
  const nonce = pattern(nonceLength, 5)
  // RFC 3610 §2.1: a nonce of 13 bytes leaves two for the length.
  const plaintextMax = nonceLength === 13 ? 65_535 : Number.POSITIVE_INFINITY
  const aad = pattern(5, 7)

  test(`${aead} seals messages of every size as OpenSSL does`, () => {
    for (const size of [0, 1, 15, 16, 17, 255, 4096, 16_385, 65_535, 65_536]) {
      if (size > plaintextMax) {
        const tooLong = new Uint8Array(size)
        assert.throws(() => crypto.seal(aead, key, nonce, aad, tooLong), CallerError)
        continue
      }
      const plaintext = pattern(size, 11)
      const sealed = crypto.seal(aead, key, nonce, aad, plaintext)
      assert.equal(hex(sealed), hex(opensslSeal(aead, keyBytes, nonce, aad, plaintext)))
      assert.equal(hex(crypto.open(aead, key, nonce, aad, sealed)), hex(plaintext))
      // What was given is as it was.
      assert.equal(hex(plaintext), hex(pattern(size, 11)))
    }
  })

  const skip = crypto.sealPieces === undefined && 'this provider makes no pieces'
  test(`${aead} seals pieces as OpenSSL seals them in one`, { skip }, () => {
    for (const sizes of [[], [0], [1], [0, 1], [16, 1], [5, 0, 40], [16_384, 1]]) {
      const pieces = sizes.map((size, index) => pattern(size, 11 + index))
      const sealed = crypto.sealPieces?.(aead, key, nonce, aad, ...pieces) ?? []
      const expected = opensslSeal(aead, keyBytes, nonce, aad, Buffer.concat(pieces))
      assert.equal(hex(Buffer.concat(sealed)), hex(expected), sizes.join(', '))
    }
    const other = crypto.importSecret(new Uint8Array(keyLength - 1))
    assert.throws(() => crypto.sealPieces?.(aead, other, nonce, aad, none), CallerError)
  })

  test(`${aead} opens nothing of which a bit was changed`, () => {
    for (const size of [0, 33]) {
      const sealed = crypto.seal(aead, key, nonce, aad, pattern(size, 11))
      for (const flipped of flips(sealed)) refuses({ sealed: flipped })
      for (const flipped of flips(nonce)) refuses({ sealed, nonce: flipped })
      for (const flipped of flips(aad)) refuses({ sealed, aad: flipped })
      refuses({ sealed, aad: none })
      for (const flipped of flips(keyBytes)) refuses({ sealed, key: crypto.importSecret(flipped) })
    }
  })

  test(`${aead} opens nothing that was cut or made longer`, () => {
    const sealed = crypto.seal(aead, key, nonce, aad, pattern(33, 11))
    for (let length = 0; length < sealed.length; length++) {
      refuses({ sealed: sealed.subarray(0, length) })
      refuses({ sealed: sealed.subarray(sealed.length - length) })
    }
    refuses({ sealed: Uint8Array.of(...sealed, 0) })
    refuses({ sealed: new Uint8Array(tagLength) })
  })

  test(`${aead} takes a key and a nonce of its own lengths alone`, () => {
    const sealed = new Uint8Array(64)
    for (const length of [0, 15, 17, 24, 31, 33, 48 - keyLength]) {
      const other = crypto.importSecret(new Uint8Array(length))
      assert.throws(() => crypto.seal(aead, other, nonce, aad, none), CallerError)
      assert.throws(() => crypto.open(aead, other, nonce, aad, sealed), CallerError)
    }
    for (const length of [0, 7, 8, 11, 25 - nonceLength, 16]) {
      const other = new Uint8Array(length)
      assert.throws(() => crypto.seal(aead, key, other, aad, none), CallerError)
      assert.throws(() => crypto.open(aead, key, other, aad, sealed), CallerError)
    }
  })

  function refuses(over: {
    readonly sealed: Uint8Array
    readonly key?: SecretKey
    readonly nonce?: Uint8Array
    readonly aad?: Uint8Array
  }): void {
    const call = { key, nonce, aad, ...over }
    const open = (): unknown => crypto.open(aead, call.key, call.nonce, call.aad, call.sealed)
    assert.throws(open, unopened)
  }
}

function opensslSeal(
  aead: AeadName,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  // The types know one name at a time; GCM takes what CCM needs.
  const name = (aead.includes('-ccm-') ? 'aes-128-ccm' : aead) as 'aes-128-ccm'
  const cipher = createCipheriv(name, key, nonce, { authTagLength: shapes[aead].tagLength })
  cipher.setAAD(aad, { plaintextLength: plaintext.length })
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

function skipWithout(crypto: ChannelCrypto, aead: AeadName): { readonly skip: string | false } {
  return { skip: crypto.aeads.includes(aead) ? false : `the provider has no ${aead}` }
}

/** Every copy of the bytes with one bit changed. */
function* flips(data: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < data.length * 8; bit++) {
    const flipped = Uint8Array.from(data)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    yield flipped
  }
}

function pattern(length: number, step: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * step + 1) & 0xff)
}

function all<Case>(groups: readonly { readonly tests: readonly Case[] }[]): readonly Case[] {
  return groups.flatMap(({ tests }) => tests)
}

function isMisuse(error: unknown): boolean {
  return error instanceof CallerError || error instanceof InvariantError
}

function unopened(error: unknown): boolean {
  return error instanceof PeerError && error.code === 'ERR_AEAD_OPEN'
}
