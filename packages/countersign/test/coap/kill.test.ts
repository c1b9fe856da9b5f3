/**
 * The same as lives.test.ts with processes of their own, which are killed: `device run` and `serve`,
 * and between them somebody who attacks and one who only looks. Tried by hand: it fails when the
 * numbers of either side are not written down ahead, and when the number of a reading is not kept.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { enroll } from '@countersign/device'
import { parseRecord } from '@countersign/element/shapes'
import { createFolder, openHouse } from '@countersign/server'
import { reachHouse } from '@countersign/server/reach'
import { allAttacks, type Seeded, seeded, WireWitness } from '@countersign/testbed'
import { startUdpRelay, type UdpRelay } from '../../../testbed/src/udpRelay.ts'
import { start } from '../cli/bin.ts'

/** A slice in the tests, many in a soak. */
const kills = Number(process.env['COAP_KILLS'] ?? 2)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
/** Of one device: it may make 48 handshakes a day, and its outbox must not be rewritten. */
const killsMax = 20
const killWithinMs = 400
/** A handshake that failed under attack is tried again after 10, 20, 40 seconds. */
const soonMs = 120_000
const passphrase = 'a passphrase of this test only'

test(`device and server killed at any moment keep every nonce and every reading (seed ${seed})`, async (t) => {
  const random = seeded(seed)
  const base = await mkdtemp(join(tmpdir(), 'countersign-coap-kill-'))
  t.after(() => rm(base, { recursive: true, force: true, maxRetries: 5 }))
  const server = await Server.found(t, base)
  const witness = new WireWitness()
  for (let killed = 0; killed < kills; killed += killsMax) {
    const relay = await startUdpRelay({
      target: { host: '127.0.0.1', port: server.port('coap') },
      plan: { share: 0.1, attacks: [...allAttacks, 'replay', 'replay'], lateMsMax: 3000 },
      random: random.fork(killed),
      seen: witness.see,
    })
    t.after(() => relay.close())
    const device = await Device.enrolled(server, relay, join(base, `device-${killed}`), killed)
    for (let kill = killed; kill < Math.min(kills, killed + killsMax); kill++) {
      await device.lives()
      await server.command(device.id, kill)
      await dieSomewhere(random, device, server)
    }
    relay.setPlan({ share: 0, lateMsMax: 1 })
    await device.comesToItsEnd()
    await relay.close()
    assert.deepEqual(witness.reused, [], `seed ${seed}`)
    await server.whileClosed(async () => await checkBooks(server, device))
  }
  assert.ok(witness.seen > 20 * kills, `${witness.seen} nonces were seen`)
})

/** Which of the two it is, and when, the seed says. */
async function dieSomewhere(random: Seeded, device: Device, server: Server): Promise<void> {
  const [whose, afterMs] = [random.below(3), random.below(killWithinMs)]
  await sleep(afterMs)
  if (whose !== 1) await device.kill()
  if (whose !== 0) await server.restart('SIGKILL')
}

type Child = ReturnType<typeof start>

class Server {
  readonly #dir: string
  readonly #file: string
  #child: Child | undefined
  #ports: Readonly<Record<string, number>> = {}

  static async found(t: TestContext, base: string): Promise<Server> {
    const dir = join(base, 'data')
    await createFolder(dir, { hosts: [], demo: false, passphrase, cost: { log2N: 10, r: 8, p: 1 } })
    const file = join(base, 'passphrase')
    await writeFile(file, `${passphrase}\n`, { mode: 0o600 })
    const server = new Server(dir, file)
    t.after(() => server.#child?.kill('SIGKILL'))
    await server.#start()
    // The rate limit is another test's.
    await server.#with((house) =>
      house.call('product.set', { name: 'default', messagesPerMinute: 100_000 }),
    )
    return server
  }

  private constructor(dir: string, file: string) {
    this.#dir = dir
    this.#file = file
  }

