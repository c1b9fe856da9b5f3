import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DeviceRow, DeviceState } from '../../src/ports.ts'
import {
  lifecycle,
  type Move,
  type MoveActor,
  moved,
  stateRefusal,
} from '../../src/registry/lifecycle.ts'
import { deviceRow } from '../store/rows.ts'

const states: readonly DeviceState[] = [
  'manufactured',
  'personalized',
  'enrolled',
  'active',
  'suspended',
  'revoked',
  'retired',
]
const actors: readonly MoveActor[] = ['operator', 'device', 'system', 'authority']

/** Every legal move, written out: `from move by → to`. Whatever is not here is refused. */
const legal: Readonly<Record<string, DeviceState>> = {
  'manufactured personalize authority': 'personalized',
  'manufactured enroll authority': 'enrolled',
  'personalized enroll authority': 'enrolled',
  'personalized activate device': 'active',
  'enrolled activate device': 'active',
  'manufactured suspend operator': 'suspended',
  'personalized suspend operator': 'suspended',
  'enrolled suspend operator': 'suspended',
  'active suspend operator': 'suspended',
  'manufactured suspend system': 'suspended',
  'personalized suspend system': 'suspended',
  'enrolled suspend system': 'suspended',
  'active suspend system': 'suspended',
  'suspended resume operator': 'enrolled',
  'manufactured revoke operator': 'revoked',
  'personalized revoke operator': 'revoked',
  'enrolled revoke operator': 'revoked',
  'active revoke operator': 'revoked',
  'suspended revoke operator': 'revoked',
  'manufactured revoke system': 'revoked',
  'personalized revoke system': 'revoked',
  'enrolled revoke system': 'revoked',
  'active revoke system': 'revoked',
  'suspended revoke system': 'revoked',
  'manufactured retire operator': 'retired',
  'personalized retire operator': 'retired',
  'enrolled retire operator': 'retired',
  'active retire operator': 'retired',
  'suspended retire operator': 'retired',
}

const inState = (state: DeviceState): DeviceRow =>
  deviceRow(1, { state, resumeState: state === 'suspended' ? 'enrolled' : null })

describe('the life of a device', () => {
  test('every state, every move, every actor: what the table says and nothing else', () => {
    for (const state of states)
      for (const move of Object.keys(lifecycle).filter((name): name is Move => name in lifecycle))
        for (const by of actors) {
          const name = `${state} ${move} ${by}`
          const expected = legal[name]
          if (expected === undefined) {
            assert.throws(
              () => moved(inState(state), move, by, null),
              { code: 'ERR_DEVICE_STATE' },
              name,
            )
            continue
          }
          const before = inState(state)
          const after = moved(before, move, by, 'a reason')
          assert.equal(after.state, expected, name)
          assert.equal(after.version, before.version + 1)
          assert.equal(after.reason, 'a reason')
          assert.equal(after.resumeState, move === 'suspend' ? state : null)
        }
  })

  test('what ends a device ends its certificates, its sessions and its downlinks', () => {
    for (const { to, certificates, sessions, downlinks } of Object.values(lifecycle)) {
      const final = to === 'revoked' || to === 'retired'
      assert.equal(certificates, final ? 'revoke' : 'keep')
      assert.equal(sessions, final || to === 'suspended' ? 'end' : 'keep')
      assert.equal(downlinks === 'drop', final)
    }
  })

  test('only a device that is personalized, enrolled or active may knock', () => {
    const codes = states.map((state) => [state, stateRefusal(inState(state))?.code])
    assert.deepEqual(Object.fromEntries(codes), {
      manufactured: 'ERR_DEVICE_STATE',
      personalized: undefined,
      enrolled: undefined,
      active: undefined,
      suspended: 'ERR_DEVICE_SUSPENDED',
      revoked: 'ERR_DEVICE_REVOKED',
      retired: 'ERR_DEVICE_RETIRED',
    })
  })

  test('an illegal move says what is legal instead', () => {
    assert.throws(() => moved(inState('active'), 'resume', 'operator', null), {
      hint: 'From active the operator may: suspend, revoke, retire.',
    })
    assert.throws(() => moved(inState('revoked'), 'resume', 'operator', null), {
      hint: 'revoked is final.',
    })
  })
})
