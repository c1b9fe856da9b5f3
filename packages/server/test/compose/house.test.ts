import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it, type TestContext } from 'node:test'
import { connect } from 'node:tls'
import { isCountersignError } from '@countersign/core/errors'
import { mergeConfig } from '../../src/config.ts'
import type { CaDocument, HouseDocument } from '../../src/control/contract.ts'
import {
  createFolder,
  examine,
  openHouse,
  reachHouse,
  runOperation,
  type Services,
  serve,
} from '../../src/index.ts'
import { ManualClock } from '../support/world.ts'

const passphrase = 'correct horse battery staple'
/** scrypt cheap enough to found a house per test; the vault raises it at the first opening. */
const cost = { log2N: 10, r: 8, p: 1 }
const free = {
  listen: ['https=127.0.0.1:0', 'mqtts=127.0.0.1:0', 'coap=127.0.0.1:0', 'console=127.0.0.1:0'],
}
const dayMs = 86_400_000

async function base(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'house-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function found(t: TestContext, demo = false): Promise<string> {
  const dir = join(await base(t), 'data')
  await createFolder(dir, { hosts: [], passphrase, demo, cost })
  return dir
}

function code(error: unknown): string {
  return isCountersignError(error) ? error.code : String(error)
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    return code(error)
  }
  return 'done'
}

async function opened(t: TestContext, dir: string, more: object = {}): Promise<Services> {
  const config = mergeConfig({}, free)
  const house = await openHouse(dir, { passphrase, cost, config, ...more })
  t.after(() => house.close())
  return house
}

describe('making a folder', () => {
  it('takes an empty folder and no other', async (t) => {
    const dir = await base(t)
    await writeFile(join(dir, 'mine.txt'), 'keep me')
    assert.equal(
      await codeOf(createFolder(dir, { hosts: [], passphrase, demo: false, cost })),
      'ERR_FOLDER_EXISTS',
    )
    assert.deepEqual(await readdir(dir), ['mine.txt'])
  })

  it('leaves nothing behind when it fails, so that the next one succeeds', async (t) => {
    const dir = join(await base(t), 'data')
    const weak = { hosts: [], passphrase: 'short', demo: false, cost }
    assert.equal(await codeOf(createFolder(dir, weak)), 'ERR_PASSPHRASE')
    assert.deepEqual(await readdir(dir), [])
    await createFolder(dir, { ...weak, passphrase })
  })

  it('an interrupted one is recognised and never believed', async (t) => {
    const dir = await found(t)
    await writeFile(join(dir, 'init.unfinished'), '')
    const again = createFolder(dir, { hosts: [], passphrase, demo: false, cost })
    assert.equal(await codeOf(again), 'ERR_FOLDER_UNFINISHED')
    assert.equal(await codeOf(openHouse(dir, { passphrase })), 'ERR_FOLDER_UNFINISHED')
    assert.equal((await examine(dir)).ok, false)
  })

  it('writes the names of the server into the configuration, localhost among them', async (t) => {
    const dir = join(await base(t), 'data')
    await createFolder(dir, {
      hosts: ['iot.example.com', '192.0.2.7'],
      passphrase,
      demo: false,
      cost,
    })
    const { hosts } = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as {
      hosts: string[]
    }
    assert.deepEqual(hosts, ['iot.example.com', '192.0.2.7', 'localhost', '127.0.0.1', '::1'])
  })
})

