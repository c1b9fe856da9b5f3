/**
 * Families of tests: one fault at every place of a message or a record, and what came of each. A
 * conversation ends in one of a few ways, and a family says how many went which way in which field,
 * so that an acceptance that nobody thought of fails its test.
 */
import assert from 'node:assert/strict'
import { PeerError } from '@countersign/core/errors'
import type { PuppetOptions, Step } from '../puppet.ts'
import type { Field, Laid } from '../puppetBytes.ts'
import { closeNotify, data } from '../puppetSteps.ts'
import { assertOpen, assertOver, Talk, type TalkOptions } from './conversation.ts'

/** Which errors of ours may stand behind an alert (RFC 8446 §6.2). */
const codesOf: Readonly<Record<string, readonly string[]>> = {
  unexpected_message: ['ERR_TLS_UNEXPECTED_MESSAGE'],
  bad_record_mac: ['ERR_TLS_RECORD_MAC'],
  record_overflow: ['ERR_TLS_RECORD_OVERFLOW'],
  illegal_parameter: ['ERR_TLS_ILLEGAL_PARAMETER', 'ERR_TLS_DOWNGRADE', 'ERR_KEY_SHARE'],
  decode_error: ['ERR_TLS_DECODE', 'ERR_TLS_NO_CERTIFICATE'],
  decrypt_error: ['ERR_TLS_SIGNATURE', 'ERR_TLS_FINISHED'],
  protocol_version: ['ERR_TLS_VERSION'],
  missing_extension: ['ERR_TLS_MISSING_EXTENSION'],
  unsupported_extension: ['ERR_TLS_UNSUPPORTED_EXTENSION'],
  internal_error: ['ERR_TLS_LIMIT'],
  handshake_failure: ['ERR_TLS_NO_SCHEME'],
  bad_certificate: ['ERR_CERT_MALFORMED', 'ERR_CHAIN_SIGNATURE', 'ERR_CHAIN_NOT_A_CA'],
  unsupported_certificate: [
    'ERR_CHAIN_ALGORITHM',
    'ERR_CHAIN_CRITICAL_EXTENSION',
    'ERR_CHAIN_KEY_USAGE',
  ],
  certificate_expired: ['ERR_CERT_EXPIRED', 'ERR_CERT_NOT_YET_VALID', 'ERR_CHAIN_EXPIRED'],
  unknown_ca: ['ERR_CHAIN_UNKNOWN_ISSUER', 'ERR_ANCHOR_MISMATCH'],
}

export interface Setting {
  readonly puppet?: Partial<PuppetOptions>
  readonly options?: TalkOptions
  /** Where the fault comes after the handshake: what the puppet says then, the fault among it. */
  readonly afterwards?: readonly Step[]
}

/** Conversations that are alike but for one fault. */
export class Family {
  readonly #setting: Setting
  /** What each of them comes to that comes to something. */
  readonly #secured: string

  private constructor(setting: Setting, secured: string) {
    this.#setting = setting
    this.#secured = secured
  }

  /** Its conversation without a fault must go well. */
  static async of(setting: Setting): Promise<Family> {
    const talked = await spoken(setting, {})
    return new Family(setting, await accepted(talked, 'without a fault'))
  }

