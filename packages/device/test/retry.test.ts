import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdapterError, PeerError } from '@countersign/core/errors'
import { type DeviceEvent, systemWorld, type World } from '../src/index.ts'
import { Later, persist } from '../src/retry.ts'

/** A world in which waiting takes no time and is written down. */
function patientWorld(onWait: () => void = () => undefined): { world: World; waited: number[] } {
  const waited: number[] = []
  const world: World = {
    ...systemWorld(),
    wait: async (milliseconds) => {
      waited.push(milliseconds)
      onWait()
    },
  }
  return { world, waited }
}

const broken = (): Error => new AdapterError('ERR_SERVER_UNREACHABLE', 'the way is broken')
const silent = (): Error => new AdapterError('ERR_SERVER_TIMEOUT', 'nobody answered')
const full = (afterMs?: number): Later => {
  const problem = { status: 503, code: undefined, message: 'full', hint: undefined }
  return new Later('the server cannot do that now', problem, afterMs, 'Come again.')
}

/** Fails with these errors in turn, then answers. */
function failing(...errors: readonly Error[]): { attempt: () => Promise<string>; count: number } {
  const state = {
    count: 0,
    attempt: async () => {
      const error = errors[state.count++]
      if (error !== undefined) throw error
      return 'answer'
    },
  }
  return state
}

const common = { attemptsMax: 4, listener: undefined, signal: undefined }

test('a broken way is tried again, and each further attempt is told', async () => {
  const { world, waited } = patientWorld()
  const events: DeviceEvent[] = []
  const work = failing(broken(), broken())
  const listener = (event: DeviceEvent): void => void events.push(event)
  assert.equal(await persist(work.attempt, { ...common, world, listener }), 'answer')
  assert.equal(work.count, 3)
  assert.deepEqual(
    events.map((event) => event.event === 'unreachable' && event.retryInMs),
    waited,
  )
  assert.equal(waited.length, 2)
})

test('the last of the attempts throws its failure', async () => {
  const { world, waited } = patientWorld()
  const work = failing(...Array.from({ length: 9 }, broken))
  const code = 'ERR_SERVER_UNREACHABLE'
  await assert.rejects(persist(work.attempt, { ...common, world }), { code })
  assert.deepEqual([work.count, waited.length], [4, 3])
})

test('a server that is silent is given up earlier than one that cannot be reached', async () => {
  const { world } = patientWorld()
  const mute = failing(broken(), silent(), silent(), silent())
  const code = 'ERR_SERVER_TIMEOUT'
  await assert.rejects(persist(mute.attempt, { ...common, silencesMax: 2, world }), { code })
  assert.equal(mute.count, 3)
  const slow = failing(silent(), broken(), broken())
  assert.equal(await persist(slow.attempt, { ...common, silencesMax: 2, world }), 'answer')
})

test('a server that asks to come again is not asked sooner', async () => {
  const { world, waited } = patientWorld()
  assert.equal(await persist(failing(full(7000)).attempt, { ...common, world }), 'answer')
  assert.deepEqual(waited, [7000])
})

test('a server that asks to come much later ends the command at once', async () => {
  const { world, waited } = patientWorld()
  const work = failing(full(3_600_000))
  await assert.rejects(persist(work.attempt, { ...common, world }), { code: 'ERR_SERVER_ANSWER' })
  assert.deepEqual([work.count, waited], [1, []])
})

test('a refusal is not repeated', async () => {
  const { world, waited } = patientWorld()
  const work = failing(new PeerError('ERR_ENROLL_REFUSED', 'no'))
  await assert.rejects(persist(work.attempt, { ...common, world }), { code: 'ERR_ENROLL_REFUSED' })
  assert.deepEqual([work.count, waited], [1, []])
})

test('a signal during the wait ends the attempts: nothing more is sent', async () => {
  const stop = new AbortController()
  const { world } = patientWorld(() => stop.abort())
  const work = failing(broken())
  const options = { ...common, world, signal: stop.signal }
  await assert.rejects(persist(work.attempt, options), { code: 'ERR_SERVER_UNREACHABLE' })
  assert.equal(work.count, 1)
})
