import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PeerError } from '@countersign/core/errors'
import {
  CommandDesk,
  type CommandHandler,
  type CommandOutcome,
  type CommandWay,
  type DeviceEvent,
  parseCommand,
} from '@countersign/device'

const now = Date.UTC(2026, 10, 23)
const id = '019aae6c00000123456789abcdefabcd'
const text = (which = id, expires = '2026-11-23T01:00:00.000Z'): string =>
  `{"id":"${which}","name":"set.point","data":{"v":12345678901234567890},"expires":"${expires}"}`

describe('a command as it comes', () => {
  it('is taken as it was written', () => {
    const command = parseCommand(text())
    assert.deepEqual(command, {
      id,
      name: 'set.point',
      data: { v: 12345678901234567000 },
      text: '{"v":12345678901234567890}',
      expires: now + 3_600_000,
    })
    assert.equal(parseCommand(` ${text().replaceAll(',', ' ,\n')}`).id, id)
  })

  const sound = text()
  const deep = '['.repeat(40) + ']'.repeat(40)
  for (const [what, bad, named] of [
    ['nothing', '', false],
    ['an array', `[${sound}]`, false],
    ['more than one', sound + sound, false],
    ['no id', sound.replace(id, ''), false],
    ['another’s id', sound.replace(id, id.toUpperCase()), false],
    ['a number for an id', sound.replace(`"${id}"`, '7'), false],
    ['an id twice', sound.replace('{"id"', `{"id":"${id}","id"`), false],
    ['no name', sound.replace('"name":"set.point",', ''), true],
    ['a path for a name', sound.replace('set.point', '../x'), true],
    ['a dot for a name', sound.replace('set.point', '.'), true],
    ['no data', sound.replace('"data"', '"date"'), true],
    ['no expiry', sound.replace(/,"expires":"[^"]*"/, ''), true],
    ['a time without offset', sound.replace('.000Z', ''), true],
    ['a day that is none', sound.replace('11-23', '02-30'), true],
    ['a fifth member', sound.replace('{', '{"x":1,'), true],
    ['depth', sound.replace('{"v":12345678901234567890}', deep), false],
    ['length', sound.replace('12345678901234567890', `"${'x'.repeat(20_000)}"`), false],
  ] as const)
    it(`${what} is none`, () => {
      assert.throws(
        () => parseCommand(bad),
        (error) => {
          assert.ok(error instanceof PeerError)
          assert.equal(error.code, 'ERR_COMMAND_FORMAT')
          assert.equal(error.details['id'], named ? id : undefined)
          return true
        },
      )
    })

  it('every cut is refused, and no flipped bit is anything but refused or a command', () => {
    for (let end = 0; end < sound.length; end++)
      assert.throws(() => parseCommand(sound.slice(0, end)), PeerError)
    const bytes = Buffer.from(sound)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        const command = parseCommand(flipped.toString('utf8'))
        assert.match(command.id, /^[0-9a-f]{32}$/)
        assert.ok(Number.isSafeInteger(command.expires))
      } catch (error) {
        assert.ok(error instanceof PeerError, String(error))
      }
    }
  })
})

/** A server as a device's desk sees it. */
class Way implements CommandWay {
  readonly said: string[] = []
  readonly outcomes: CommandOutcome[] = []
  broken = 0
  ended = false
  fault: string | undefined

  async delivered(which: string): Promise<boolean> {
    this.#breakOff()
    this.said.push(`delivered ${which.slice(-4)}`)
    return !this.ended
  }

  async answered(which: string, outcome: CommandOutcome): Promise<string | undefined> {
    this.#breakOff()
    this.said.push(`answered ${which.slice(-4)}`)
    this.outcomes.push(outcome)
    return this.fault
  }

  #breakOff(): void {
    if (this.broken > 0 && --this.broken === 0) throw new Error('the way broke')
  }
}

