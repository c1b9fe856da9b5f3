import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { PageLinks } from '../../src/console/pageLinks.ts'
import {
  cookieSecrets,
  noCookie,
  PageSessions,
  sessionCookie,
} from '../../src/console/pageSessions.ts'
import { ManualClock, ManualTimers, seededRandom } from '../support/world.ts'

const minute = 60_000
const hour = 60 * minute
const machineRandom = { bytes: (length: number) => Uint8Array.from(randomBytes(length)) }

describe('one-time links', () => {
  const clock = new ManualClock()
  const links = (): PageLinks => new PageLinks(clock, machineRandom)

  it('carry 256 random bits, and nothing else opens', () => {
    const one = links()
    const { code, expiresAt } = one.issue()
    assert.equal(Buffer.from(code, 'base64url').length, 32)
    assert.equal(expiresAt, clock.now() + 10 * minute)
    assert.equal(new Set([1, 2, 3].map(() => links().issue().code)).size, 3)
    const flipped = `${code.slice(0, -2)}${code.endsWith('AA') ? 'BB' : 'AA'}`
    for (const wrong of ['', 'x', code.toLowerCase(), flipped, `${code}x`])
      if (wrong !== code) assert.equal(one.redeem(wrong), 'wrong', wrong)
    assert.equal(one.redeem(code), 'right')
  })

  it('open once', () => {
    const one = links()
    const { code } = one.issue()
    assert.deepEqual([one.redeem(code), one.redeem(code)], ['right', 'wrong'])
  })

  it('expire after ten minutes, also when the clock stood still until then', () => {
    const own = new ManualClock()
    const one = new PageLinks(own, machineRandom)
    const [first, second] = [one.issue(), one.issue()]
    own.time += 10 * minute - 1
    assert.equal(one.redeem(first.code), 'right')
    own.time += 1
    assert.equal(one.redeem(second.code), 'wrong')
  })

  it('each open for themselves, and the oldest makes room', () => {
    const one = links()
    const codes = Array.from({ length: 9 }, () => one.issue().code)
    assert.equal(one.redeem(codes[0] ?? ''), 'wrong')
    assert.equal(one.redeem(codes[8] ?? ''), 'right')
    assert.equal(one.redeem(codes[1] ?? ''), 'right')
  })

  it('bound the wrong attempts, and the right one opens all the same', () => {
    const one = links()
    const [first, second] = [one.issue(), one.issue()]
    for (let n = 0; n < 10; n++) assert.equal(one.redeem('guess'), 'wrong')
    assert.equal(one.redeem('guess'), 'tooMany')
    // Whoever guesses does not shut the door for who has the link.
    assert.equal(one.redeem(first.code), 'right')
    clock.time += 10_000
    assert.equal(one.redeem('guess'), 'wrong')
    assert.equal(one.redeem('guess'), 'tooMany')
    assert.equal(one.redeem(second.code), 'right')
  })

  it('are kept as hashes only', () => {
    const one = links()
    const { code } = one.issue()
    assert.doesNotMatch(inspect(one, { depth: 9, showHidden: true }), new RegExp(code))
  })
})

const make = () => {
  const clock = new ManualClock()
  const timers = new ManualTimers(clock)
  const ended: string[] = []
  const parts = { clock, timers, random: seededRandom(3), ended: (id: string) => ended.push(id) }
  return { sessions: new PageSessions(parts), timers, ended }
}

describe('sessions of the page', () => {
  it('last twelve hours, and whoever reads along is cut off then', () => {
    const { sessions, timers, ended } = make()
    const { secret, session } = sessions.begin()
    timers.advance(12 * hour - 1)
    assert.equal(sessions.of([secret]), session)
    assert.deepEqual(ended, [])
    timers.advance(1)
    assert.equal(sessions.of([secret]), undefined)
    assert.deepEqual(ended, [session.id])
    assert.equal(timers.count, 0)
  })

  it('are known by their secret and by nothing else', () => {
    const { sessions } = make()
    const { secret, session } = sessions.begin()
    assert.equal(Buffer.from(secret, 'base64url').length, 32)
    for (const wrong of ['', session.id, session.hash.toString('base64url'), secret.slice(1)])
      assert.equal(sessions.of([wrong]), undefined)
    assert.equal(sessions.of(['other', secret]), session)
  })

  it('end when their person leaves, and only so many are open', () => {
    const { sessions, ended, timers } = make()
    const opened = Array.from({ length: 9 }, () => sessions.begin())
    assert.deepEqual(ended, [opened[0]?.session.id])
    assert.equal(sessions.of([opened[0]?.secret ?? '']), undefined)
    const [, second] = opened
    assert.ok(second)
    sessions.end(second.session)
    sessions.end(second.session)
    assert.equal(sessions.of([second.secret]), undefined)
    assert.deepEqual(ended, [opened[0]?.session.id, second.session.id])
    sessions.close()
    assert.equal(ended.length, 9)
    assert.equal(timers.count, 0)
  })

  it('have a cookie that scripts cannot read and other sites do not send', () => {
    const cookie = sessionCookie('countersign-8443', 'abc')
    assert.equal(cookie, 'countersign-8443=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200')
    assert.match(noCookie('countersign-8443'), /^countersign-8443=; .*HttpOnly.*Max-Age=0$/)
  })

  it('read the cookie of their name only, also between others and more than once', () => {
    const [one, two] = ['a'.repeat(43), 'b'.repeat(43)]
    const header = `x=1; countersign-1=${one}; countersign-12=${two};countersign-1=${two}; countersign-1=short; countersign-1="${one}"`
    assert.deepEqual(cookieSecrets(header, 'countersign-1'), [one, two])
    assert.deepEqual(cookieSecrets(undefined, 'countersign-1'), [])
  })
})
