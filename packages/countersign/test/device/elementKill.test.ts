/**
 * `device enroll`, `send` and `renew` as processes of their own that are killed at any moment, with
 * their key in an element that outlives them: the element opens again, the device goes on where it
 * was, and the key of the certificate in use is never another one. ELEMENT_KILLS=<number> kills
 * more of them with each element; SEED=<number> repeats a run.
 *
 * What a kill does not show is a machine that loses its power: see powerCut.test.ts of the emulator.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { show } from '@countersign/device'
import { openElement } from '@countersign/element/compose'
import { parseRecord } from '@countersign/element/shapes'
import { seeded } from '@countersign/testbed'
import { skip as noTokens, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { countersign, start } from '../cli/bin.ts'
import { openTestHouse, type TestHouse } from './house.ts'

/** A slice in the tests, many in a soak. */
const kills = Number(process.env['ELEMENT_KILLS'] ?? 3)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
/** Of one device: then the next is enrolled. */
const killsPerDevice = 8
/** The server grants a device six a day before they are due; one is for the end. */
const renewalsMax = 4
/** Node has started by then; a process that was quicker than its kill lives. */
const killAfterMs = 150
const killWithinMs = 750

interface Kind {
  readonly name: string
  readonly skip: string | false
  url(house: TestHouse, nth: number): string
}

const kinds: readonly Kind[] = [
  {
    name: 'an emulated ATECC608',
    skip: false,
    url: (house, nth) => `atecc608:emulator:${join(house.root, 'parts', `${nth}.json`)}?times=none`,
  },
  {
    name: 'a token of SoftHSM',
    skip: noTokens,
    url: (_, nth) => softTokens()(`killed-${nth}`).url('device'),
  },
]

for (const kind of kinds)
  test(`a device with its key in ${kind.name}, killed at any moment, goes on where it was (seed ${seed})`, {
    skip: kind.skip,
  }, async () => {
    const house = await openTestHouse()
    await mkdir(join(house.root, 'parts'))
    // The rate limit is another test's.
    await house.call('product.set', { name: 'default', messagesPerMinute: 100_000 })
    const random = seeded(seed)
    for (let killed = 0, nth = 0; killed < kills; nth++) {
      const device = new Device(house, kind.url(house, nth), nth)
      await device.prepare()
      const lives = Math.min(killsPerDevice, kills - killed)
      for (let life = 0; life < lives; ) {
        if (
          await device.liveAndDie(killAfterMs + random.below(killWithinMs), random.below(2) === 0)
        )
          life++
      }
      await device.endsWell()
      killed += lives
    }
  })

class Device {
  readonly #house: TestHouse
  readonly #url: string
  readonly #nth: number
  readonly #state: string
  readonly #acknowledged: string[] = []
  readonly #log: string[] = []
  #enroll: readonly string[] = []
  /** PEM of the certificate in use, as last seen. */
  #certificate: string | undefined
  #readings = 0
  #renewals = 0

  constructor(house: TestHouse, url: string, nth: number) {
    this.#house = house
    this.#url = url
    this.#nth = nth
    this.#state = join(house.root, `device-${nth}`)
  }

  async prepare(): Promise<void> {
    const { server, token, anchor } = await this.#house.invite()
    const to = ['--server', server, '--token', token, '--anchor', anchor]
    this.#enroll = ['enroll', ...to, '--serial', `SN-${this.#nth}`, '--element', this.#url]
  }

  /** True when it was killed, false when it was quicker. */
  async liveAndDie(afterMs: number, renews: boolean): Promise<boolean> {
    const what = this.#next(renews)
    const child = start(['device', ...what, '--state', this.#state, '--json'])
    let [said, complained] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complained += text))
    const closed = once(child, 'close')
    await Promise.race([sleep(afterMs), closed])
    child.kill('SIGKILL')
    await closed
    const told = child.exitCode === 1 ? said + complained : ''
    this.#log.push(`${what[0]} ${afterMs} ms: ${child.exitCode} ${told}`)
    const isKilled = child.signalCode === 'SIGKILL'
    assert.ok(isKilled || child.exitCode === 0, this.#told())
    if (what[0] === 'send' && !isKilled) this.#acknowledged.push(String(parseRecord(said)?.['id']))
    await this.#check()
    return isKilled
  }

  #next(renews: boolean): readonly string[] {
    if (this.#certificate === undefined) return this.#enroll
    if (!renews || this.#renewals === renewalsMax) return this.#send()
    this.#renewals++
    return ['renew']
  }

  /** Each command is run to its end, and the server has everything. */
  async endsWell(): Promise<void> {
    if (this.#certificate === undefined) await this.#run(this.#enroll)
    await this.#check()
    for (const what of [this.#send(), ['renew'], this.#send()]) {
      const { stdout } = await this.#run(what)
      if (what[0] === 'send') this.#acknowledged.push(String(parseRecord(stdout)?.['id']))
      await this.#check()
    }
    const { readings, eui64 } = await show({ state: this.#state })
    assert.equal(readings.waiting, 0)
    const stored = await this.#house.messages()
    for (const id of this.#acknowledged) assert.ok(stored.has(id), `${id}\n${this.#told()}`)
    const ours = [...stored].filter(([id]) => id.startsWith(`${eui64}-`)).map(([, data]) => data)
    // Each reading at most once, whatever its number.
    assert.equal(new Set(ours.map(String)).size, ours.length, this.#told())
  }

  async #run(what: readonly string[]): Promise<{ readonly stdout: string }> {
    const done = await countersign(['device', ...what, '--state', this.#state, '--json'])
    assert.equal(done.code, 0, `${what[0]}: ${done.stderr}\n${this.#told()}`)
    return done
  }

  #send(): readonly string[] {
    return ['send', 'count', String(this.#readings++)]
  }

  /** The element opens; what was in use is in use, or what a renewal has put in its place. */
  async #check(): Promise<void> {
    const current = await this.#inUse()
    if (this.#certificate !== undefined) {
      assert.ok(current !== undefined, `the certificate is lost\n${this.#told()}`)
    }
    this.#certificate = current?.certificates
    // Before the first part is whole there is none, and no device in it either.
    const element = await openElement(this.#url, { folder: this.#state, mustExist: true }).catch(
      (error: { code?: unknown }) => {
        if (current === undefined && error.code === 'ERR_ELEMENT_GONE') return undefined
        throw new Error(this.#told(), { cause: error })
      },
    )
    if (element === undefined) return
    try {
      await element.slots()
      if (current === undefined) return
      const key = new X509Certificate(current.certificates).publicKey
      const spki = key.export({ type: 'spki', format: 'der' })
      const point = Buffer.from(await element.publicKey(current.slot))
      assert.deepEqual(point, spki.subarray(-64), `another key is in its slot\n${this.#told()}`)
    } finally {
      await element.close()
    }
  }

  async #inUse(): Promise<{ slot: number; certificates: string } | undefined> {
    const text = await readFile(join(this.#state, 'identity.json'), 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    const { current } = JSON.parse(text) as { current?: { slot: number; certificates: string } }
    return current
  }

  #told(): string {
    return `seed ${seed}, device ${this.#nth}:\n  ${this.#log.join('\n  ')}`
  }
}
