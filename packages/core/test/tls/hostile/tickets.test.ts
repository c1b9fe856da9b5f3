/** Tickets (RFC 8446 §4.6.1): which are kept, which are offered, and what a resumed handshake does. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Judge } from '@countersign/core/credential'
import { type ResumableSession, trustAnchors } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { day, now } from '../../judge/world.ts'
import type { PuppetTicket, Step } from '../puppet.ts'
import * as steps from '../puppetSteps.ts'
import { anchor, host, identityOf } from '../puppetWorld.ts'
import {
  assertOpen,
  clock,
  opened,
  policy,
  type Talk,
  talk,
  type TalkOptions,
} from './conversation.ts'

/** A ticket, and the puppets' knowledge of it. */
async function ticketed(
  change?: Parameters<typeof steps.ticket>[1],
  options?: TalkOptions,
): Promise<{ session: ResumableSession; tickets: Map<string, PuppetTicket> }> {
  const tickets = new Map<string, PuppetTicket>()
  const talked = await opened([steps.ticket(1, change)], { tickets }, options)
  assertOpen(talked)
  const [session] = talked.sessions
  assert.ok(session !== undefined)
  return { session, tickets }
}

/** A server that resumes where it can. */
const answering: Step = (puppet) =>
  puppet.run(puppet.psk === undefined ? steps.fullFlight : steps.resumedFlight)

/** A client with this ticket at a server that takes it when it is offered. */
async function returns(
  session: ResumableSession,
  tickets: Map<string, PuppetTicket>,
  options: TalkOptions = {},
): Promise<Talk> {
  return talk({ tickets, flights: [[answering]] }, { session, ...options })
}

function assertResumed(talked: Talk, isResumed: boolean): void {
  assertOpen(talked)
  assert.equal(talked.secured[0]?.isResumed, isResumed)
  assert.equal(talked.signed, isResumed ? 0 : 1)
  const own = isResumed ? ['Finished'] : ['Certificate', 'CertificateVerify', 'Finished']
  assert.deepEqual(talked.puppet.received, ['ClientHello', ...own])
}

function assertNotOffered(talked: Talk): void {
  assert.equal(talked.puppet.hello?.psk, undefined)
  assertResumed(talked, false)
}

const at = (time: number): TalkOptions => ({ clock: { now: () => time } })