describe('the desk of commands', () => {
  const done: CommandOutcome = { contentType: 'text/plain', body: Buffer.from('done') }

  function desk(handle: CommandHandler = async () => done, clock = { now: () => now }) {
    const ran: string[] = []
    const events: DeviceEvent[] = []
    const made = new CommandDesk({
      clock,
      listener: (event) => events.push(event),
      handle: (command) => {
        ran.push(command.id.slice(-4))
        return handle(command)
      },
    })
    return { desk: made, ran, events, way: new Way() }
  }

  it('runs what the server knows it has, then tells what came of it', async () => {
    const {
      desk: taking,
      way,
      events,
    } = desk(async (command) => {
      assert.deepEqual(way.said, ['delivered abcd'])
      assert.equal(command.text, '{"v":12345678901234567890}')
      return done
    })
    await taking.take(text(), way)
    assert.deepEqual(way.said, ['delivered abcd', 'answered abcd'])
    assert.deepEqual(way.outcomes, [done])
    assert.deepEqual(events, [
      { event: 'command', id, name: 'set.point' },
      { event: 'commandAnswered', id },
    ])
  })

  it('runs a command that is given twice once, also at the same time', async () => {
    const { desk: taking, way, ran } = desk()
    await Promise.all([taking.take(text(), way), taking.take(text(), way)])
    await taking.take(text(), way)
    assert.deepEqual(ran, ['abcd'])
    assert.equal(way.outcomes.length, 1)
  })

  it('runs none that has ended meanwhile', async () => {
    const { desk: taking, way, ran } = desk()
    way.ended = true
    await taking.take(text(), way)
    assert.deepEqual([ran, way.said], [[], ['delivered abcd']])
  })

  it('refuses one that was withheld until it was late, by its own clock', async () => {
    const clock = { now: () => now + 3_600_000 }
    const { desk: taking, way, ran } = desk(undefined, clock)
    await taking.take(text(), way)
    assert.deepEqual(ran, [])
    assert.deepEqual(way.outcomes, [
      {
        refused:
          'it expired at 2026-11-23T01:00:00.000Z; the clock here says 2026-11-23T01:00:00.000Z',
      },
    ])
  })

  it('looks at the clock after the server has answered: that answer can be withheld too', async () => {
    let time = now
    const { desk: taking, way, ran } = desk(undefined, { now: () => time })
    const said = way.delivered.bind(way)
    way.delivered = async (which) => {
      time += 3_600_000
      return said(which)
    }
    await taking.take(text(), way)
    assert.deepEqual(ran, [])
  })

  it('does not run what the server may not know of', async () => {
    const { desk: taking, way, ran } = desk()
    way.broken = 1
    await assert.rejects(taking.take(text(), way), /the way broke/)
    assert.deepEqual(ran, [])
    await taking.take(text(), way)
    assert.deepEqual(ran, ['abcd'])
  })

  it('says again that it has a command when the answer was lost, and runs it then', async () => {
    const { desk: taking, way, ran } = desk()
    way.broken = 1
    await assert.rejects(taking.take(text(), way), /the way broke/)
    way.broken = 1
    await assert.rejects(taking.flush(way), /the way broke/)
    await taking.flush(way)
    await taking.flush(way)
    assert.deepEqual([ran, way.said], [['abcd'], ['delivered abcd', 'answered abcd']])
  })

  it('keeps an outcome until the server has it, and does not run the command again', async () => {
    const { desk: taking, way, ran } = desk()
    way.broken = 2
    await assert.rejects(taking.take(text(), way), /the way broke/)
    assert.deepEqual(way.outcomes, [])
    way.broken = 1
    await assert.rejects(taking.flush(way), /the way broke/)
    await taking.take(text(), way)
    await taking.flush(way)
    assert.deepEqual([ran, way.outcomes], [['abcd'], [done]])
  })

  it('refuses when the server does not take its result, and does not go on for ever', async () => {
    const { desk: taking, way, events } = desk()
    way.fault = 'no'
    await taking.take(text(), way)
    const reason = 'the server does not take its result: no'
    assert.deepEqual(way.outcomes, [done, { refused: reason }])
    assert.deepEqual(events.at(-1), { event: 'commandRefused', id, reason })
  })

  it('refuses what it cannot read by its id, and says so of what has none', async () => {
    const { desk: taking, way, ran } = desk()
    await taking.take(text().replace('"data"', '"date"'), way)
    assert.deepEqual(way.outcomes, [{ refused: 'a command has no data' }])
    await assert.rejects(taking.take('{}', way), { code: 'ERR_COMMAND_FORMAT' })
    assert.deepEqual(ran, [])
  })

  for (const [what, handle, refused] of [
    ['throws', () => Promise.reject(new Error('no\r\nvalve\u001b[31m')), 'no valve [31m'],
    ['refuses without a word', async () => ({ refused: '' }), 'no reason was given'],
    [
      'returns too much',
      async () => ({ contentType: 'x/y', body: Buffer.alloc(65_537) }),
      'its result of 65537 bytes is more than 65536',
    ],
  ] as const)
    it(`a handler that ${what} refuses`, async () => {
      const { desk: taking, way, events } = desk(handle)
      await taking.take(text(), way)
      assert.deepEqual(way.outcomes, [{ refused }])
      assert.deepEqual(events.at(-1), { event: 'commandRefused', id, reason: refused })
    })

  it('says null of a handler that has nothing to say', async () => {
    const { desk: taking, way } = desk(async () => ({ contentType: 'x/y', body: Buffer.alloc(0) }))
    await taking.take(text(), way)
    const [outcome] = way.outcomes
    assert.ok(outcome !== undefined && 'body' in outcome)
    assert.equal(Buffer.from(outcome.body).toString(), 'null')
    assert.equal(outcome.contentType, 'application/json')
  })

  it('remembers a bounded number of commands', async () => {
    const { desk: taking, way, ran } = desk()
    const ids = Array.from({ length: 257 }, (_, n) => n.toString(16).padStart(32, '0'))
    for (const each of ids) await taking.take(text(each), way)
    await taking.take(text(ids[256]), way)
    assert.equal(ran.length, 257)
    await taking.take(text(ids[0]), way)
    assert.equal(ran.length, 258)
  })
})
