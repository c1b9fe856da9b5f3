/** KEYSTREAM_2 beyond what one HKDF gives (RFC 9528 Appendix G); whole messages: peers/model.test.ts. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { cbor, fromHex, hex } from '@countersign/core/codec'
import { encodeMessage2, encodeSealed, Prk2e, suitesOf } from '@countersign/core/edhoc'
import { CallerError } from '@countersign/core/errors'
import { providers } from '../providers.ts'

interface Vectors {
  readonly TH_2: string
  readonly G_XY: string
  readonly cases: readonly {
    readonly length: number
    readonly end: string
    readonly sha256: string
  }[]
}

const file = new URL('../../../../vectors/edhoc-long-plaintext2.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors

for (const { name, crypto } of providers)
  test(`each further part of the keystream has a negative label, ${name}`, () => {
    const suite = suitesOf(crypto).find(({ number }) => number === 2) ?? assert.fail()
    const gXY = crypto.importSecret(fromHex(vectors.G_XY))
    const prk2e = Prk2e.from(crypto, suite, fromHex(vectors.TH_2), gXY)
    for (const { length, end, sha256 } of vectors.cases) {
      const stream = prk2e.cipher(new Uint8Array(length))
      assert.equal(hex(stream.subarray(-16)), end, `${length} bytes`)
      assert.equal(hex(crypto.hash('sha256', stream)), sha256)
    }
  })

test('a message that no other end would read is not sent', () => {
  const longest = new Uint8Array(16_384 - 3)
  assert.equal(encodeSealed(longest).length, 16_384)
  assert.throws(() => encodeSealed(new Uint8Array(longest.length + 1)), tooLong)
  const gY = new Uint8Array(32)
  const ciphertext2 = longest.subarray(32)
  assert.equal(hex(encodeMessage2({ gY, ciphertext2 })), hex(cbor.byteString(longest)))
  assert.throws(() => encodeMessage2({ gY, ciphertext2: longest }), tooLong)
})

function tooLong(error: unknown): boolean {
  return error instanceof CallerError && error.code === 'ERR_EDHOC_LENGTH'
}