  port(door: string): number {
    return this.#ports[door] ?? assert.fail(`no ${door} is open`)
  }

  invite(): Promise<{ server: string; token: string; anchor: string }> {
    const expiresAt = Date.now() + 600_000
    return this.#with((house) =>
      house.call('identity.invite', { product: 'default', count: 1, expiresAt }),
    )
  }

  async command(id: string, number: number): Promise<void> {
    const expiresAt = Date.now() + 600_000
    const wish = { id, name: 'count', data: String(number), expiresAt }
    await this.#with((house) => house.call('command.send', wish))
  }

  async restart(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.#stop(signal)
    await this.#start()
  }

  async whileClosed(run: () => Promise<void>): Promise<void> {
    await this.#stop('SIGTERM')
    await run()
    await this.#start()
  }

  /** Of a device, in the store of a server that is closed. */
  async books(id: string): Promise<{
    readonly stored: ReadonlyMap<string, unknown>
    readonly states: ReadonlyMap<number, string>
  }> {
    const house = await openHouse(this.#dir, { passphrase })
    try {
      const rows = await house.store.find('message', 'source', id, { limit: 100_000 })
      const readings = rows.filter(({ type }) => type === 'countersign.message')
      const commands = await house.store.find('command', 'device', id)
      return {
        stored: new Map(readings.map(({ id: name, body }) => [name, parseRecord(body)?.['data']])),
        states: new Map(commands.map(({ data, state }) => [Number(data), state])),
      }
    } finally {
      await house.close()
    }
  }

  async #stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return
    child.kill(signal)
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }

  async #start(): Promise<void> {
    const doors = ['https', 'coap'].map((door) => `${door}=127.0.0.1:${this.#ports[door] ?? 0}`)
    const listen = [...doors, 'console=127.0.0.1:0', 'mqtts=0'].flatMap((at) => ['--listen', at])
    const child = start(['serve', '--dir', this.#dir, '--passphrase-file', this.#file, ...listen])
    this.#child = child
    let words = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text))
    for await (const line of createInterface({ input: child.stdout })) {
      const listeners = parseRecord(JSON.stringify(parseRecord(line)?.['listeners'] ?? null))
      if (listeners === undefined) continue
      this.#ports = Object.fromEntries(
        ['https', 'coap'].map((door) => [door, Number(new URL(String(listeners[door])).port)]),
      )
      return
    }
    throw new Error(`serve ended before it was ready: ${words}`)
  }

  async #with<Result>(
    run: (house: Awaited<ReturnType<typeof reachHouse>>) => Promise<Result>,
  ): Promise<Result> {
    const house = await reachHouse(this.#dir, {
      passphrase: () => Promise.resolve(passphrase),
      warn: () => undefined,
    })
    try {
      return await run(house)
    } finally {
      await house.close()
    }
  }
}

class Device {
  readonly id: string
  readonly eui64: string
  readonly state: string
  readonly acknowledged: Set<number> = new Set()
  readonly #args: readonly string[]
  readonly #ran: string
  #child: Child | undefined
  #feeding: Promise<void> = Promise.resolve()
  #lines = 0

  static async enrolled(
    server: Server,
    relay: UdpRelay,
    state: string,
    number: number,
  ): Promise<Device> {
    const coap = `coap://127.0.0.1:${relay.port}`
    const invitation = { ...(await server.invite()), coap }
    const { id, eui64 } = await enroll({ ...invitation, serial: `SN-KILL-${number}`, state })
    const ran = `${state}-ran`
    await writeFile(ran, '')
    const program = `${state}-count.sh`
    // Says which command it was given, once for each time.
    const script = `#!/bin/sh\nread number\necho "$number" >> '${ran}'\necho "$number"\n`
    await writeFile(program, script, { mode: 0o700 })
    return new Device({ id, eui64, state, ran, program })
  }