describe('opening a folder', () => {
  it('looking at it asks for no passphrase, a key does, once', async (t) => {
    const dir = await found(t)
    let asked = 0
    const house = await reachHouse(dir, {
      warn: () => undefined,
      passphrase: async () => {
        asked += 1
        return passphrase
      },
    })
    t.after(() => house.close())
    assert.equal((await house.call('product.list', {})).length, 1)
    assert.equal(asked, 0)
    await house.call('application.add', { name: 'one' })
    await house.call('application.add', { name: 'two' })
    assert.equal(asked, 1)
  })

  it('a second owner is told who the first is', async (t) => {
    const dir = await found(t)
    await opened(t, dir)
    assert.equal(await codeOf(openHouse(dir, { passphrase })), 'ERR_FOLDER_LOCKED')
  })

  it('closing it writes down how many refusals were only counted', async (t) => {
    const dir = await found(t)
    const house = await openHouse(dir, { passphrase, config: mergeConfig({}, free) })
    for (let n = 0; n < 13; n++) {
      const refusal = {
        road: 'https',
        code: 'ERR_TOKEN_UNKNOWN',
        message: 'no such token',
      } as const
      house.registry.refused({ ...refusal, address: '192.0.2.1' })
    }
    await house.close()
    const again = await opened(t, dir)
    const events = await again.store.find('event', 'subject', 'house')
    const dropped = events.filter(({ type }) => type === 'refusals.dropped')
    // Ten of one address are written one by one.
    assert.deepEqual(
      dropped.map(({ data }) => (JSON.parse(data) as { count: number }).count),
      [3],
    )
  })

  it('data of a newer version is refused and left alone', async (t) => {
    const dir = await found(t)
    const file = join(dir, 'store.db')
    const db = new DatabaseSync(file)
    db.exec('PRAGMA user_version = 9999')
    db.close()
    const bytes = await readFile(file)
    assert.equal(await codeOf(openHouse(dir, { passphrase })), 'ERR_STORE_NEWER')
    assert.deepEqual(await readFile(file), bytes)
    const { ok, checks } = await examine(dir)
    assert.equal(ok, false)
    assert.match(checks.find(({ name }) => name === 'store')?.message ?? '', /9999/)
  })

  it('an operation that does not exist, or with other parameters, is refused by name', async (t) => {
    const house = await opened(t, await found(t))
    assert.equal(await codeOf(runOperation(house, 'identity.delete', {})), 'ERR_OPERATION_UNKNOWN')
    assert.equal(await codeOf(runOperation(house, 'constructor', {})), 'ERR_OPERATION_UNKNOWN')
    const bad: readonly [string, unknown][] = [
      ['identity.list', { limit: 1e9 }],
      ['identity.show', { id: 7 }],
      ['identity.show', { id: 'a', more: 1 }],
      ['identity.revoke', { id: 'a', reason: 'certificateHold' }],
      ['identity.show', null],
      ['product.add', { name: '../x' }],
      ['house.backup', { file: 'relative' }],
    ]
    for (const [operation, params] of bad) {
      assert.equal(await codeOf(runOperation(house, operation, params)), 'ERR_PARAMETER', operation)
    }
  })
})

