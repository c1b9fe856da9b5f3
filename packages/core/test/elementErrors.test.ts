/**
 * How elements fail, as the port says it: which codes there are, whose fault each is, and whether
 * the same call may succeed when it is made again without anyone changing anything.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdapterError, CallerError, PeerError } from '../src/errors.ts'
import {
  type ElementErrorCode,
  elementError,
  isElementError,
  isRetryable,
} from '../src/elementErrors.ts'

const [adapter, caller, peer] = [AdapterError, CallerError, PeerError]
const again = true
const never = false

/** Written out from what stands at each code; a code without a row does not compile. */
const codes: Readonly<
  Record<ElementErrorCode, readonly [typeof adapter | typeof caller | typeof peer, boolean]>
> = {
  // The world is in the way, and it passes: someone else, a bus, damage, a generator that is not
  // trusted now, a watchdog, a token that is pulled and put back.
  ERR_ELEMENT_BUSY: [adapter, again],
  ERR_ELEMENT_BUS: [adapter, again],
  ERR_ELEMENT_CRC: [adapter, again],
  ERR_ELEMENT_RNG_HEALTH: [adapter, again],
  ERR_ELEMENT_WATCHDOG: [adapter, again],
  ERR_ELEMENT_GONE: [adapter, again],
  // The world is in the way, and stays so until someone looks after it.
  ERR_ELEMENT_PARSE: [adapter, never],
  ERR_ELEMENT_SELFTEST: [adapter, never],
  ERR_ELEMENT_SWAPPED: [adapter, never],
  ERR_ELEMENT_DAMAGED: [adapter, never],
  // What somebody else gave is not right, and will not be.
  ERR_ELEMENT_VERIFY_FAILED: [peer, never],
  ERR_ELEMENT_ECC: [peer, never],
  // The rules and the state of the element: they do not change by themselves.
  ERR_ELEMENT_POLICY: [caller, never],
  ERR_ELEMENT_LOCKED: [caller, never],
  ERR_ELEMENT_NOT_LOCKED: [caller, never],
  ERR_ELEMENT_COUNTER_LIMIT: [caller, never],
  ERR_ELEMENT_CONFIG: [caller, never],
  ERR_ELEMENT_UNSUPPORTED: [caller, never],
  ERR_ELEMENT_SLOT_EMPTY: [caller, never],
  // What the caller gave. A PIN is never tried again by itself: tokens count.
  ERR_ELEMENT_CONFIRMATION: [caller, never],
  ERR_ELEMENT_PIN: [caller, never],
  ERR_ELEMENT_MODULE: [caller, never],
  ERR_ELEMENT_URL: [caller, never],
  ERR_ELEMENT_SLOT: [caller, never],
  ERR_ELEMENT_DIGEST: [caller, never],
  ERR_ELEMENT_ARGUMENT: [caller, never],
  ERR_ELEMENT_MODE: [caller, never],
}

test('each code of an element says whose fault it is, and whether to try again', () => {
  for (const [name, [kind, isAgain]] of Object.entries(codes)) {
    const error = elementError(name as ElementErrorCode, 'words')
    assert.ok(error instanceof kind, name)
    assert.equal(isRetryable(error.code), isAgain, name)
    assert.ok(isElementError(error), name)
  }
})

test('a code of something else is none of an element', () => {
  for (const code of ['ERR_ELEMENT', 'ERR_KEY_SHARE', 'toString']) {
    assert.equal(isElementError(Object.assign(new Error('words'), { code })), false, code)
  }
  assert.equal(isElementError({ code: 'ERR_ELEMENT_BUSY' }), false)
})