  private constructor(made: {
    readonly id: string
    readonly eui64: string
    readonly state: string
    readonly ran: string
    readonly program: string
  }) {
    this.id = made.id
    this.eui64 = made.eui64
    this.state = made.state
    this.#ran = made.ran
    const common = ['device', 'run', '--source', '-', '--topic', 'count', '--road', 'coap']
    this.#args = [...common, '--state', made.state, '--commands', made.program, '--json']
  }

  /** It runs, and something new of it has been acknowledged since. */
  async lives(): Promise<void> {
    if (this.#child === undefined) this.#start()
    const before = this.acknowledged.size
    await this.#until(() => this.acknowledged.size > before, 'nothing was acknowledged')
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
    await this.#feeding
  }

  /** Nothing new comes, and everything is acknowledged. */
  async comesToItsEnd(): Promise<void> {
    await this.lives()
    const child = this.#child ?? assert.fail('it does not run')
    this.#child = undefined
    await this.#feeding
    child.stdin.end()
    const late = setTimeout(() => child.kill('SIGKILL'), 2 * soonMs)
    await once(child, 'close')
    clearTimeout(late)
    assert.equal(child.exitCode, 0, `the last run ended with ${child.signalCode}`)
  }

  /** Commands in the order in which they were run. */
  async ran(): Promise<readonly number[]> {
    const text = await readFile(this.#ran, 'utf8')
    return text.split('\n').filter(Boolean).map(Number)
  }

  #start(): void {
    const child = start(this.#args)
    this.#child = child
    child.stdin.on('error', () => undefined)
    child.stderr.resume()
    createInterface({ input: child.stdout }).on('line', (text) => {
      const event = parseRecord(text)
      if (event?.['event'] === 'sent') this.acknowledged.add(Number(event['number']))
    })
    this.#feeding = this.#feed(child)
  }

  async #feed(child: Child): Promise<void> {
    while (this.#child === child) {
      // Far below what an outbox holds.
      if (this.#lines - this.acknowledged.size < 200) {
        child.stdin.write(`{"line":${this.#lines++}}\n`)
      }
      await sleep(20)
    }
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + soonMs
    while (!isSo()) {
      assert.ok(Date.now() < deadline, `${what} in ${soonMs} ms, seed ${seed}`)
      await sleep(5)
    }
  }
}

async function checkBooks(server: Server, device: Device): Promise<void> {
  const { stored, states } = await server.books(device.id)
  const kept = await keptReadings(device.state)
  assert.ok(kept.size > 2, `only ${kept.size} readings were kept: the test proves nothing`)
  const expected = [...kept].map(([number, data]) => [`${device.eui64}-${number}`, data])
  assert.deepEqual(Object.fromEntries(stored), Object.fromEntries(expected), `seed ${seed}`)
  for (const number of device.acknowledged) assert.ok(kept.has(number))
  const ran = await device.ran()
  assert.deepEqual([...new Set(ran)], ran, `a command ran twice, seed ${seed}`)
  for (const [number, state] of states) {
    // Killed between the two, nobody knows what became of it: it is not run again.
    assert.match(state, /^(answered|delivered)$/, `command ${number}, seed ${seed}`)
    if (state === 'answered') assert.ok(ran.includes(number), `command ${number} never ran`)
  }
}

/** Every reading that was ever numbered: the outbox is short enough never to have been rewritten. */
async function keptReadings(state: string): Promise<ReadonlyMap<number, unknown>> {
  const text = await readFile(join(state, 'outbox.jsonl'), 'utf8')
  const lines = text.split('\n').filter((each) => each.startsWith('{"number"'))
  const readings = lines.map((each): [number, unknown] => {
    const { number, data } = parseRecord(each) ?? {}
    return [Number(number), JSON.parse(Buffer.from(String(data), 'base64').toString())]
  })
  assert.equal(new Set(readings.map(([number]) => number)).size, readings.length)
  return new Map(readings)
}
