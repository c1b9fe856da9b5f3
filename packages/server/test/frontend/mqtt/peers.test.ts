/**
 * Clients that nobody here wrote, at the real door: mosquitto_pub and mosquitto_sub, and the
 * Eclipse Paho client for Python. One that is missing is a skip with its reason, or a failure where
 * PEERS=required.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, afterEach, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Shown, TestDevice } from '../house.ts'
import { MqttHouse, type TestApplication, topicOf } from './house.ts'

/** Debian's own: its packages are for it, whatever else is first in PATH. */
const python = '/usr/bin/python3'
const script = fileURLToPath(new URL('pahoWalk.py', import.meta.url))

/** For `skip`: false when the peer is there. `isThere`: whether it could be started and was content. */
function missing(what: string, isThere: boolean): string | false {
  if (isThere) return false
  if (process.env['PEERS'] === 'required') throw new Error(`${what} is required and missing`)
  return `${what} is not on this machine`
}

// mosquitto ends with 1 when it is asked for its version.
const programs = ['mosquitto_pub', 'mosquitto_sub']
const haveBoth = programs.every((program) => spawnSync(program, ['--version']).error === undefined)
const missingMosquitto = missing('mosquitto-clients', haveBoth)
const havePaho = spawnSync(python, ['-c', 'import paho.mqtt.client']).status === 0
const missingPaho = missing('python3-paho-mqtt', havePaho)

/** A peer that runs, and what it has said. */
class Peer {
  readonly child: ChildProcess
  readonly lines: string[] = []
  readonly ended: Promise<number | null>
  #isOver = false
  #wake: (() => void)[] = []

  constructor(program: string, args: readonly string[]) {
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.ended = once(this.child, 'close').then(([code]) => code as number | null)
    void this.ended.then(() => {
      this.#isOver = true
      this.#tell()
    })
    for (const stream of [this.child.stdout, this.child.stderr])
      if (stream !== null)
        createInterface({ input: stream }).on('line', (line) => {
          this.lines.push(line)
          this.#tell()
        })
  }

