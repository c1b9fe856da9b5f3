/** `countersign element …` as its users run it. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { countersign, document, start } from './bin.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-element-cli-'))
after(() => rm(folder, { recursive: true }))
const emulated = (name: string): string => `atecc608:emulator:${join(folder, name)}?times=none`

test('list, info and attest write nothing, and make nothing', async () => {
  const url = emulated('made.json')
  assert.ok(Array.isArray(await document(['element', 'list'])))
  const missing = await countersign(['element', 'info', url, '--json'])
  assert.equal(missing.code, 1)
  assert.equal(JSON.parse(missing.stdout).error.code, 'ERR_ELEMENT_GONE')
  await assert.rejects(stat(join(folder, 'made.json')), { code: 'ENOENT' })
  await document(['element', 'setup', url, '--lock', 'yes-permanently'])
  const before = await readFile(join(folder, 'made.json'))
  const info = await document(['element', 'info', url])
  const attested = await document([
    'element',
    'attest',
    url,
    '--slot',
    '1',
    '--nonce',
    'ab'.repeat(32),
  ])
  assert.deepEqual(await readFile(join(folder, 'made.json')), before)
  assert.deepEqual(
    [info['kind'], info['vendor'], info['config'], info['data']],
    ['atecc608', 'Microchip', 'locked', 'locked'],
  )
  assert.match(String(info['serial']), /^0123[0-9a-f]{14}$/)
  assert.equal(attested['nonce'], 'ab'.repeat(32))
  assert.match(String(attested['chain']), /^-----BEGIN CERTIFICATE-----\n/)
})

test('a dry run shows packets, and the part stays blank; without the words nothing is locked', async () => {
  const url = emulated('dry.json')
  const plan = await document(['element', 'setup', url, '--dry-run'])
  const { steps } = plan as { steps: { act: string; packet: string | null }[] }
  // Lock of the data zone without a CRC, as the reference has it.
  assert.equal(steps.at(-2)?.packet, '07178100003a07')
  const blank = await readFile(join(folder, 'dry.json'))
  const planned = await countersign(['element', 'setup', url, '--dry-run'])
  assert.match(
    planned.stdout,
    /\n\nwrite {5}configuration bytes 20 to 23: 85208200\n {10}0b12000500852082006bdd\n/,
  )
  assert.deepEqual(await readFile(join(folder, 'dry.json')), blank)
  for (const words of ['yes', 'YES-PERMANENTLY', '']) {
    const refused = await countersign(['element', 'setup', url, '--lock', words])
    assert.equal(refused.code, 2, words)
  }
  assert.deepEqual(await readFile(join(folder, 'dry.json')), blank)
  const written = await document(['element', 'setup', url])
  assert.equal(written['locked'], false)
  const info = await document(['element', 'info', url])
  assert.deepEqual([info['config'], info['data'], info['counters']], ['open', 'open', []])
})

test('a part is served to other processes on a socket, and set up through it', async () => {
  const socket = join(folder, 'chip.sock')
  const args = ['element', 'emulate', join(folder, 'served.json'), '--socket', socket]
  const child = start([...args, '--address', '0x35', '--times', 'none', '--blank', '--json'])
  try {
    const ready = JSON.parse(await firstLine(child))
    const url = `atecc608:relay:${socket}?address=0x35`
    assert.deepEqual([ready.event, ready.url, ready.address], ['ready', url, 0x35])
    if (process.platform !== 'win32') assert.equal((await stat(socket)).mode & 0o777, 0o600)
    const done = await document(['element', 'setup', url, '--lock', 'yes-permanently'])
    assert.deepEqual([done['serial'], done['locked']], [ready.serial, true])
    const info = await document(['element', 'info', url])
    assert.equal(info['data'], 'locked')
    // The file is the emulator's: nobody else opens it meanwhile.
    const busy = await countersign(['element', 'info', emulated('served.json'), '--json'])
    assert.equal(JSON.parse(busy.stdout).error.code, 'ERR_ELEMENT_BUSY')
  } finally {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
  await assert.rejects(stat(socket), { code: 'ENOENT' })
})

test('the root of the works of a folder is printed as PEM, and none is made by asking', async () => {
  const missing = await countersign(['element', 'works', join(folder, 'nowhere'), '--json'])
  assert.equal(JSON.parse(missing.stdout).error.code, 'ERR_ELEMENT_GONE')
  await document(['element', 'setup', emulated('root.json'), '--lock', 'yes-permanently'])
  const { stdout } = await countersign(['element', 'works', folder])
  const { subject, ca } = new X509Certificate(stdout)
  assert.deepEqual([subject, ca], ['CN=emulator works', true])
  const attested = await document(['element', 'attest', emulated('root.json'), '--slot', '1'])
  const leaf = new X509Certificate(String(attested['chain']))
  assert.ok(leaf.verify(new X509Certificate(stdout).publicKey))
})

test('a part on the single wire is served with the line that makes a serial port of it', async () => {
  const socket = join(folder, 'wire.sock')
  const args = ['element', 'emulate', join(folder, 'wire.json'), '--framing', 'swi']
  const child = start([...args, '--socket', socket, '--times', 'none', '--blank', '--json'])
  try {
    const { url, serialPort, address, serial } = JSON.parse(await firstLine(child))
    assert.equal(url, `atecc608:swi:${socket}.tty`)
    assert.equal(serialPort, `socat PTY,link=${socket}.tty,rawer UNIX-CONNECT:${socket}`)
    assert.equal(address, null)
    assert.match(serial, /^0123[0-9a-f]{12}ee$/)
  } finally {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
})

test('a part that its factory configured is served where those parts are', async () => {
  const socket = join(folder, 'trust.sock')
  const args = ['element', 'emulate', join(folder, 'trust.json'), '--socket', socket]
  const child = start([...args, '--trust-part', '--times', 'none', '--json'])
  try {
    const { url, address } = JSON.parse(await firstLine(child))
    assert.deepEqual([url, address], [`atecc608:relay:${socket}?address=0x36`, 0x36])
    const info = await document(['element', 'info', url])
    assert.deepEqual([info['config'], info['data']], ['locked', 'locked'])
  } finally {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
})

async function firstLine(child: ReturnType<typeof start>): Promise<string> {
  for await (const line of createInterface({ input: child.stdout })) return line
  return assert.fail('it ended without a word')
}

test('what is not there is said with the line that brings it', async () => {
  const cases: Readonly<Record<string, readonly [code: string, said: RegExp]>> = {
    'atecc608:relay:/nowhere/chip.sock': ['ERR_ELEMENT_BUS', /./],
    'atecc608:/dev/i2c-999': ['ERR_ELEMENT_MODULE', /npm install i2c-bus@5\.2\.3/],
    'pkcs11:token=none;object=key?module-path=/nowhere.so': [
      'ERR_ELEMENT_MODULE',
      /nowhere\.so|pkcs11js/,
    ],
    'tpm:0': ['ERR_ELEMENT_URL', /atecc608:emulator/],
  }
  for (const [url, [code, said]] of Object.entries(cases)) {
    const { stdout, code: exit } = await countersign(['element', 'info', url, '--json'])
    assert.equal(exit, code === 'ERR_ELEMENT_URL' ? 2 : 1, url)
    const { error } = JSON.parse(stdout)
    assert.equal(error.code, code, `${url}: ${stdout}`)
    assert.match(`${error.message} ${error.where} ${error.hint}`, said)
  }
})
