/** The protected records of RFC 8448, opened and sealed again to the same octets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { plaintextBytesMax } from '../../src/tls/limits.ts'
import { RecordProtection } from '../../src/tls/recordProtection.ts'
import { contentType, suites } from '../../src/tls/registry.ts'
import { type Actor, field, fieldOf, type Step, type TraceName, traces } from './rfc8448.ts'

const sendLabels: Readonly<Record<string, number>> = {
  'send handshake record': contentType.handshake,
  'send application_data record': contentType.applicationData,
  'send alert record': contentType.alert,
}

/** Under each key, in the order in which the trace derives them for writing. */
const recordsPerKey: Readonly<Record<TraceName, readonly number[]>> = {
  'Simple 1-RTT Handshake': [1, 3, 1, 2],
  'Resumed 0-RTT Handshake': [2, 1, 2, 1, 2],
  HelloRetryRequest: [1, 1, 1, 1],
  'Client Authentication': [1, 1, 1, 1],
  'Compatibility Mode': [1, 1, 1, 1],
}

/** Both ends of one direction under one key: who opens, and who seals, each with its own count. */
class Direction {
  readonly opener: RecordProtection
  readonly sealer: RecordProtection

  constructor(trafficSecret: Uint8Array) {
    const secret = nodeCrypto.importSecret(trafficSecret)
    this.opener = new RecordProtection(nodeCrypto, suites.TLS_AES_128_GCM_SHA256, secret)
    this.sealer = new RecordProtection(nodeCrypto, suites.TLS_AES_128_GCM_SHA256, secret)
  }

  check(step: Step): void {
    const what = `{${step.actor}} ${step.label}`
    const record = fieldOf(step, 'complete record')
    const payload = fieldOf(step, 'payload')
    const { type, content } = this.opener.open(
      record.subarray(0, 5),
      record.subarray(5),
      plaintextBytesMax,
    )
    assert.equal(hex(content), hex(payload), what)
    assert.equal(type, sendLabels[step.label], what)
    assert.equal(hex(this.sealer.seal(type, payload)), hex(record), what)
    assert.equal(this.sealer.count, this.opener.count)
  }
}

for (const one of traces) {
  test(`${one.name}: each protected record opens to its payload, which seals to its octets`, () => {
    const directions: Direction[] = []
    const current: Partial<Record<Actor, Direction>> = {}
    for (const step of one.steps) {
      // A step that is the same as another has no fields of its own: its label finds that one's.
      const derived = /^derive write traffic keys for .+? data/.exec(step.label)?.[0]
      if (derived !== undefined) {
        const direction = new Direction(field(one, step.actor, derived, 'PRK'))
        current[step.actor] = direction
        directions.push(direction)
      } else if (step.label.startsWith('send ') && fieldOf(step, 'complete record')[0] === 23) {
        const direction = current[step.actor]
        assert.ok(direction, step.label)
        direction.check(step)
      }
    }
    const counts = directions.map(({ opener }) => opener.count)
    assert.deepEqual(counts, recordsPerKey[one.name])
  })
}
