import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coapCode, optionNumber, uintValue } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { judgeResponse } from '../src/coapOutcome.ts'
import type { Outcome } from '../src/road.ts'

const none = new Uint8Array()

function outcomeOf(code: number, payload: Uint8Array = none, maxAge?: Uint8Array): Outcome {
  const options = maxAge === undefined ? [] : [{ number: optionNumber.maxAge, value: maxAge }]
  return judgeResponse({ code, options, payload }, 'id-1')
}

function reasonOf(payload: Uint8Array): unknown {
  const outcome = outcomeOf(coapCode.forbidden, payload)
  return 'problem' in outcome ? [outcome.problem.status, outcome.problem.code] : outcome
}

test('each code of a response means one thing for the reading that waits', () => {
  const kinds: readonly (readonly [number, Outcome['kind']])[] = [
    [coapCode.changed, 'taken'],
    [coapCode.content, 'taken'],
    [coapCode.badRequest, 'rejected'],
    [coapCode.unauthorized, 'refused'],
    [coapCode.badOption, 'rejected'],
    [coapCode.forbidden, 'refused'],
    [coapCode.notFound, 'rejected'],
    [coapCode.methodNotAllowed, 'rejected'],
    [coapCode.requestEntityIncomplete, 'later'],
    [coapCode.requestEntityTooLarge, 'rejected'],
    [coapCode.unsupportedContentFormat, 'rejected'],
    [coapCode.tooManyRequests, 'later'],
    [coapCode.internalServerError, 'later'],
    [coapCode.serviceUnavailable, 'later'],
    // 7.31: no class that anybody knows.
    [0xff, 'rejected'],
  ]
  for (const [code, kind] of kinds) assert.equal(outcomeOf(code).kind, kind, `code ${code}`)
  assert.deepEqual(outcomeOf(coapCode.changed), { kind: 'taken', id: 'id-1' })
})

test('the code of the server is its reason, and a payload of anything else is none', () => {
  assert.deepEqual(reasonOf(utf8('ERR_DEVICE_SUSPENDED')), [403, 'ERR_DEVICE_SUSPENDED'])
  const strange = ['', 'err_lower', 'ERR_', `ERR_${'A'.repeat(61)}`, 'ERR_A\u001b[2J', 'ERR_A\n']
  for (const text of strange) assert.deepEqual(reasonOf(utf8(text)), [403, undefined])
  assert.deepEqual(reasonOf(Uint8Array.of(0xff, 0xfe)), [403, undefined])
  assert.deepEqual(reasonOf(new Uint8Array(2_000_000).fill(0x41)), [403, undefined])
})

test('when to come again is heard, up to an hour', () => {
  const afterOf = (maxAge: Uint8Array | undefined): number | undefined => {
    const outcome = outcomeOf(coapCode.tooManyRequests, none, maxAge)
    return outcome.kind === 'later' ? outcome.afterMs : Number.NaN
  }
  assert.equal(afterOf(undefined), undefined)
  assert.equal(afterOf(none), 0)
  assert.equal(afterOf(uintValue(7)), 7_000)
  assert.equal(afterOf(uintValue(0xffff_ffff)), 3_600_000)
  assert.equal(afterOf(new Uint8Array(9)), undefined)
})
