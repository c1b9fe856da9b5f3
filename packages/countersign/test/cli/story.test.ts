/**
 * The command as an operator uses it, with stock tools on the other side: a folder, a server, a device whose key openssl made and whose
 * client is curl, a reader of the events door, and a revocation from another process.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { countersign, document, passphraseFile, serve, temporary } from './bin.ts'

const run = promisify(execFile)

const missing = ['openssl', 'curl'].find((tool) => spawnSync(tool, ['version']).error !== undefined)
const skip =
  missing !== undefined && process.env['PEERS'] !== 'required' ? `${missing} is not there` : false

interface House {
  readonly base: string
  readonly dir: string
  readonly with: readonly string[]
}

async function found(t: TestContext, ...more: readonly string[]): Promise<House> {
  const base = await temporary(t)
  const dir = join(base, 'data')
  const file = await passphraseFile(base, 'correct horse battery staple')
  const options = ['--dir', dir, '--passphrase-file', file]
  await document(['init', ...options, ...more])
  return { base, dir, with: options }
}

/** Key and CSR by openssl, enrolment by curl: nothing of ours on the device's side. */
async function enrolStock(house: House, url: string, serial: string): Promise<string[]> {
  const file = (name: string): string => join(house.base, `${serial}.${name}`)
  const invitation = await document(['identity', 'invite', ...house.with])
  const { pem } = await document([
    'ca',
    'anchor',
    'list',
    '--role',
    'server',
    '--pem',
    ...house.with,
  ])
  await writeFile(file('ca'), String(pem))
  await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file('key')])
  await run('openssl', [
    'req',
    '-new',
    '-key',
    file('key'),
    '-subj',
    `/serialNumber=${serial}`,
    '-outform',
    'DER',
    '-out',
    file('csr'),
  ])
  await run('openssl', ['base64', '-in', file('csr'), '-out', file('b64')])
  await run('curl', [
    '-sS',
    '--fail-with-body',
    '--cacert',
    file('ca'),
    '-u',
    `token:${String(invitation['token'])}`,
    '-H',
    'content-type: application/pkcs10',
    '--data-binary',
    `@${file('b64')}`,
    '-o',
    file('p7'),
    `${url}/.well-known/est/simpleenroll`,
  ])
  await run('openssl', ['base64', '-d', '-in', file('p7'), '-out', file('p7.der')])
  await run('openssl', [
    'pkcs7',
    '-inform',
    'DER',
    '-in',
    file('p7.der'),
    '-print_certs',
    '-out',
    file('pem'),
  ])
  return ['-sS', '--cacert', file('ca'), '--cert', file('pem'), '--key', file('key')]
}

test('init, serve, enrol, send, revoke, why: with openssl and curl as the device', {
  skip,
}, async (t) => {
  const house = await found(t, '--host', 'iot.example.com')
  const served = await serve(t, house.dir, ...house.with.slice(2))
  const { https: url = '' } = served.listeners
  const device = await enrolStock(house, url, 'SN-1')

  const sent = await run('curl', [
    ...device,
    '-H',
    'content-type: application/json',
    '-d',
    '{"c":21}',
    `${url}/v1/messages/room`,
  ])
  assert.match(sent.stdout, /^\{"id":"/)
  const [listed] = (await document(['identity', 'list', ...house.with])) as unknown as Record<
    string,
    unknown
  >[]
  assert.deepEqual(
    [listed?.['serial'], listed?.['state'], listed?.['road'], listed?.['assurance']],
    ['SN-1', 'active', 'https', 0],
  )
  assert.match(String(listed?.['id']), /^urn:dev:mac:[0-9a-f]{16}$/)

  const revoked = await document([
    'identity',
    'revoke',
    'SN-1',
    '--reason',
    'keyCompromise',
    ...house.with,
  ])
  assert.equal(revoked['state'], 'revoked')
  const refused = await run('curl', [
    ...device,
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '-d',
    'x',
    `${url}/v1/messages/room`,
  ])
  assert.equal(refused.stdout, '403')
  const why = await countersign(['identity', 'why', 'SN-1', ...house.with])
  assert.match(why.stdout, /ERR_(CERT|DEVICE)_REVOKED/)
  assert.match(why.stdout, /keyCompromise/)
  const verified = await document(['log', 'verify', ...house.with])
  assert.equal(verified['ok'], true)
  assert.equal(await served.stop(), 0)
})

test('a house survives kill -9 of serve: what was acknowledged is there and the next serve starts', {
  skip,
}, async (t) => {
  const house = await found(t)
  const first = await serve(t, house.dir, ...house.with.slice(2))
  await document(['product', 'add', 'thermometer', ...house.with])
  await first.stop('SIGKILL')
  // The socket file is still there and nobody listens: the command opens the folder itself.
  assert.equal((await document(['log', 'verify', ...house.with]))['ok'], true)
  const second = await serve(t, house.dir, ...house.with.slice(2))
  const products = (await document(['product', 'list', ...house.with])) as unknown as {
    name: string
  }[]
  assert.deepEqual(products.map(({ name }) => name).toSorted(), ['default', 'thermometer'])
  assert.equal(await second.stop('SIGINT'), 0)
})

test('commands find the server of a folder, and each refusal of serve says what to do', async (t) => {
  const house = await found(t)
  const { base, dir } = house
  const wrong = await passphraseFile(base, 'not the right one')
  const served = await serve(t, dir, ...house.with.slice(2))
  const port = new URL(served.listeners['https'] ?? '').port
  assert.equal((await stat(join(dir, 'control.sock'))).mode & 0o777, 0o600)

  const other = await found(t)
  const [second, taken, opened, unknownKey] = await Promise.all([
    countersign(['serve', '--json', ...house.with]),
    countersign([
      'serve',
      '--json',
      '--listen',
      `https=127.0.0.1:${port}`,
      '--listen',
      'console=127.0.0.1:0',
      ...other.with,
    ]),
    countersign(['application', 'add', 'x', '--dir', dir, '--passphrase-file', wrong, '--json']),
    writeFile(join((await found(t)).dir, 'config.json'), '{}'),
  ])
  const failure = ({ stdout }: { stdout: string }) =>
    (JSON.parse(stdout) as { error: { code: string; message: string; hint: string } }).error
  assert.equal(second.code, 1)
  assert.equal(failure(second).code, 'ERR_FOLDER_LOCKED')
  assert.match(failure(second).message, new RegExp(`${served.child.pid}`))
  assert.equal(taken.code, 1)
  assert.equal(failure(taken).code, 'ERR_PORT_TAKEN')
  assert.match(failure(taken).hint, /--listen https=/)
  // The server has the keys open: nobody asks for the passphrase, so a wrong one is not even read.
  assert.equal(opened.code, 0, opened.stdout)
  void unknownKey
  await served.stop()

  const refused = await countersign([
    'application',
    'add',
    'y',
    '--dir',
    dir,
    '--passphrase-file',
    wrong,
    '--json',
  ])
  assert.deepEqual([refused.code, failure(refused).code], [1, 'ERR_PASSPHRASE'])
})