suite('a ticket', () => {
  test('resumes without the element', async () => {
    const { session, tickets } = await ticketed()
    const talked = await returns(session, tickets)
    assertResumed(talked, true)
    await talked.run(steps.ticket(2), steps.data('again'))
    assert.deepEqual([talked.text, talked.sessions.length], ['again', 1])
    // The next one resumes what was resumed.
    const [next] = talked.sessions
    assert.ok(next !== undefined)
    assertResumed(await returns(next, tickets), true)
  })

  test('that the server has forgotten makes a full handshake', async () => {
    const { session } = await ticketed()
    const talked = await returns(session, new Map())
    assert.ok(talked.puppet.hello?.psk !== undefined)
    assertResumed(talked, false)
  })

  test('tells its age in milliseconds, hidden', async () => {
    for (const ageAdd of [0, 0x0102_0304, 0xffff_ffff]) {
      const { session, tickets } = await ticketed((right) => ({ ...right, ageAdd }))
      const talked = await returns(session, tickets, at(now + 1234))
      assertResumed(talked, true)
      const offered = talked.puppet.hello?.extensions.get(41)
      const age = offered?.readUInt32BE(2 + 2 + session.ticket.length)
      assert.equal(age, (1234 + ageAdd) % 2 ** 32)
    }
  })

  test('is offered to the end of its life and no longer', async () => {
    const { session, tickets } = await ticketed((right) => ({ ...right, lifetime: 60 }))
    assertResumed(await returns(session, tickets, at(now + 59_999)), true)
    assertNotOffered(await returns(session, tickets, at(now + 60_000)))
    assertNotOffered(await returns(session, tickets, at(now + day)))
    // A clock that was set back.
    assertNotOffered(await returns(session, tickets, at(now - 1)))
  })

  test('lives seven days at most, whatever the server says', async () => {
    for (const lifetime of [604_801, 0xffff_ffff]) {
      const { session, tickets } = await ticketed((right) => ({ ...right, lifetime }))
      assert.equal(session.lifetimeMs, 7 * day)
      assertResumed(await returns(session, tickets, at(now + 7 * day - 1)), true)
      assertNotOffered(await returns(session, tickets, at(now + 7 * day)))
    }
  })

  test('with no life is not kept', async () => {
    const talked = await opened([
      steps.ticket(1, (right) => ({ ...right, lifetime: 0 })),
      steps.ticket(2),
    ])
    assertOpen(talked)
    assert.equal(talked.sessions.length, 1)
  })

  test('is malformed when it is empty', async () => {
    const talked = await opened([
      steps.ticket(1, (right) => ({ ...right, ticket: Buffer.alloc(0) })),
    ])
    assert.deepEqual(
      talked.puppet.alerts.map(({ name }) => name),
      ['decode_error'],
    )
    assert.equal(talked.failed.length, 1)
  })

  test('is neither kept nor offered where the policy says so', async () => {
    const without = { policy: { ...policy, resumption: false } }
    const talked = await opened([steps.ticket()], {}, without)
    assertOpen(talked)
    assert.deepEqual(talked.sessions, [])
    const { session, tickets } = await ticketed()
    assertNotOffered(await returns(session, tickets, without))
  })

  test('of a suite that is not offered is not offered', async () => {
    const { session, tickets } = await ticketed()
    const others = { policy: { ...policy, suites: ['TLS_AES_256_GCM_SHA384'] } } as const
    const talked = await talk(
      { tickets, suite: 0x1302, flights: [steps.fullFlight] },
      { session, ...others },
    )
    assertNotOffered(talked)
  })

  test('has another secret than its neighbour, by its nonce', async () => {
    const tickets = new Map<string, PuppetTicket>()
    const talked = await opened([steps.ticket(1), steps.ticket(2)], { tickets })
    const [first, second] = talked.sessions
    assert.ok(first !== undefined && second !== undefined)
    assertResumed(await returns(first, tickets), true)
    assertResumed(await returns(second, tickets), true)
    assert.notDeepEqual(nodeCrypto.exportSecret(first.psk), nodeCrypto.exportSecret(second.psk))
  })
})

/** A client at this time, and its judge. */
function judged(time: number): TalkOptions {
  const own = { now: (): number => time }
  const judge = new Judge({ crypto: nodeCrypto, clock: own, anchors: [anchor] })
  return { clock: own, trust: trustAnchors(judge, host) }
}

suite('the server of a ticket', () => {
  test('is judged again; when its chain is over, the handshake is a full one', async () => {
    const { chain, key, scheme } = await identityOf({ notAfter: now + day })
    const tickets = new Map<string, PuppetTicket>()
    const first = await opened([steps.ticket()], { tickets, identity: { chain, key, scheme } })
    const [session] = first.sessions
    assert.ok(session !== undefined)

    const soon = now + day - 60_000
    const later = now + day + 60_000
    const fresh = { ...session, lifetimeMs: 7 * day }
    assertResumed(await returns(fresh, tickets, judged(soon)), true)
    // The server has a new certificate by now.
    assertNotOffered(await returns(fresh, tickets, judged(later)))
  })

  test('that is trusted no longer gets no ticket, and is refused for what it shows', async () => {
    const { session, tickets } = await ticketed()
    const judge = new Judge({ crypto: nodeCrypto, clock, anchors: [] })
    const talked = await returns(session, tickets, { trust: trustAnchors(judge, host) })
    assert.equal(talked.puppet.hello?.psk, undefined)
    assert.deepEqual(talked.secured, [])
    assert.deepEqual(
      talked.puppet.alerts.map(({ name }) => name),
      ['unknown_ca'],
    )
    assert.equal(talked.signed, 0)
  })

  test('of another name gets no ticket', async () => {
    const { session, tickets } = await ticketed()
    const judge = new Judge({ crypto: nodeCrypto, clock, anchors: [anchor] })
    const elsewhere = { host: 'other.example', trust: trustAnchors(judge, 'other.example') }
    const talked = await returns(session, tickets, elsewhere)
    assert.equal(talked.puppet.hello?.psk, undefined)
    assert.equal(talked.failed.length, 1)
  })
})
