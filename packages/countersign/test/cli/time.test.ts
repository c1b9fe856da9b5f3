import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import { parseDuration, parseTime } from '../../src/cli/time.ts'

const now = Date.UTC(2026, 10, 23)

describe('times on the line', () => {
  it('a duration counts from now', () => {
    assert.equal(parseTime('90s', now, '--expires'), now + 90_000)
    assert.equal(parseTime('15m', now, '--expires'), now + 15 * 60_000)
    assert.equal(parseTime('1h', now, '--expires'), now + 3_600_000)
    assert.equal(parseTime('30d', now, '--expires'), now + 30 * 86_400_000)
  })

  it('RFC 3339 is taken with Z or an offset', () => {
    // RFC 3339 §5.8: these examples name the same instants.
    assert.equal(
      parseTime('1996-12-19T16:39:57-08:00', now, 'x'),
      Date.UTC(1996, 11, 20, 0, 39, 57),
    )
    assert.equal(
      parseTime('1985-04-12T23:20:50.52Z', now, 'x'),
      Date.UTC(1985, 3, 12, 23, 20, 50, 520),
    )
    assert.equal(parseTime('2026-11-23t00:00:00z', now, 'x'), now)
    assert.equal(parseTime('2024-02-29T00:00:00Z', now, 'x'), Date.UTC(2024, 1, 29))
  })

  it('what could mean two things, or nothing, is refused with the place', () => {
    const bad = [
      '',
      'tomorrow',
      '2027-01-31',
      '2027-01-31T12:00:00',
      '2027-02-29T00:00:00Z',
      '2027-13-01T00:00:00Z',
      '2027-01-31T25:00:00Z',
      '10',
      '-1h',
      '1.5h',
      '0s',
      '1w',
    ]
    for (const text of bad) {
      assert.throws(
        () => parseTime(text, now, '--expires'),
        (error) =>
          error instanceof CallerError && error.code === 'ERR_USAGE' && error.where === '--expires',
        text,
      )
    }
  })

  it('a duration alone is no time', () => {
    assert.equal(parseDuration('10s', '--every'), 10_000)
    assert.throws(() => parseDuration('2027-01-31T12:00:00Z', '--every'), CallerError)
  })
})