  #tell(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  /** Resolves when it has said so. */
  async says(what: RegExp): Promise<string> {
    for (;;) {
      const line = this.lines.find((one) => what.test(one))
      if (line !== undefined) return line
      assert.equal(this.#isOver, false, `it ended and never said ${what}: ${this.lines.join('\n')}`)
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }
}

/** One house, its files as a stock client wants them, and the peers that run. */
class Peers {
  readonly house: MqttHouse
  readonly dir: string
  readonly #running: Peer[] = []

  private constructor(house: MqttHouse, dir: string) {
    this.house = house
    this.dir = dir
  }

  static async create(): Promise<Peers> {
    const dir = await mkdtemp(join(tmpdir(), 'countersign-peers-'))
    const peers = new Peers(await MqttHouse.create(), dir)
    await writeFile(join(dir, 'ca.pem'), peers.house.ca)
    return peers
  }

  async files(name: string, { cert, key }: Shown): Promise<void> {
    await writeFile(join(this.dir, `${name}.pem`), cert)
    await writeFile(join(this.dir, `${name}.key`), key)
  }

  start(program: string, args: readonly string[]): Peer {
    const peer = new Peer(program, args)
    this.#running.push(peer)
    return peer
  }

  async stop(): Promise<void> {
    for (const peer of this.#running.splice(0)) {
      peer.child.kill('SIGKILL')
      await peer.ended
    }
  }

  async close(): Promise<void> {
    await this.stop()
    await this.house.close()
    await rm(this.dir, { recursive: true })
  }
}

for (const version of ['mqttv311', 'mqttv5'] as const)
  describe(`mosquitto, ${version}`, { skip: missingMosquitto }, () => {
    let peers: Peers
    let house: MqttHouse
    let device: TestDevice
    let application: TestApplication
    before(async () => {
      peers = await Peers.create()
      ;({ house } = peers)
      device = await house.device()
      application = await house.application()
      await peers.files('device', device)
      await peers.files('application', application)
    })
    afterEach(() => peers.stop())
    after(() => peers.close())

    function args(who: string, ...more: string[]): string[] {
      const file = (end: string): string => join(peers.dir, `${who}.${end}`)
      const identity = ['--cert', file('pem'), '--key', file('key')]
      const trust = ['--cafile', join(peers.dir, 'ca.pem')]
      return [
        '-h',
        'localhost',
        '-p',
        `${house.port}`,
        '-V',
        version,
        ...trust,
        ...identity,
        ...more,
      ]
    }
    const publish = (
      who: string,
      topic: string,
      payload: string,
      ...more: string[]
    ): Promise<string> =>
      new Promise((resolve, reject) => {
        const all = args(who, '-t', topic, '-m', payload, ...more)
        execFile('mosquitto_pub', all, (error, stdout, stderr) => {
          if (error === null) resolve(stdout)
          else reject(new Error(stderr))
        })
      })
    /** Its lines are held back when nobody looks: stdbuf of coreutils lets them through. */
    const listen = (who: string, ...more: string[]): Peer =>
      peers.start('stdbuf', ['-oL', 'mosquitto_sub', ...args(who, ...more)])
    async function subscribe(who: string, topic: string, ...more: string[]): Promise<Peer> {
      const peer = listen(who, '-d', '-t', topic, ...more)
      await peer.says(/^Subscribed/)
      return peer
    }
    const own = (topic: string): string => topicOf(device, topic)

    it('publishes at each quality of service, and an application reads it as it was sent', async () => {
      const reader = await subscribe('application', own('#'), '-q', '1', '-C', '3')
      for (const qos of ['0', '1', '2'])
        await publish('device', own(`room/${qos}`), `{"celsius": 2${qos}.50}`, '-q', qos)
      assert.equal(await reader.ended, 0)
      for (const qos of ['0', '1', '2']) await reader.says(new RegExp(`^{"celsius": 2${qos}.50}$`))
      const said = (await house.said(device)).map(([topic]) => topic)
      assert.deepEqual(said, ['room/0', 'room/1', 'room/2'])
    })

    it('keeps a session, and has what came while it was away', async () => {
      const keeps = ['-q', '1', '-i', 'desk', '-c', ...(version === 'mqttv5' ? ['-x', '3600'] : [])]
      const first = await subscribe('application', own('#'), ...keeps)
      first.child.kill('SIGINT')
      await first.ended
      await house.until(async () => (await house.sessions()).every(({ leftAt }) => leftAt !== null))
      await publish('device', own('away'), 'while you were out', '-q', '1')
      const second = listen('application', '-t', own('#'), '-C', '1', ...keeps)
      assert.equal(await second.ended, 0)
      assert.deepEqual(second.lines, ['while you were out'])
    })

    it('is commanded, and answers', async () => {
      const listener = await subscribe('device', own('commands/#'), '-q', '1', '-C', '1')
      const command = await house.command(device, 'blink', { data: '{"times":3}' })
      assert.equal(await listener.ended, 0)
      const line = await listener.says(/^{/)
      const { id, name, data } = JSON.parse(line) as Record<string, unknown>
      assert.deepEqual({ id, name, data }, { id: command.id, name: 'blink', data: { times: 3 } })
      await publish('device', own(`results/${command.id}`), '{"blinked":3}', '-q', '2')
      await house.until(async () => (await house.stateOf(command)) === 'answered')
    })

    it('leaves a will', async () => {
      const will = ['--will-topic', own('status'), '--will-payload', 'gone', '--will-qos', '1']
      const holder = await subscribe('device', own('commands/#'), ...will)
      holder.child.kill('SIGKILL')
      await house.until(async () => (await house.said(device)).at(-1)?.[0] === 'status')
      assert.deepEqual((await house.said(device)).at(-1), ['status', 'gone'])
    })

    it('is refused with a certificate that was revoked, and cut off with one that is', async () => {
      const revoked = await house.device()
      await peers.files('revoked', revoked)
      const held = await subscribe('revoked', topicOf(revoked, 'commands/#'))
      await house.house.registry.revoke(revoked.row.id, 'keyCompromise')
      // 3.1.1 has no word for it: the client comes back by itself, and is refused.
      await held.says(version === 'mqttv5' ? /DISCONNECT \(135\)/ : /not authori[sz]ed/i)
      const late = publish('revoked', topicOf(revoked, 'a'), 'late', '-q', '1')
      await assert.rejects(late, /not authori[sz]ed/i)
      assert.deepEqual(await house.messages(revoked), [])
    })

    it('may not use what is another device’s', async () => {
      const other = await house.device()
      const attempt = publish('device', topicOf(other, 'a'), 'x', '-q', '1')
      await attempt.catch((error: unknown) => error)
      assert.deepEqual(await house.messages(other), [])
      assert.equal(await house.lastRefusal(), 'ERR_TOPIC_FOREIGN')
    })
  })

for (const version of ['4', '5'] as const)
  describe(`Paho for Python, version ${version}`, { skip: missingPaho }, () => {
    let peers: Peers
    before(async () => {
      peers = await Peers.create()
    })
    after(() => peers.close())

    it('does the same walk', async () => {
      const { house } = peers
      const [device, application] = [await house.device(), await house.application()]
      await peers.files('device', device)
      await peers.files('application', application)
      const start = (role: string): Peer =>
        peers.start(python, [script, role, version, `${house.port}`, peers.dir, device.row.eui64])
      const reader = start('application')
      await reader.says(/"subscribed": \[1\]/)
      const sender = start('device')
      await sender.says(/"subscribed": \[1\]/)
      for (const qos of [0, 1, 2]) {
        const line = await reader.says(new RegExp(`paho/${qos}`))
        assert.deepEqual(JSON.parse(line), {
          topic: topicOf(device, `paho/${qos}`),
          payload: `{"qos": ${qos}}`,
          qos: 1,
          retain: false,
        })
      }
      const command = await house.command(device, 'blink')
      await sender.says(/commands\/blink/)
      await house.until(async () => (await house.stateOf(command)) === 'answered')
      const row = await house.house.store.get('command', command.id)
      assert.equal(Buffer.from(row?.result ?? []).toString(), '{"done":true}')

      await peers.files('refused', device)
      await house.house.registry.suspend(device.row.id, 'lost')
      await sender.says(/"disconnected"/)
      assert.equal(await sender.ended, 0)
      const refused = start('refused')
      await refused.says(version === '5' ? /"connected": 135/ : /"connected": 5/)
      assert.equal(await refused.ended, 0)
      assert.equal(await house.lastRefusal(), 'ERR_DEVICE_SUSPENDED')
      await house.house.registry.resume(device.row.id)
      const last = await house.enter(device, 'x')
      await last.deliver(topicOf(device, 'last'), 'bye')
      assert.equal(await reader.ended, 0)
    })
  })
