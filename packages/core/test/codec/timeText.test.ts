import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDurationText, parseRfc3339 } from '../../src/codec/index.ts'

describe('times as text', () => {
  it('RFC 3339 §5.8: the examples name these instants', () => {
    assert.equal(parseRfc3339('1996-12-19T16:39:57-08:00'), Date.UTC(1996, 11, 20, 0, 39, 57))
    assert.equal(parseRfc3339('1985-04-12T23:20:50.52Z'), Date.UTC(1985, 3, 12, 23, 20, 50, 520))
  })

  for (const text of ['', '2027-01-31', '2027-01-31T12:00:00', '2027-02-29T00:00:00Z', '1h'])
    it(`"${text}" is none`, () => assert.equal(parseRfc3339(text), undefined))

  it('durations have one unit', () => {
    const lengths = ['90s', '15m', '1h', '30d', '0s', '1w', '-1h', '1h30m', '1.5h', ''].map(
      parseDurationText,
    )
    const nothing = Array.from({ length: 6 }, () => undefined)
    assert.deepEqual(lengths, [90_000, 900_000, 3_600_000, 2_592_000_000, ...nothing])
  })
})
