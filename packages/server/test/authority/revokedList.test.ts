import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Revocation, RevokedList } from '../../src/authority/revokedList.ts'

/** mulberry32: a small seeded generator for tests. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

function bytesOf(list: RevokedList): Buffer {
  const bytes = new Uint8Array(list.byteLength)
  assert.equal(list.copyTo(bytes, 0), list.byteLength)
  return Buffer.from(bytes)
}

const revokedAt = Date.UTC(2026, 10, 23, 10, 0, 0)
const far = Date.UTC(2099, 0, 1)

describe('the list of revoked certificates', () => {
  it('encodes an entry as RFC 5280 §5.1 writes it, and leaves `unspecified` out', () => {
    const list = new RevokedList()
    list.add({ serial: '01ff', revokedAt, reason: 'unspecified', notAfter: far })
    list.add({ serial: '02', revokedAt, reason: 'keyCompromise', notAfter: far })
    list.add({ serial: '00ff', revokedAt: Date.UTC(2051, 0, 1), reason: null, notAfter: far })
    assert.equal(
      bytesOf(list).toString('hex'),
      // SEQUENCE { INTEGER 255, GeneralizedTime 20510101000000Z }
      '3015020200ff180f32303531303130313030303030305a' +
        // SEQUENCE { INTEGER 511, UTCTime 261123100000Z }
        '3013020201ff170d3236313132333130303030305a' +
        // SEQUENCE { INTEGER 2, UTCTime, SEQUENCE { SEQUENCE { 2.5.29.21, OCTET STRING { ENUMERATED
        // 1 } } } }
        '3020020102170d3236313132333130303030305a300c300a0603551d1504030a0101',
    )
  })

  it('takes no serial number that is negative, zero, longer than needed or no hex', () => {
    const list = new RevokedList()
    for (const serial of ['', '0', '00', '007f', '80', 'zz', 'AB', `40${'00'.repeat(120)}`]) {
      const revocation = { serial, revokedAt, reason: null, notAfter: far }
      assert.throws(() => list.add(revocation), { code: 'ERR_CRL_ENTRY' }, serial)
    }
    assert.equal(list.size, 0)
  })

  it('keeps order and content under random insertions and removals', () => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const random = seeded(seed)
    const list = new RevokedList()
    const model = new Map<string, Revocation>()
    for (let round = 0; round < 8000; round++) {
      const number = Math.floor(random() * 2 ** 31)
      const serial = `40${number.toString(16).padStart(8, '0')}`
      const reason = random() < 0.5 ? null : 'superseded'
      const notAfter = revokedAt + Math.floor(random() * 1000)
      const revocation: Revocation = { serial, revokedAt, reason, notAfter }
      assert.equal(list.add(revocation), !model.has(serial), `seed ${seed}`)
      if (!model.has(serial)) model.set(serial, revocation)
      if (round % 2500 === 2499) {
        const limit = revokedAt + round / 20
        const expired = [...model.values()].filter((one) => one.notAfter < limit)
        assert.equal(list.dropExpired(limit), expired.length, `seed ${seed}`)
        for (const one of expired) model.delete(one.serial)
      }
    }
    const fresh = new RevokedList()
    const sorted = [...model.values()].toSorted((a, b) => (a.serial < b.serial ? -1 : 1))
    for (const one of sorted) fresh.add(one)
    assert.equal(list.size, model.size, `seed ${seed}`)
    assert.ok(bytesOf(list).equals(bytesOf(fresh)), `seed ${seed}`)
    assert.ok(sorted.every((one) => list.has(one.serial)))
    assert.ok(!list.has('41'))
  })
})
