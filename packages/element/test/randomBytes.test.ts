import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { randomBytes } from '../src/nodeCrypto.ts'

describe('random bytes', () => {
  it('never repeat and never run out into zeros, whatever lengths are asked in turn', () => {
    const seen = new Set<string>()
    for (let round = 0; round < 3000; round++) {
      const length = 16 + (round % 60)
      const bytes = randomBytes.bytes(length)
      assert.equal(bytes.length, length)
      for (let at = 0; at + 16 <= length; at += 16) {
        const text = Buffer.from(bytes.subarray(at, at + 16)).toString('hex')
        assert.notEqual(text, '0'.repeat(32))
        assert.ok(!seen.has(text))
        seen.add(text)
      }
    }
    assert.equal(randomBytes.bytes(0).length, 0)
    assert.equal(randomBytes.bytes(5000).length, 5000)
  })

  it('given to one caller are changed by no other', () => {
    const first = randomBytes.bytes(16)
    const copy = Uint8Array.from(first)
    for (let round = 0; round < 600; round++) randomBytes.bytes(16)
    assert.deepEqual(first, copy)
  })
})
