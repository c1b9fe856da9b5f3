/**
 * What happens at the same time, in one process and in two front ends over one store. The last test
 * runs random lives; SEED=<number> repeats one, COMMAND_LIVES=<number> runs more of them.
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Commands } from '../../src/commands/commands.ts'
import type { CommandAnswer, CommandState } from '../../src/ports.ts'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { seededNumbers } from '../support/seededNumbers.ts'
import { CommandsHouse, hour, one, two } from './house.ts'

const answer = (state: CommandAnswer['state']): CommandAnswer => ({
  state,
  contentType: 'text/plain',
  body: Buffer.from(state),
})

describe('at the same time', () => {
  let house: CommandsHouse
  beforeEach(async () => {
    house = await CommandsHouse.create()
  })
  afterEach(() => house.dispose())

  /** A front end that lets `between` happen after it has read and before it writes, once. */
  function overtaken(between: () => Promise<unknown>): Commands {
    let first = true
    return house.another({
      apply: async (change) => {
        if (first) {
          first = false
          await between()
        }
        return await house.store.apply(change)
      },
    })
  }

  it('delivered and expired: what is written first stays, once', async () => {
    const { id } = await house.queue('a')
    const late = overtaken(async () => {
      house.clock.time += hour
      await house.sweep()
    })
    assert.equal(await late.delivered(one, id), true)
    assert.equal(await house.state(id), 'expired')

    const { id: other } = await house.queue('b')
    house.clock.time += hour
    const sweeping = overtaken(async () => {
      house.clock.time -= hour
      await house.commands.delivered(one, other)
      house.clock.time += hour
    })
    assert.deepEqual(await sweeping.waiting(one, 10), [])
    assert.equal(await house.state(other), 'delivered')
    const types = (await house.events()).map(({ type }) => type)
    assert.deepEqual(types, ['countersign.command.expired', 'countersign.command.delivered'])
  })

  it('delivered and answered: the answer stays', async () => {
    const { id } = await house.queue('a')
    const late = overtaken(() => house.commands.answered(one, id, answer('answered')))
    assert.equal(await late.delivered(one, id), true)
    assert.equal(await house.state(id), 'answered')
    const { id: other } = await house.queue('b')
    const answering = overtaken(() => house.commands.delivered(one, other))
    assert.equal(await answering.answered(one, other, answer('answered')), true)
    assert.equal(await house.state(other), 'answered')
  })

  it('two answers at two front ends: one is taken', async () => {
    const { id } = await house.queue('a')
    const rooms = [house.commands, house.another(), house.another()]
    const taken = await Promise.all(
      rooms.map((room, n) => room.answered(one, id, answer(n === 1 ? 'refused' : 'answered'))),
    )
    assert.equal(taken.filter(Boolean).length, 1)
    const ended = (await house.audit()).filter(({ type }) => type !== 'command.queued')
    assert.equal(ended.length, 1)
    assert.equal((await house.events()).length, 1)
  })

  it('answered and revoked: an answer that was taken is not dropped', async () => {
    const { id } = await house.queue('a')
    const late = overtaken(() => house.move(one, 'revoked'))
    assert.equal(await late.answered(one, id, answer('answered')), false)
    const row = await house.commands.show(one, id)
    assert.deepEqual([row?.state, row?.reason], ['refused', 'the device is revoked'])
  })

  it('a store that fails says so, and nothing has changed', async () => {
    const { id } = await house.queue('a')
    const broken = house.another({ apply: () => Promise.reject(new Error('disk')) })
    await assert.rejects(broken.delivered(one, id), /disk/)
    assert.equal(await house.state(id), 'queued')
  })
})

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const lives = Number(process.env['COMMAND_LIVES'] ?? 3)
const steps = 150
/** What a state may have become when it is looked at again. */
const next: Readonly<Record<CommandState, readonly CommandState[]>> = {
  queued: ['queued', 'delivered', 'answered', 'refused', 'expired'],
  delivered: ['delivered', 'answered', 'refused'],
  answered: ['answered'],
  refused: ['refused'],
  expired: ['expired'],
}

for (let life = 0; life < lives; life++)
  describe(`a random life of commands (SEED=${seed + life})`, () => {
    const random = seededNumbers(seed + life)
    let house: CommandsHouse
    let rooms: readonly Commands[]
    const known = new Map<string, CommandState>()
    const ids: string[] = []

    beforeEach(async () => {
      house = await CommandsHouse.create({ queuedPerDeviceMax: 5, sweepPageMax: 7 })
      rooms = [house.commands, house.another()]
    })
    afterEach(() => house.dispose())

    async function act(): Promise<void> {
      const room = rooms[random(2)] ?? house.commands
      const device = random(4) === 0 ? two : one
      const id = ids[random(Math.max(1, ids.length))] ?? ''
      switch (random(8)) {
        case 0:
        case 1: {
          const wish = { device, name: 'a', data: '1', actor: 'operator' }
          const expiresAt = house.clock.now() + 1 + random(2 * hour)
          await room.queue({ ...wish, expiresAt }).then(
            (row) => ids.push(row.id),
            (error: unknown) => assert.match(String(error), /wait for this device already/),
          )
          return
        }
        case 2:
        case 3: {
          const given = await room.waiting(device, 5)
          for (const row of given) {
            assert.ok(row.expiresAt > house.clock.now(), 'an expired command was given out')
            assert.equal(row.device, device)
          }
          return
        }
        case 4:
          await room.delivered(device, id)
          return
        case 5:
          await room.answered(device, id, answer(random(2) === 0 ? 'answered' : 'refused'))
          return
        case 6:
          return house.move(one, random(2) === 0 ? 'suspended' : 'active')
        case 7:
          return house.sweep()
      }
    }

    async function look(): Promise<void> {
      for (const id of ids) {
        const row = await house.store.get('command', id)
        assert.ok(row)
        const was = known.get(id) ?? 'queued'
        assert.ok(next[was].includes(row.state), `${was} became ${row.state}`)
        known.set(id, row.state)
        assert.equal(row.waiting, row.state === 'queued' ? row.device : null)
      }
    }

    it('only goes forward, and every end is told once', async () => {
      for (let step = 0; step < steps; step++) {
        // The clock moves between the acts: those at the same time have one time.
        house.clock.time += random(hour / 4)
        await Promise.all(Array.from({ length: 1 + random(3) }, act))
        await look()
      }
      assert.deepEqual(house.failures, [])
      const told = (await house.events()).map(({ id }) => String(id))
      assert.equal(new Set(told).size, told.length)
      const ends = (await house.audit()).filter(({ type }) => type !== 'command.queued')
      const ended = [...known].filter(([, state]) => state !== 'queued' && state !== 'delivered')
      const logged = ends.map(({ type, data }) => {
        const { id } = JSON.parse(data) as { id: string }
        return `${id} ${type.slice('command.'.length)}`
      })
      const inTable = ended.map(([id, state]) => `${id} ${state}`)
      assert.deepEqual(logged.toSorted(), inTable.toSorted())
      await verifyLog(house.store)
    })
  })
