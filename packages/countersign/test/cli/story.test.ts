/**
 * The command as an operator uses it, on one folder from `init` to a restart after a crash; the
 * devices are openssl and curl, and the command itself.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import {
  countersign,
  document,
  type Outcome,
  outcome,
  passphraseFile,
  type Served,
  serve,
  start,
} from './bin.ts'

const run = promisify(execFile)

const missing = ['openssl', 'curl'].find((tool) => spawnSync(tool, ['version']).error !== undefined)
const stock =
  missing !== undefined && process.env['PEERS'] !== 'required' ? `${missing} is not there` : false
const posix = process.platform === 'win32' ? 'modes are POSIX' : false

const passphrase = 'correct horse battery staple'
const timeMsMax = 120_000

function failure({ stdout }: Outcome): {
  code: string
  message: string
  where: string
  hint: string
} {
  return (JSON.parse(stdout) as { error: ReturnType<typeof failure> }).error
}

async function list(args: readonly string[]): Promise<readonly Record<string, unknown>[]> {
  return (await document(args)) as unknown as readonly Record<string, unknown>[]
}

describe('one folder, from init to a restart', { timeout: timeMsMax }, () => {
  let base = ''
  let dir = ''
  let folder: readonly string[] = []
  let key: readonly string[] = []
  let running: Served | undefined
  const served = (): Served => running ?? assert.fail('serve does not run')
  const file = (name: string): string => join(base, name)
  const url = (door: string): string => served().listeners[door] ?? ''

  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'story-'))
    dir = file('data')
    folder = ['--dir', dir]
    key = ['--passphrase-file', await passphraseFile(base, passphrase)]
    const made = await document(['init', '--host', 'iot.example.com', ...folder, ...key])
    assert.deepEqual(made['hosts'], ['iot.example.com', 'localhost', '127.0.0.1', '::1'])
    running = await serve(dir, ...key)
  })
  after(async () => {
    await running?.stop('SIGKILL')
    await rm(base, { recursive: true, force: true, maxRetries: 5 })
  })

  it('the folder is its owner’s alone, and so is the control socket', { skip: posix }, async () => {
    for (const [name, mode] of [
      ['.', 0o700],
      ['store.db', 0o600],
      ['keys/folder.key', 0o600],
      ['control.sock', 0o600],
    ] as const) {
      assert.equal((await stat(join(dir, name))).mode & 0o777, mode, name)
    }
  })

  it('serve writes no link to the page into a pipe, and console prints one each time', async () => {
    assert.doesNotMatch(served().stderr() + JSON.stringify(served().listeners), /code=/)
    const { url: first, expires } = await document(['console', ...folder])
    const { url: second } = await document(['console', ...folder])
    assert.equal(new URL(String(first)).origin, url('console'))
    assert.match(String(first), /\/open\?code=[\w-]{43}$/)
    assert.ok(Date.parse(String(expires)) > Date.now())
    for (const link of [String(first), String(second)]) {
      const statuses = [1, 2].map(async () => (await fetch(link, { redirect: 'manual' })).status)
      assert.deepEqual(new Set(await Promise.all(statuses)), new Set([303, 403]))
    }
  })

  it('openssl and curl enrol and send; the device is listed as what it is', {
    skip: stock,
  }, async () => {
    const invitation = await document(['identity', 'invite', '--serial', 'SN-1', ...folder])
    assert.equal(invitation['server'], url('https'))
    const anchors = ['ca', 'anchor', 'list', '--role', 'server', '--pem']
    const bundle = await document([...anchors, ...folder])
    await writeFile(file('ca'), String(bundle['pem']))
    assert.equal((await countersign([...anchors, ...folder])).stdout, bundle['pem'])
    const shown = (await countersign(['ca', 'show', 'server', ...folder])).stdout
    assert.match(shown, /^server +current +- +issued +\S+Z +[0-9a-f]{32}$/m)
    const p256 = ['-name', 'prime256v1', '-genkey', '-noout']
    await run('openssl', ['ecparam', ...p256, '-out', file('key')])
    const subject = ['-subj', '/serialNumber=SN-1', '-outform', 'DER']
    await run('openssl', ['req', '-new', '-key', file('key'), ...subject, '-out', file('csr')])
    await run('openssl', ['base64', '-in', file('csr'), '-out', file('csr.b64')])
    const believing = ['-sS', '--fail-with-body', '--cacert', file('ca')]
    const asking = ['-u', `token:${String(invitation['token'])}`, '-o', file('p7.b64')]
    const request = [
      '-H',
      'content-type: application/pkcs10',
      '--data-binary',
      `@${file('csr.b64')}`,
    ]
    const est = `${url('https')}/.well-known/est/simpleenroll`
    await run('curl', [...believing, ...asking, ...request, est])
    await run('openssl', ['base64', '-d', '-in', file('p7.b64'), '-out', file('p7')])
    const print = ['-inform', 'DER', '-print_certs', '-out', file('pem')]
    await run('openssl', ['pkcs7', '-in', file('p7'), ...print])
    const identity = ['--cert', file('pem'), '--key', file('key')]
    const topic = `${url('https')}/v1/messages/x`
    const sent = await run('curl', [...believing, ...identity, '-d', '21', topic])
    assert.match(sent.stdout, /^\{"id":"/)

    const [device] = await list(['identity', 'list', ...folder])
    assert.match(String(device?.['id']), /^urn:dev:mac:[0-9a-f]{16}$/)
    assert.equal(device?.['id'], `urn:dev:mac:${String(device?.['eui64'])}`)
    const { serial, product, state, assurance, road } = device ?? {}
    assert.deepEqual(
      { serial, product, state, assurance, road },
      { serial: 'SN-1', product: 'default', state: 'active', assurance: 0, road: 'https' },
    )
  })

  it('an IDevID made by hand passes openssl, and its device is let in', {
    skip: stock,
  }, async () => {
    const [pk, csr, pem] = [file('factory.key'), file('factory.csr'), file('factory.pem')]
    await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', pk])
    await run('openssl', ['req', '-new', '-key', pk, '-subj', '/serialNumber=F-1', '-out', csr])
    const issue = ['ca', 'issue', '--profile', 'idevid', '--csr', csr, ...folder]
    const issued = await document(issue)
    assert.equal(issued['notAfter'], '9999-12-31T23:59:59.000Z')
    await writeFile(pem, String(issued['pem']))
    const bundle = await document(['ca', 'anchor', 'list', '--role', 'maker', '--pem', ...folder])
    await writeFile(file('makers'), String(bundle['pem']))
    await run('openssl', ['verify', '-x509_strict', '-CAfile', file('makers'), pem])
    const identity = ['-sS', '--fail-with-body', '--cacert', file('ca'), '--cert', pem]
    await run('curl', [...identity, '--key', pk, '-d', '1', `${url('https')}/v1/messages/x`])
    const { state, product } = await document(['identity', 'show', 'F-1', ...folder])
    assert.deepEqual({ state, product }, { state: 'active', product: 'default' })
    const late = await countersign([...issue, '--days', '3', '--json'])
    assert.equal(late.code, 2)
    assert.equal(failure(late).where, '--days')
  })

  it('the command is a device too: it enrols, sends, renews and shows itself', async () => {
    const { token, server, anchor } = await document(['identity', 'invite', ...folder])
    const state = ['--state', file('device')]
    const words = ['--token', token, '--server', server, '--anchor', anchor].map(String)
    await document(['device', 'enroll', ...words, '--serial', 'SN-2', ...state])
    const first = await document(['device', 'send', 'room', '21.5', ...state])
    const second = await document(['device', 'send', 'room', '21.6', ...state])
    assert.equal(Number(second['number']) - Number(first['number']), 1)
    assert.equal((await document(['device', 'show', ...state]))['status'], 'enrolled')
    const shown = await document(['identity', 'show', 'SN-2', ...folder])
    assert.equal(shown['state'], 'active')
    assert.equal((shown['certificates'] as unknown[]).length, 1)
    assert.equal((await countersign(['device', 'renew', ...state])).code, 0)
  })

  it('an operator commands a device, and sees what its program made of it', {
    skip: posix,
  }, async () => {
    const program = file('program')
    const script = '[ "$1" = greet ] && exec cat; echo "cannot $1" >&2; exit 1'
    await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const command = (...words: string[]): string[] => ['device', 'command', ...words, ...folder]
    const early = await countersign(command('SN-2', 'greet', '--wait', '1s', '--json'))
    assert.deepEqual([early.code, JSON.parse(early.stdout).state], [1, 'queued'])

    const state = ['--state', file('device')]
    const device = start(['device', 'run', '--source', '-', '--commands', program, ...state])
    const ran = outcome(device)
    const greeted = await document(command('SN-2', 'greet', '{"who":"world"}', '--wait', '1m'))
    const { id, name, data, state: end, actor, result } = greeted
    assert.match(String(id), /^[0-9a-f]{32}$/)
    assert.deepEqual(
      { name, data, end, actor, result },
      {
        name: 'greet',
        data: { who: 'world' },
        end: 'answered',
        actor: 'operator',
        result: { who: 'world' },
      },
    )
    // No double holds these numbers.
    const exact = '{"x":1e400,"k":12345678901234567890}'
    const echoed = await countersign(command('SN-2', 'greet', exact, '--wait', '1m', '--json'))
    assert.ok(echoed.stdout.includes(`"data":${exact}`), echoed.stdout)
    assert.ok(echoed.stdout.includes(`"result":${exact}`), echoed.stdout)
    const told = await countersign(command('SN-2', 'greet', exact, '--wait', '1m'))
    assert.ok(told.stdout.includes(`\ndata: ${exact}\n`), told.stdout)
    assert.ok(told.stdout.includes(`\nresult: ${exact}\n`), told.stdout)
    const refused = await countersign(command('SN-2', 'dance', '--wait', '1m', '--json'))
    const { reason } = JSON.parse(refused.stdout) as { reason: string }
    assert.deepEqual([refused.code, reason], [1, 'cannot dance'])
    device.kill('SIGINT')
    const { code, stdout } = await ran
    assert.equal(code, 0)
    assert.match(stdout, /^commandRefused id=[0-9a-f]{32} reason=cannot dance$/m)

    const listed = await list(['device', 'commands', 'SN-2', ...folder])
    assert.deepEqual(
      listed.map((row) => [row['name'], row['state']]),
      [
        ['dance', 'refused'],
        ['greet', 'answered'],
        ['greet', 'answered'],
        ['greet', 'answered'],
        ['greet', 'answered'],
      ],
    )
    const shown = await countersign(['device', 'commands', 'SN-2', ...folder])
    assert.match(shown.stdout, /dance +refused .* cannot dance +operator/)
  })

  it('a command that nobody fetched is expired when its time is over, not when the sweep comes', async () => {
    const line = ['device', 'command', 'SN-2', 'late', '--expires', '1s', '--wait', '1m']
    const begun = performance.now()
    const { code, stdout } = await countersign([...line, '--json', ...folder])
    const { state, ended, expires } = JSON.parse(stdout) as Record<string, unknown>
    assert.deepEqual([code, state, ended], [1, 'expired', expires])
    assert.ok(performance.now() - begun < 10_000)
  })

  it('a command that makes no sense is refused with its place and a hint', async () => {
    const lines = [
      ['SN-2', 'greet', '{"who":'],
      ['SN-2', 'a/b'],
      ['SN-2', 'greet', '--expires', '31d'],
      ['SN-2', 'greet', '--wait', 'long'],
      ['nobody', 'greet'],
    ]
    const outcomes = await Promise.all(
      lines.map((line) => countersign(['device', 'command', ...line, '--json', ...folder])),
    )
    assert.deepEqual(
      outcomes.map((each) => [each.code, failure(each).code]),
      [
        [2, 'ERR_USAGE'],
        [2, 'ERR_COMMAND_NAME'],
        [2, 'ERR_COMMAND_EXPIRY'],
        [2, 'ERR_USAGE'],
        [1, 'ERR_DEVICE_UNKNOWN'],
      ],
    )
    for (const each of outcomes) assert.ok(failure(each).hint.length > 0)
  })

  it('a device takes the invitation as it was printed, from a file or stdin, until it is withdrawn', async () => {
    const made = await document(['identity', 'invite', '--count', '3', ...folder])
    const id = String(made['id'])
    const printed = JSON.stringify(made)
    await writeFile(file('invitation.json'), printed)
    const enroll = (from: string, serial: string): string[] => {
      const state = ['--state', file(`device-${serial}`)]
      return ['device', 'enroll', '--invitation', from, '--serial', serial, ...state, '--json']
    }
    await document(enroll(file('invitation.json'), 'INV-1'))
    // It was told every road.
    const state = ['--state', file('device-INV-1')]
    const told = await document(['device', 'show', ...state])
    assert.deepEqual([told['mqtts'], told['coap']], [made['mqtts'], made['coap']])
    assert.match(String(made['coap']), /^coap:\/\/127\.0\.0\.1:\d+$/)
    const sent = await document(['device', 'send', 'room', '21', '--road', 'mqtts', ...state])
    assert.match(String(sent['id']), /^[0-9a-f]{16}-1$/)
    const shown = await document(['identity', 'show', 'INV-1', ...folder])
    assert.equal(shown['road'], 'mqtts')
    const piped = start(enroll('-', 'INV-2'))
    piped.stdin.end(printed)
    assert.equal((await outcome(piped)).code, 0)

    const mine = async (): Promise<readonly unknown[]> =>
      (await list(['identity', 'invitations', ...folder])).filter((row) => row['id'] === id)
    const [open] = await mine()
    assert.deepEqual(open, { ...(open as object), id, product: 'default', count: 3, used: 2 })
    assert.doesNotMatch(JSON.stringify(open), new RegExp(String(made['token'])))
    assert.equal((await document(['identity', 'uninvite', id, ...folder]))['used'], 2)
    assert.deepEqual(await mine(), [])
    const again = await countersign(['identity', 'uninvite', id, '--json', ...folder])
    assert.equal(failure(again).code, 'ERR_INVITATION_UNKNOWN')
    const late = await countersign(enroll(file('invitation.json'), 'INV-3'))
    assert.equal(late.code, 1)
    assert.equal(failure(late).code, 'ERR_ENROLL_REFUSED')
  })

  it('an application hears what its name says and is gone when removed', async () => {
    const added = await document(['application', 'add', 'desk', ...folder])
    assert.deepEqual(Object.keys(added), ['id', 'name', 'token', 'secret', 'webhook'])
    const authorization = `Bearer ${String(added['token'])}`
    const ask = () => fetch(`${url('console')}/api/v1/events`, { headers: { authorization } })
    const stream = await ask()
    assert.equal(stream.status, 200)
    await stream.body?.cancel()
    await document(['application', 'remove', 'desk', ...folder])
    assert.equal((await ask()).status, 401)
  })

  it('a revocation from another process is refused at the next attempt, and why says why', {
    skip: stock,
  }, async () => {
    const revoked = await document([
      'identity',
      'revoke',
      'SN-1',
      '--reason',
      'keyCompromise',
      ...folder,
    ])
    assert.equal(revoked['state'], 'revoked')
    const certificate = ['--cert', file('pem'), '--key', file('key')]
    const asking = ['-sS', '--cacert', file('ca'), '-o', file('answer'), '-w', '%{http_code}']
    const topic = `${url('https')}/v1/messages/x`
    const refused = await run('curl', [...asking, ...certificate, '-d', 'late', topic])
    assert.equal(refused.stdout, '403')
    assert.doesNotMatch(await readFile(file('answer'), 'utf8'), /keyCompromise/)
    const why = await countersign(['identity', 'why', 'SN-1', ...folder])
    assert.match(why.stdout, /ERR_CERT_REVOKED/)
    assert.match(why.stdout, /keyCompromise/)
    await run('openssl', ['crl', '-inform', 'DER', '-noout', '-in', await crl()])
    const listed = await run('openssl', [
      'crl',
      '-inform',
      'DER',
      '-noout',
      '-text',
      '-in',
      await crl(),
    ])
    assert.match(listed.stdout, /Key Compromise/)
  })

  async function crl(): Promise<string> {
    await document(['ca', 'crl', 'owner', '--out', file('owner.crl'), ...folder])
    return file('owner.crl')
  }

  it('while it is served, the keys are open and a second server is refused', async () => {
    const wrong = ['--passphrase-file', await passphraseFile(base, 'not the right one')]
    const [second, added] = await Promise.all([
      countersign(['serve', '--json', ...folder, ...key]),
      countersign(['application', 'add', 'x', '--json', ...folder, ...wrong]),
    ])
    assert.equal(second.code, 1)
    assert.equal(failure(second).code, 'ERR_FOLDER_LOCKED')
    assert.match(failure(second).message, new RegExp(String(served().child.pid)))
    assert.equal(added.code, 0, added.stdout)
    const examined = await document(['doctor', ...folder, ...key])
    assert.equal(examined['ok'], true, JSON.stringify(examined))
    const doors = (examined['checks'] as { name: string; message: string }[]).filter(({ name }) =>
      name.startsWith('door'),
    )
    assert.match(doors.map(({ message }) => message).join(), new RegExp(url('https')))
  })

  it('a backup taken while it serves becomes a folder elsewhere, and that one serves', async () => {
    const made = await document(['backup', file('backup'), ...folder])
    assert.equal((await stat(file('backup'))).size, made['bytes'])
    const again = await countersign(['backup', file('backup'), '--json', ...folder])
    assert.deepEqual([again.code, failure(again).code], [1, 'ERR_BACKUP_EXISTS'])
    const over = await countersign(['restore', file('backup'), '--json', ...folder])
    assert.deepEqual([over.code, failure(over).code], [1, 'ERR_FOLDER_EXISTS'])

    const elsewhere = ['--dir', file('elsewhere')]
    await document(['restore', file('backup'), ...elsewhere])
    const restored = await serve(file('elsewhere'), ...key)
    try {
      const ids = async (where: readonly string[]) =>
        (await list(['identity', 'list', ...where])).map(({ id, state }) => [id, state])
      assert.deepEqual(await ids(elsewhere), await ids(folder))
      assert.equal((await document(['log', 'verify', ...elsewhere]))['ok'], true)
    } finally {
      assert.equal(await restored.stop(), 0)
    }
  })

  it('a head that was written down is found again, and what contradicts it is named', async () => {
    const { entries, head } = await document(['log', 'verify', ...folder])
    const verify = (known: string) =>
      countersign(['log', 'verify', '--known', known, '--json', ...folder])
    assert.equal((await verify(`${String(entries)}:${String(head)}`)).code, 0)
    const replaced = await verify(`${String(entries)}:${'0'.repeat(64)}`)
    assert.equal(replaced.code, 1)
    assert.match(replaced.stdout, /ERR_LOG_CHANGED/)
    const cut = await verify(`${Number(entries) + 1000}:${String(head)}`)
    assert.equal(cut.code, 1)
    assert.match(cut.stdout, /ERR_LOG_MISSING/)
    assert.equal((await verify(String(head))).code, 2)
  })

  it('kill -9 loses nothing that was acknowledged; commands and the next serve go on', async () => {
    await document(['product', 'add', 'thermometer', ...folder])
    await served().stop('SIGKILL')
    // Nobody listens at the socket that is left: each command opens the folder itself, one after
    // the other.
    const verdicts = await Promise.all([1, 2, 3].map(() => document(['log', 'verify', ...folder])))
    for (const verdict of verdicts) assert.equal(verdict['ok'], true)
    running = await serve(dir, ...key)
    const names = (await list(['product', 'list', ...folder])).map(({ name }) => name)
    assert.deepEqual(
      names.map(String).toSorted((a, b) => a.localeCompare(b)),
      ['default', 'thermometer'],
    )
  })

  it('no secret is in what serve has logged', async () => {
    assert.equal(await served().stop('SIGINT'), 0)
    assert.match(served().stderr(), /"msg":"stopped"/)
    assert.doesNotMatch(served().stderr(), /correct horse|PRIVATE KEY|"token":"[^[]/)
  })

  it('without a server, a wrong passphrase, a taken port and an unknown key are refused in words', async () => {
    const wrong = ['--passphrase-file', await passphraseFile(base, 'not the right one')]
    const opened = await countersign(['application', 'add', 'y', '--json', ...folder, ...wrong])
    assert.deepEqual([opened.code, failure(opened).code], [1, 'ERR_PASSPHRASE'])
    const page = await countersign(['console', '--json', ...folder])
    assert.deepEqual([page.code, failure(page).code], [1, 'ERR_CONSOLE_CLOSED'])
    assert.match(failure(page).hint, /countersign serve/)
    const none = await countersign(['application', 'add', 'y', '--json', ...folder])
    assert.equal(failure(none).code, 'ERR_PASSPHRASE_MISSING')

    const squatter = createServer().listen(0, '127.0.0.1')
    await once(squatter, 'listening')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server has such an address
    const { port } = squatter.address() as AddressInfo
    const listen = [
      '--listen',
      `https=127.0.0.1:${port}`,
      '--listen',
      'console=0',
      '--listen',
      'mqtts=0',
      '--listen',
      'coap=0',
    ]
    const taken = await countersign(['serve', '--json', ...listen, ...folder, ...key])
    squatter.close()
    assert.deepEqual([taken.code, failure(taken).code], [1, 'ERR_PORT_TAKEN'])
    assert.match(failure(taken).where, /https/)
    assert.match(failure(taken).hint, /--listen https=/)

    await writeFile(join(dir, 'config.json'), '{"hosts":["localhost"],"colour":"blue"}')
    const strange = await countersign(['serve', '--json', ...folder, ...key])
    assert.deepEqual([strange.code, failure(strange).code], [1, 'ERR_CONFIG'])
    assert.match(failure(strange).message, /colour/)
    assert.match(failure(strange).where, /config\.json$/)
  })
})
