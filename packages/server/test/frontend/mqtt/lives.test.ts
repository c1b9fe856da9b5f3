/**
 * Random lives of a device's clients against a model that says in a few lines what sessions, QoS 2
 * and subscriptions are. The seed is printed by what fails; SEED=… repeats it.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TestDevice } from '../house.ts'
import type { MqttClient } from './client.ts'
import { MqttHouse, topicOf } from './house.ts'
import { seed } from './support.ts'

const names = ['a', 'b', 'c'] as const
const expirySeconds = 100
const steps = 200

/** What is kept under a client id. */
interface Session {
  isKept: boolean
  isSubscribed: boolean
  leftAt: number | undefined
  /** QoS 2: waiting for PUBREL. */
  readonly received: Set<number>
}

class Life {
  readonly history: string[] = []
  readonly #house: MqttHouse
  readonly #device: TestDevice
  readonly #clients: Map<string, MqttClient> = new Map()
  readonly #sessions: Map<string, Session> = new Map()
  readonly #messages: number[] = []
  readonly #waiting: string[] = []
  #state: number
  #count = 0

  constructor(house: MqttHouse, device: TestDevice, start: number) {
    this.#house = house
    this.#device = device
    this.#state = start | 1
  }

  /** 0 to `below` - 1: xorshift32. */
  #draw(below: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % below
  }

  async step(): Promise<void> {
    const name = names[this.#draw(names.length)] ?? 'a'
    const client = this.#clients.get(name)
    if (this.#draw(20) === 0) return await this.#restart()
    if (this.#draw(8) === 0) return this.#wait()
    if (this.#draw(6) === 0) return await this.#command()
    if (client === undefined || this.#draw(10) === 0) return await this.#connect(name)
    const session = this.#sessions.get(name)
    assert.ok(session)
    switch (this.#draw(7)) {
      case 0:
        return await this.#leave(name, client)
      case 1:
        return await this.#subscribe(name, client, session)
      case 2:
        return await this.#unsubscribe(name, client, session)
      case 3:
        return await this.#once(name, client)
      case 4:
        return await this.#release(name, client, session)
      default:
        return await this.#exactlyOnce(name, client, session)
    }
  }

  async #connect(name: string): Promise<void> {
    const [isKept, clean] = [this.#draw(3) > 0, this.#draw(4) === 0]
    const before = this.#clients.get(name)
    this.#note(`${name} connects${isKept ? ', kept' : ''}${clean ? ', clean' : ''}`)
    const client = this.#house.client(this.#device)
    const properties = isKept ? { sessionExpiryInterval: expirySeconds } : {}
    const { sessionPresent } = await client.connect(name, { clean, properties })
    if (before !== undefined) assert.equal(await before.ended(), 0x8e)
    const kept = clean ? undefined : this.#living(name)
    assert.equal(sessionPresent, kept !== undefined)
    const fresh: Session = {
      isKept,
      isSubscribed: false,
      leftAt: undefined,
      received: new Set(),
    }
    this.#sessions.set(name, kept === undefined ? fresh : { ...kept, isKept, leftAt: undefined })
    this.#clients.set(name, client)
    await this.#drain()
  }

  #living(name: string): Session | undefined {
    const session = this.#sessions.get(name)
    if (session === undefined || !session.isKept) return undefined
    const age = session.leftAt === undefined ? 0 : this.#now - session.leftAt
    return age < expirySeconds * 1000 ? session : undefined
  }

  async #leave(name: string, client: MqttClient): Promise<void> {
    const isVanishing = this.#draw(2) === 0
    this.#note(`${name} ${isVanishing ? 'vanishes' : 'leaves'}`)
    if (isVanishing) await client.vanish()
    else await client.leave()
    await this.#left(name)
  }

  async #left(name: string): Promise<void> {
    const session = this.#sessions.get(name)
    this.#clients.delete(name)
    if (session?.isKept === true) session.leftAt = this.#now
    else this.#sessions.delete(name)
    await this.#house.until(async () =>
      (await this.#house.sessions()).every(
        ({ clientId, holder, leftAt }) =>
          holder !== this.#device.row.id || clientId !== name || leftAt !== null,
      ),
    )
  }

  async #subscribe(name: string, client: MqttClient, session: Session): Promise<void> {
    this.#note(`${name} subscribes`)
    assert.deepEqual(await client.subscribe(this.#filter), [1])
    session.isSubscribed = true
    await this.#drain()
  }

  async #unsubscribe(name: string, client: MqttClient, session: Session): Promise<void> {
    this.#note(`${name} unsubscribes`)
    client.send({ cmd: 'unsubscribe', messageId: client.id(), unsubscriptions: [this.#filter] })
    const { granted } = await client.next('unsuback')
    assert.deepEqual(granted, [session.isSubscribed ? 0 : 0x11])
    session.isSubscribed = false
  }

  async #once(name: string, client: MqttClient): Promise<void> {
    const n = this.#number()
    this.#note(`${name} publishes ${n}`)
    await client.deliver(this.#topic, `${n}`, { messageId: 1000 + n })
    this.#messages.push(n)
  }

  /** Under a few identifiers: it may be the one before it once more. */
  async #exactlyOnce(name: string, client: MqttClient, session: Session): Promise<void> {
    const messageId = 1 + this.#draw(4)
    const n = this.#number()
    this.#note(`${name} publishes ${n} under ${messageId}`)
    client.publish(this.#topic, `${n}`, { qos: 2, messageId })
    const { messageId: answered, reasonCode = 0 } = await client.next('pubrec')
    assert.deepEqual([answered, reasonCode], [messageId, 0])
    if (!session.received.has(messageId)) this.#messages.push(n)
    session.received.add(messageId)
  }

  async #release(name: string, client: MqttClient, { received }: Session): Promise<void> {
    const messageId = 1 + this.#draw(4)
    this.#note(`${name} releases ${messageId}`)
    assert.equal(await client.release(messageId), received.delete(messageId) ? 0 : 0x92)
  }

  async #command(): Promise<void> {
    const name = `c-${this.#number()}`
    this.#note(`command ${name}`)
    if (this.#waiting.length > 20) return
    await this.#house.command(this.#device, name, { expiresAt: this.#now + 86_400_000 })
    this.#waiting.push(name)
    await this.#drain()
  }

  /** What waits goes to a client that is there and has subscribed; each of it once. */
  async #drain(): Promise<void> {
    const readers = [...this.#clients].filter(([name]) => this.#sessions.get(name)?.isSubscribed)
    if (readers.length === 0) return
    while (this.#waiting.length > 0) {
      let reader: MqttClient | undefined
      await this.#house.until(() => {
        reader = readers.map(([, each]) => each).find(({ unread }) => unread.length > 0)
        return reader !== undefined
      })
      const { topic } = (await reader?.take()) ?? {}
      assert.equal(topic, topicOf(this.#device, `commands/${this.#waiting.shift()}`))
    }
    for (const [, reader] of readers) await reader.ping()
  }

  #wait(): void {
    const milliseconds = [1_000, 60_000, 100_000][this.#draw(3)] ?? 0
    this.#note(`${milliseconds} ms pass`)
    this.#house.timers.advance(milliseconds)
  }

  async #restart(): Promise<void> {
    this.#note('the door restarts')
    const clients = [...this.#clients]
    await this.#house.restart()
    for (const [name, client] of clients) {
      assert.equal(await client.ended(), 0x8b)
      await this.#left(name)
    }
  }

  async isAsTheModelSays(): Promise<void> {
    const said = (await this.#house.said(this.#device)).map(([, data]) => data)
    assert.deepEqual(said, this.#messages)
    for (const client of this.#clients.values()) await client.ping()
  }

  #number(): number {
    this.#count += 1
    return this.#count
  }

  #note(what: string): void {
    this.history.push(what)
  }

  get #now(): number {
    return this.#house.house.clock.now()
  }

  get #topic(): string {
    return topicOf(this.#device, 'n')
  }

  get #filter(): string {
    return topicOf(this.#device, 'commands/#')
  }
}

describe('clients of a device', () => {
  for (const n of [0, 1, 2])
    it(`live as the model says (life ${n})`, async (t) => {
      const house = await MqttHouse.create()
      t.after(() => house.close())
      await house.house.registry.setProduct('default', { messagesPerMinute: 100_000 })
      const life = new Life(house, await house.device(), seed + n * 7919)
      try {
        for (let step = 0; step < steps; step++) await life.step()
        await life.isAsTheModelSays()
      } catch (error) {
        const last = life.history.slice(-12).join('; ')
        throw new Error(`SEED=${seed}, life ${n}, step ${life.history.length}: ${last}`, {
          cause: error,
        })
      }
    })
})