  /** Runs the conversation with these strings, and says how it ended. */
  async ending(puppet: Partial<PuppetOptions>, what: string): Promise<string> {
    const talked = await spoken(this.#setting, puppet)
    if (talked.failed.length > 0) {
      return refused(talked, this.#setting.afterwards !== undefined, what)
    }
    if (talked.ended === 0) return waiting(talked, this.#setting.afterwards !== undefined, what)
    assert.equal(await accepted(talked, what), this.#secured, what)
    return 'accepted'
  }

  /** The message of this name as it is said without a fault. */
  async messageOf(name: string): Promise<Laid> {
    let found: Laid | undefined
    await spoken(this.#setting, {
      onMessage(said, laid) {
        if (said === name) found ??= laid
        return [laid.bytes]
      },
    })
    assert.ok(found !== undefined, `the puppet says no ${name}`)
    return found
  }

  /** The records of the puppet without a fault. */
  async records(): Promise<readonly Buffer[]> {
    const records: Buffer[] = []
    await spoken(this.#setting, {
      onRecord(record) {
        records.push(record)
        return [record]
      },
    })
    return records
  }

  /** The conversation with these messages in the place of the right one. */
  endingWith(name: string, messages: readonly Uint8Array[], what: string): Promise<string> {
    let isFirst = true
    const onMessage: PuppetOptions['onMessage'] = (said, laid) => {
      if (said !== name || !isFirst) return [laid.bytes]
      isFirst = false
      return messages
    }
    return this.ending({ onMessage }, `${name}, ${what}`)
  }

  /**
   * Each bit of a message flipped before it enters the puppet's transcript; each `stride`th of the
   * fields for which one is named.
   */
  async flips(name: string, strideOf: (field: string) => number = everyBit): Promise<Tally> {
    const { bytes, fields } = await this.messageOf(name)
    const counter = new Counter()
    for (const field of fields) {
      for (const bit of bitsOf(field, strideOf(field.name))) {
        const what = `${field.name}, bit ${bit}`
        counter.count(field.name, await this.endingWith(name, [flipBit(bytes, bit)], what))
      }
    }
    return counter.tally
  }

  /** Each bit of a record flipped on the wire, where the puppet does not see it. */
  async wireFlips(index: number, stride = 1): Promise<Tally> {
    const record = (await this.records())[index]
    assert.ok(record !== undefined)
    const counter = new Counter()
    for (const field of recordFields(record)) {
      for (const bit of bitsOf(field, field.name === 'body' ? stride : 1)) {
        const onRecord: PuppetOptions['onRecord'] = (sent, at) => [
          at === index ? flipBit(sent, bit) : sent,
        ]
        const what = `record ${index}, ${field.name}, bit ${bit}`
        counter.count(field.name, await this.ending({ onRecord }, what))
      }
    }
    return counter.tally
  }
}

function everyBit(): number {
  return 1
}

/** RFC 8446 §5.1 */
function recordFields(record: Uint8Array): readonly Field[] {
  return [
    { name: 'type', start: 0, end: 1 },
    { name: 'major version', start: 1, end: 2 },
    { name: 'minor version', start: 2, end: 3 },
    { name: 'length', start: 3, end: 5 },
    { name: 'body', start: 5, end: record.length },
  ]
}

const lastWords = 'after all'
const closing = [data(lastWords), closeNotify]

/** To its end: where both sides are content, data and a farewell. */
async function spoken(setting: Setting, puppet: Partial<PuppetOptions>): Promise<Talk> {
  const { afterwards = [], options } = setting
  const talked = await new Talk({ ...setting.puppet, ...puppet, afterwards }, options).start()
  return talked.secured.length === 0 ? talked : talked.run(...closing)
}

/** More bytes are due: it says nothing, until the stream ends. */
function waiting(talked: Talk, late: boolean, what: string): string {
  talked.client.endOfStream()
  assertUntouched(talked, late, what)
  const [error] = talked.failed
  assert.ok(error instanceof PeerError && error.code === 'ERR_TLS_TRUNCATED', what)
  assert.deepEqual(talked.puppet.alerts, [], what)
  assertOver(talked, what)
  return 'waits'
}

/** It must have been harmless: both sides agree, data comes through. Says what was agreed on. */
async function accepted(talked: Talk, what: string): Promise<string> {
  assertOpen(talked, what)
  assert.equal(talked.text, lastWords, what)
  assert.equal(talked.ended, 1, what)
  talked.client.write(Buffer.from('heard'))
  assert.equal(talked.puppet.data.at(-1)?.toString(), 'heard', what)
  assertOpen(talked, what)
  const [{ peer, ...rest } = {}] = talked.secured
  return JSON.stringify({ ...rest, server: peer?.fingerprint, tickets: talked.sessions.length })
}

function refused(talked: Talk, late: boolean, what: string): string {
  const { failed, puppet } = talked
  assertUntouched(talked, late, what)
  const [error] = failed
  assert.ok(error instanceof PeerError, `${what}: ${String(error)}`)
  assertOver(talked, what)
  const [alert, ...more] = puppet.alerts
  assert.deepEqual(more, [], what)
  // Where the two sides have other keys, the alert is for nobody.
  if (alert === undefined && puppet.unreadable === 1) return `unread ${error.code}`
  assert.ok(alert !== undefined, `${what}: no alert for ${error.code}`)
  assert.equal(alert.level, 2, what)
  const codes = codesOf[alert.name] ?? []
  assert.ok(
    codes.includes(error.code),
    `${what}: ${alert.name} for ${error.code}: ${error.message}`,
  )
  return alert.name
}

/** Nothing came up, and before the server has proven itself nothing of ours went out. */
function assertUntouched(talked: Talk, late: boolean, what: string): void {
  const { failed, secured, data: heard, signed, puppet, ended } = talked
  assert.equal(failed.length, 1, what)
  assert.equal(ended, 0, what)
  // Behind the handshake, what came whole before the fault was good.
  if (late) return assert.ok(heard.length === 0 || talked.text === lastWords, what)
  assert.equal(heard.length, 0, what)
  assert.equal(secured.length, 0, what)
  assert.equal(signed, 0, what)
  assert.ok(
    puppet.received.every((name) => name === 'ClientHello'),
    what,
  )
}

/** How many of a field's faults ended in which way, as one line for each field. */
export type Tally = Readonly<Record<string, string>>

export class Counter {
  readonly #counts = new Map<string, Map<string, number>>()

  count(field: string, outcome: string): void {
    const outcomes = this.#counts.get(field) ?? new Map<string, number>()
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    this.#counts.set(field, outcomes)
  }

  get tally(): Tally {
    const lines = [...this.#counts].map(([field, outcomes]) => {
      const sorted = [...outcomes].toSorted(([a], [b]) => (a < b ? -1 : 1))
      return [field, sorted.map(([outcome, count]) => `${outcome} ${count}`).join(', ')] as const
    })
    return Object.fromEntries(lines)
  }
}

function* bitsOf({ start, end }: Field, stride: number): Iterable<number> {
  for (let bit = start * 8; bit < end * 8; bit += stride) yield bit
}

export function flipBit(bytes: Uint8Array, bit: number): Buffer {
  const changed = Buffer.from(bytes)
  const at = Math.floor(bit / 8)
  changed.writeUInt8(changed.readUInt8(at) ^ (0x80 >> (bit % 8)), at)
  return changed
}
