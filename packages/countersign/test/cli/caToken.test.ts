/**
 * A house whose CA keys are in a token, by the command alone: SoftHSM holds them, a device keeps its
 * own key in a token too, and the token is pulled and put back while the server runs.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type SoftToken, skip, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { countersign, document, passphraseFile, type Served, serve } from './bin.ts'

const make = softTokens()
const timeMsMax = 120_000

describe('a house on a token', { skip, timeout: timeMsMax }, () => {
  let base = ''
  let token: SoftToken
  let devices: SoftToken
  let running: Served | undefined
  const dir = (): string => join(base, 'data')
  let folder: readonly string[] = []
  let key: readonly string[] = []

  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'token-house-'))
    token = make('house')
    devices = make('devices')
    folder = ['--dir', dir()]
    key = ['--passphrase-file', await passphraseFile(base, 'correct horse battery staple')]
    const made = await document(['init', ...folder, ...key, '--ca-token', token.url()])
    assert.equal(made['caToken'], 'house')
    running = await serve(dir(), ...key)
  })
  after(async () => {
    await running?.stop('SIGKILL')
    await rm(base, { recursive: true, force: true, maxRetries: 5 })
  })

  async function enrol(serial: string, element: string): ReturnType<typeof countersign> {
    const invitation = await document(['identity', 'invite', '--serial', serial, ...folder])
    return await countersign([
      'device',
      'enroll',
      '--state',
      join(base, serial),
      '--server',
      String(invitation['server']),
      '--token',
      String(invitation['token']),
      '--anchor',
      String(invitation['anchor']),
      '--serial',
      serial,
      '--element',
      element,
      '--json',
    ])
  }

  it('the configuration names the token, and nowhere is its PIN', async () => {
    const text = await readFile(join(dir(), 'config.json'), 'utf8')
    assert.equal((JSON.parse(text) as { caToken: string }).caToken, token.url())
    assert.doesNotMatch(text, /271828/)
    const [root] = (await document(['ca', 'show', 'root', ...folder])) as unknown as {
      key: string
    }[]
    assert.equal(root?.key, 'token')
  })

  it('a device with its key in a token of its own enrols and sends', async () => {
    const { code, stdout, stderr } = await enrol('IN-TOKEN', devices.url('device'))
    assert.equal(code, 0, stdout + stderr)
    const sent = await countersign([
      'device',
      'send',
      '--state',
      join(base, 'IN-TOKEN'),
      'room',
      '{"celsius":20}',
      '--json',
    ])
    assert.equal(sent.code, 0, sent.stdout + sent.stderr)
    assert.match(devices.tool('--list-objects', '--type', 'privkey').toString(), /label: +device/)
  })

  it('a rollover asks for no passphrase of a root key', async () => {
    const made = await document(['ca', 'rollover', 'owner', ...folder])
    assert.equal(made['name'], 'owner-2')
  })

  it('pulled: enrolment is put off, doctor says why; put back: both work, and nothing was restarted', async () => {
    token.pull()
    try {
      const { code, stdout, stderr } = await enrol('WAITS', 'sw:')
      assert.notEqual(code, 0)
      assert.match(stdout + stderr, /503|ERR_CA_TOKEN|later/)
      const sick = await countersign(['doctor', ...folder, '--json'])
      assert.equal(sick.code, 1)
      const { checks } = JSON.parse(sick.stdout) as { checks: { name: string; verdict: string }[] }
      assert.deepEqual(
        checks.filter(({ verdict }) => verdict === 'fail').map(({ name }) => name),
        ['CA token'],
      )
    } finally {
      token.putBack()
    }
    const again = await enrol('WAITED', 'sw:')
    assert.equal(again.code, 0, again.stdout + again.stderr)
    const well = await countersign(['doctor', ...folder, '--json'])
    assert.equal(well.code, 0, well.stdout)
    assert.match(well.stdout, /"house: the keys of 6 CAs are in it"/)
  })

  it('a backup says that the CA keys are not in it, and a restored house serves with the token', async () => {
    const file = join(base, 'copy.backup')
    const made = await document(['backup', file, ...folder])
    assert.equal(made['caToken'], 'house')
    assert.match(
      (await countersign(['backup', `${file}2`, ...folder])).stderr,
      /CA keys are not in it/,
    )
    const restored = join(base, 'restored')
    assert.equal((await document(['restore', file, '--dir', restored]))['caToken'], 'house')
    await running?.stop()
    running = await serve(restored, ...key)
    const crl = await document(['ca', 'crl', 'owner', '--dir', restored])
    assert.ok(String(crl['der']).length > 100)
  })

  it('without its token the server does not start, and says which one it wants', async () => {
    await running?.stop()
    running = undefined
    token.pull()
    try {
      const { code, stdout } = await countersign(['serve', ...folder, ...key, '--json'])
      assert.equal(code, 1)
      const { error } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
        error: { code: string; where: string; hint: string }
      }
      assert.equal(error.code, 'ERR_CA_TOKEN')
      assert.equal(error.where, 'pkcs11:token=house')
      assert.match(error.hint, /--list-token-slots/)
    } finally {
      token.putBack()
    }
  })

  it('init refuses a URL with a PIN or a key in it, and leaves nothing', async () => {
    for (const url of [
      token.url().replace(/pin-source=.*/, 'pin-value=271828'),
      token.url('mine'),
      'pkcs11:token=house',
    ]) {
      const other = join(base, 'other')
      const { code, stdout } = await countersign([
        'init',
        '--dir',
        other,
        ...key,
        '--ca-token',
        url,
        '--json',
      ])
      assert.equal(code, 2)
      assert.match(stdout, /"code":"ERR_USAGE"/)
      assert.match(stdout, /"where":"--ca-token"/)
      assert.doesNotMatch(stdout, /271828/)
      assert.equal(existsSync(other), false)
    }
  })
})