describe('serving a folder', () => {
  it('a folder of the demo is served on this machine only', async (t) => {
    const dir = await found(t, true)
    const config = mergeConfig(
      {},
      { listen: ['https=0.0.0.0:0', 'mqtts=0', 'coap=0', 'console=127.0.0.1:0'] },
    )
    const house = await opened(t, dir, { config })
    assert.equal(await codeOf(serve(house)), 'ERR_DEMO_LOOPBACK')
  })

  it('a clock far behind the last event is refused, until the operator accepts it', async (t) => {
    const dir = await found(t)
    const clock = new ManualClock(Date.now() - 3 * dayMs)
    const house = await opened(t, dir, { clock })
    assert.equal(await codeOf(serve(house)), 'ERR_CLOCK')
    assert.deepEqual(house.listeners, {})
    // The server's own certificate is of the future for this clock: it is made anew, and the doors
    // open.
    const served = await serve(house, { acceptClock: true })
    assert.match(served.listeners['https'] ?? '', /^https:\/\/localhost:\d+$/)
    await served.close()
  })

  it('a clock that was never set is refused', async (t) => {
    const house = await opened(t, await found(t), { clock: new ManualClock(0) })
    assert.equal(await codeOf(serve(house)), 'ERR_CLOCK')
  })

  it('the console speaks plain http on loopback only: beyond, TLS with the server certificate', async (t) => {
    const config = mergeConfig(
      {},
      { listen: ['https=0', 'mqtts=0', 'coap=0', 'console=0.0.0.0:0'] },
    )
    const house = await opened(t, await found(t), { config })
    const served = await serve(house)
    const { console = '' } = served.listeners
    assert.match(console, /^https:/)
    const { port } = new URL(console)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/api/v1/health`))
    const socket = connect({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    assert.equal(socket.getProtocol(), 'TLSv1.3')
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    let answer = ''
    for await (const text of socket.setEncoding('utf8')) answer += text
    // The page is for this machine.
    assert.match(answer, /^HTTP\/1\.1 404 [^]*There is no page here/)
    assert.equal(await codeOf(runOperation(house, 'console.link', {})), 'ERR_CONSOLE_NOT_LOCAL')
    await served.close()
  })

  it('a port that is taken closes what was opened before it, and names the door', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    t.after(() => taken.close())
    const address = taken.address()
    assert.ok(typeof address === 'object' && address !== null)
    const config = mergeConfig(
      {},
      { listen: ['https=0', 'mqtts=0', 'coap=0', `console=127.0.0.1:${address.port}`] },
    )
    const house = await opened(t, await found(t), { config })
    assert.equal(await codeOf(serve(house)), 'ERR_PORT_TAKEN')
    assert.deepEqual(house.listeners, {})
    const again = await serve({ ...house, config: mergeConfig({}, free) })
    await again.close()
  })
})

const at = (milliseconds: number) => ({ clock: new ManualClock(Date.now() + milliseconds) })

describe('doctor', () => {
  let dir = ''
  let path = ''
  before(async () => {
    path = await mkdtemp(join(tmpdir(), 'doctor-'))
    dir = join(path, 'data')
    await createFolder(dir, { hosts: [], passphrase, demo: false, cost })
    await writeFile(
      join(dir, 'config.json'),
      '{"listen":{"https":"127.0.0.1:0","mqtts":"127.0.0.1:0","coap":"127.0.0.1:0","console":"127.0.0.1:0"}}',
    )
  })
  after(() => rm(path, { recursive: true, force: true }))

  const verdictOf = async (name: string, options: Parameters<typeof examine>[1] = {}) => {
    const report = await examine(dir, options)
    return [report.checks.find((check) => check.name === name)?.verdict, report.ok]
  }

  it('a sound folder passes, and the configuration in effect is shown', async () => {
    const report = await examine(dir, { passphrase })
    assert.equal(report.ok, true, JSON.stringify(report.checks))
    assert.equal(report.config?.listen.https.port, 0)
    assert.deepEqual(await verdictOf('keys', { passphrase }), ['ok', true])
    for (const check of report.checks) assert.equal(check.verdict === 'ok', check.remedy === null)
  })

  it('a wrong passphrase fails', async () => {
    assert.deepEqual(await verdictOf('keys', { passphrase: 'something else' }), ['fail', false])
  })

  it('a folder that others can look into fails', {
    skip: process.platform === 'win32' && 'modes are POSIX',
  }, async () => {
    await chmod(dir, 0o755)
    assert.deepEqual(await verdictOf('permissions'), ['fail', false])
    await chmod(dir, 0o700)
  })

  it('a clock behind by a little warns, by much fails, and so does an expired certificate', async () => {
    assert.equal((await verdictOf('clock', at(-3_600_000)))[0], 'warn')
    assert.equal((await verdictOf('clock', at(-2 * dayMs)))[0], 'fail')
    assert.equal((await verdictOf('server certificate', at(100 * dayMs)))[0], 'fail')
    assert.equal((await verdictOf('CA server', at(19.5 * 365 * dayMs)))[0], 'warn')
    assert.equal((await verdictOf('CA server', at(21 * 365 * dayMs)))[0], 'fail')
  })

  it('looks at the certificates of EDHOC too, once a door has shown some', async (t) => {
    const name = 'server-edhoc-dh certificate'
    assert.equal((await verdictOf(name))[0], undefined)
    const house = await openHouse(dir, { passphrase, cost })
    const edhoc = await (await house.keys()).authority.edhocCredentials()
    const kid = Buffer.from(edhoc.current('static key').kid).toString('hex')
    const { own } = (await runOperation(house, 'house.show', {})) as HouseDocument
    const cas = (await runOperation(house, 'ca.show', {})) as readonly CaDocument[]
    await house.close()
    assert.deepEqual(
      own.map((one) => [one.profile, one.state, one.status]),
      [
        ['server', 'current', 'issued'],
        ['server-edhoc-sign', 'current', 'issued'],
        ['server-edhoc-dh', 'current', 'issued'],
      ],
    )
    assert.equal(own[2]?.kid, kid)
    assert.deepEqual(
      own.map(({ pem }) => new X509Certificate(pem ?? '').serialNumber.toLowerCase()),
      own.map(({ serial }) => serial),
    )
    assert.deepEqual(
      cas.map((ca) => [ca.name, ca.own]).filter(([, shown]) => shown?.length !== 0),
      [['server', own]],
    )
    assert.equal((await verdictOf(name))[0], 'ok')
    assert.equal((await verdictOf(name, at(359 * dayMs)))[0], 'warn')
    assert.equal((await verdictOf(name, at(366 * dayMs)))[0], 'fail')
    await t.test('and nobody issues one by hand', async () => {
      const again = await openHouse(dir, { passphrase, cost })
      for (const profile of ['server-edhoc-sign', 'server-edhoc-dh'])
        assert.equal(
          await codeOf(runOperation(again, 'ca.issue', { profile, csr: 'AAAA', hosts: [] })),
          'ERR_PARAMETER',
        )
      await again.close()
    })
    await t.test('one that is revoked fails', async () => {
      const again = await openHouse(dir, { passphrase, cost })
      const serial = own[2]?.serial ?? ''
      await runOperation(again, 'ca.revoke', { serial, reason: 'keyCompromise' })
      await again.close()
      assert.deepEqual(await verdictOf(name), ['fail', false])
    })
  })

  it('tries the port of the coap door over UDP', async (t) => {
    const socket = createSocket('udp4')
    t.after(() => socket.close())
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    const { port } = socket.address()
    const file = join(dir, 'config.json')
    const good = await readFile(file, 'utf8')
    await writeFile(file, good.replace('"coap":"127.0.0.1:0"', `"coap":"127.0.0.1:${port}"`))
    const taken = await examine(dir)
    await writeFile(file, good)
    const check = taken.checks.find((one) => one.name === 'door coap')
    assert.equal(check?.verdict, 'fail')
    assert.match(check?.remedy ?? '', /--listen coap=/)
    assert.equal((await verdictOf('door coap'))[0], 'ok')
  })

  it('a configuration with an unknown key fails and names it', async () => {
    const file = join(dir, 'config.json')
    const good = await readFile(file)
    await writeFile(file, '{"listenn":{}}')
    const report = await examine(dir)
    assert.equal(report.ok, false)
    assert.match(
      report.checks.find(({ name }) => name === 'configuration')?.message ?? '',
      /listenn/,
    )
    await writeFile(file, good)
  })

  it('no folder is a failure with its remedy, not a crash', async () => {
    const report = await examine(join(path, 'nowhere'))
    assert.equal(report.ok, false)
    assert.equal(report.config, null)
    assert.equal(
      report.checks.find(({ name }) => name === 'configuration'),
      undefined,
    )
    await mkdir(join(path, 'empty'))
    assert.equal((await examine(join(path, 'empty'))).ok, false)
  })
})
