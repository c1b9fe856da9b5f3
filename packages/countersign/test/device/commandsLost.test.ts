/** Commands through a gateway that breaks, holds back and tampers: none is lost, none is run twice. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { systemWorld, type World } from '@countersign/device'
import type { CommandDocument } from '@countersign/server/control'
import { type HostileRelay, hostileRelay } from '@countersign/testbed'
import { Commanded, json } from './commanded.ts'
import { openTestHouse } from './house.ts'
import { openWay } from './way.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const house = await openTestHouse()
const { server, mqtts } = await house.invite()

async function relayTo(url: string, faultShare: number): Promise<HostileRelay> {
  const target = { host: '127.0.0.1', port: Number(new URL(url).port) }
  const relay = await hostileRelay({ target, seed, plan: { faultShare, delayMsMax: 2 } })
  after(() => relay.close())
  return relay
}

/** On this machine an answer that is not there at once was held back by the relay. */
const world: World = { ...systemWorld(), patience: { handshakeMs: 1000, answerMs: 1000 } }

for (const [road, faultShare] of [
  ['https', 0.5],
  ['mqtts', 0.7],
] as const)
  test(`over ${road} every command is run once and answered (seed ${seed})`, async () => {
    const ways = {
      server: `https://localhost:${(await relayTo(server, faultShare)).port}`,
      mqtts: `mqtts://localhost:${(await relayTo(mqtts, faultShare)).port}`,
    }
    const device = await Commanded.enrolled(house, `LOST-${road}`, road, { ...ways, world })
    const ran: unknown[] = []
    device.start(
      async ({ data }) => {
        ran.push(data)
        return json(data)
      },
      { world },
    )
    const numbers = Array.from({ length: 20 }, (_, n) => n)
    const sent: CommandDocument[] = []
    for (const n of numbers) {
      device.push(String(n))
      const command = await device.command('n', String(n))
      sent.push(command)
      await device.heard('commandAnswered', command.id)
    }
    const shown = await Promise.all(sent.map(({ id }) => device.show(id)))
    assert.deepEqual(ran, numbers)
    assert.deepEqual(
      shown.map(({ state, result }) => [state, result]),
      numbers.map((n) => ['answered', n]),
    )
    const summary = await device.stop()
    assert.equal(Number(summary?.sent) + Number(summary?.waiting), numbers.length)
  })

test('a device whose word was taken, and the answer lost, says it again and runs the command', async (t) => {
  const way = await openWay(server)
  const device = await Commanded.enrolled(house, 'LOST-word', 'https', { server: way.url })
  const { commands } = house.services
  const delivered = commands.delivered.bind(commands)
  let words = 0
  t.mock.method(commands, 'delivered', async (of: string, id: string) => {
    const isMine = await delivered(of, id)
    if (words++ === 0) way.cut()
    return isMine
  })
  const ran: string[] = []
  device.start(async ({ name }) => {
    ran.push(name)
    return json(name)
  })
  for (const name of ['lost', 'next']) {
    const { id } = await device.command(name)
    await device.heard('commandAnswered', id)
  }
  assert.deepEqual(ran, ['lost', 'next'])
  assert.equal(words, 3)
  await device.stop()
})
