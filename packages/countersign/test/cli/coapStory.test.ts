/**
 * The road coap as a device's owner and an operator use it: every word is a process of its own, and a
 * relay between them counts the handshakes.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { parseRecord } from '@countersign/element/shapes'
import { type HostileUdpRelay, hostileUdpRelay } from '@countersign/testbed'
import { skip as noTokens, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { countersign, document, outcome, passphraseFile, type Served, serve, start } from './bin.ts'

const timeMsMax = 180_000
/** Each look is a process. */
const expiredMsMax = 20_000
const posix = process.platform === 'win32' ? 'a program is a shell script' : false

describe('a device on coap, from its first reading to its last', { timeout: timeMsMax }, () => {
  let base = ''
  let folder: readonly string[] = []
  let key: readonly string[] = []
  let running: Served | undefined
  let relay: HostileUdpRelay | undefined
  const file = (name: string): string => join(base, name)
  const served = (): Served => running ?? assert.fail('serve does not run')
  const through = (): HostileUdpRelay => relay ?? assert.fail('there is no relay')
  const portOf = (door: string): number => Number(new URL(served().listeners[door] ?? '').port)
  const road = (): readonly string[] => [
    '--road',
    'coap',
    '--coap',
    `coap://127.0.0.1:${through().port}`,
    '--state',
    file('device'),
  ]
  const send = (data: string): Promise<Record<string, unknown>> =>
    document(['device', 'send', 'room', data, ...road()])
  const handshakes = async (): Promise<number> => (await through().handshakes()).length

  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'coap-story-'))
    folder = ['--dir', file('data')]
    key = ['--passphrase-file', await passphraseFile(base, 'a passphrase of this test only')]
    await document(['init', '--host', 'localhost', ...folder, ...key])
    running = await serve(file('data'), ...key)
    relay = await openRelay(portOf('coap'))
    await writeFile(
      file('invitation'),
      JSON.stringify(await document(['identity', 'invite', '--count', '9', ...folder])),
    )
  })
  after(async () => {
    await running?.stop('SIGKILL')
    await relay?.close()
    await rm(base, { recursive: true, force: true, maxRetries: 5 })
  })

  function enroll(serial: string, state: string, ...more: string[]): string[] {
    const from = ['--invitation', file('invitation'), '--serial', serial]
    return ['device', 'enroll', ...from, '--state', file(state), ...more]
  }

  const command = (name: string, data: string): string[] => {
    const words = ['device', 'command', 'CP-1', name, data]
    return [...words, '--wait', '1m', '--json', ...folder]
  }
  const doctorOfDoor = async (): Promise<unknown> => {
    const { checks } = await document(['doctor', ...folder])
    const all: readonly { readonly name: string; readonly message: string }[] = JSON.parse(
      JSON.stringify(checks),
    )
    return all.find(({ name }) => name === 'door coap')?.message
  }

  async function serveAgain(): Promise<void> {
    const ports = ['https', 'coap'].map((door) => `${door}=127.0.0.1:${portOf(door)}`)
    running = await serve(file('data'), ...ports.flatMap((port) => ['--listen', port]), ...key)
  }

  it('every process sends under the same keys, from whatever address', async () => {
    await document(enroll('CP-1', 'device'))
    const first = await send('21.5')
    assert.match(String(first['id']), /^[0-9a-f]{16}-1$/)
    const second = await send('21.6')
    assert.deepEqual([first['delivered'], second['number']], [1, 2])
    assert.equal(await handshakes(), 1)
    const elsewhere = await openRelay(portOf('coap'))
    try {
      const coap = `coap://127.0.0.1:${elsewhere.port}`
      await document(['device', 'send', 'room', '21.7', ...road(), '--coap', coap])
      assert.deepEqual([await handshakes(), await elsewhere.handshakes()], [1, []])
    } finally {
      await elsewhere.close()
    }
    const shown = await document(['identity', 'show', 'CP-1', ...folder])
    assert.deepEqual([shown['road'], shown['state']], ['coap', 'active'])
  })

  it('takes commands while it runs, and says what came of them', { skip: posix }, async () => {
    const program = file('program')
    const script = '[ "$1" = greet ] && exec cat; echo "cannot $1" >&2; exit 1'
    await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const device = start(['device', 'run', '--source', '-', '--commands', program, ...road()])
    const ran = outcome(device)
    device.stdin.write('"awake"\n')
    // No double holds these numbers.
    const exact = '{"x":1e400,"k":12345678901234567890}'
    const greeted = await countersign(command('greet', exact))
    assert.ok(greeted.stdout.includes(`"result":${exact}`), greeted.stdout)
    const refused = await countersign(command('dance', 'null'))
    const { reason, state } = parseRecord(refused.stdout) ?? {}
    assert.deepEqual([refused.code, state, reason], [1, 'refused', 'cannot dance'])
    device.kill('SIGINT')
    const { code, stdout } = await ran
    assert.equal(code, 0)
    assert.match(stdout, /^connected server=coap:/m)
    assert.match(stdout, /^commandRefused id=[0-9a-f]{32} reason=cannot dance$/m)
    assert.equal(await handshakes(), 1)
  })

  it('a command that waits for a device that is away comes when it is back, or expires', {
    skip: posix,
  }, async () => {
    const started = Date.now()
    const greet = ['device', 'command', 'CP-1', 'greet']
    const soon = await document([...greet, '1', '--expires', '1s', ...folder])
    const late = await document([...greet, '2', ...folder])
    const states = async (): Promise<readonly unknown[]> => {
      const { stdout } = await countersign(['device', 'commands', 'CP-1', '--json', ...folder])
      const rows: readonly { readonly id: string; readonly state: string }[] = JSON.parse(stdout)
      return [soon['id'], late['id']].map((id) => rows.find((row) => row.id === id)?.state)
    }
    while ((await states())[0] === 'queued') assert.ok(Date.now() < expiredMsMax + started)
    assert.deepEqual(await states(), ['expired', 'queued'])
    const run = ['device', 'run', '--source', '-', '--commands', file('program'), '--json']
    const device = start([...run, ...road()])
    const closed = once(device, 'close')
    for await (const line of createInterface({ input: device.stdout })) {
      if (parseRecord(line)?.['event'] === 'commandAnswered') device.kill('SIGINT')
    }
    await closed
    assert.deepEqual(await states(), ['expired', 'answered'])
  })

  it('keys outlive an end of serve, a crash of it, and one of the device', async () => {
    assert.equal(await served().stop(), 0)
    await serveAgain()
    await send('22.1')
    assert.equal(await handshakes(), 1)

    const device = start([
      'device',
      'run',
      '--source',
      '-',
      '--topic',
      'count',
      '--json',
      ...road(),
    ])
    const closed = once(device, 'close')
    device.stdin.on('error', () => undefined)
    device.stdin.write('1\n')
    let sent = 0
    for await (const line of createInterface({ input: device.stdout })) {
      if (parseRecord(line)?.['event'] !== 'sent') continue
      sent++
      if (sent === 1) {
        await served().stop('SIGKILL')
        device.stdin.write('2\n')
        await serveAgain()
      } else device.kill('SIGKILL')
    }
    await closed
    assert.equal(sent, 2)
    // The server lost its replay window and asked by Echo; the device goes on at a number it had reserved.
    assert.equal((await send('22.2'))['delivered'], 1)
    assert.equal(await handshakes(), 1)
  })

  it('is refused while it is suspended, and sends what it kept when it is resumed', async () => {
    await document(['identity', 'suspend', 'CP-1', '--reason', 'in repair', ...folder])
    const refused = await countersign(['device', 'send', 'room', '23', '--json', ...road()])
    const { error } = JSON.parse(refused.stdout) as { error: Record<string, string> }
    assert.deepEqual([refused.code, error['code']], [1, 'ERR_DEVICE_REFUSED'])
    assert.match(error['message'] ?? '', /ERR_DEVICE_SUSPENDED/)
    assert.match(error['hint'] ?? '', /kept as number/)
    await document(['identity', 'resume', 'CP-1', ...folder])
    assert.equal((await send('24'))['delivered'], 2)
    assert.equal(await handshakes(), 2)
  })

  it('makes a new handshake with a house that was restored, which has no keys of devices', async () => {
    await document(['backup', file('backup'), ...folder])
    await document(['restore', file('backup'), '--dir', file('restored')])
    const restored = await serve(file('restored'), ...key)
    const there = await openRelay(Number(new URL(restored.listeners['coap'] ?? '').port))
    try {
      const coap = ['--coap', `coap://127.0.0.1:${there.port}`]
      const sent = await document(['device', 'send', 'room', '25', ...road(), ...coap])
      assert.equal(sent['delivered'], 1)
      assert.equal((await there.handshakes()).length, 1)
    } finally {
      await there.close()
      assert.equal(await restored.stop(), 0)
    }
    // It keeps the newest keys, and nobody but this house can say that they are not its own.
    assert.equal((await send('25.5'))['delivered'], 1)
    assert.equal(await handshakes(), 3)
  })

  it('with its key in a chip or a token it is the same', async () => {
    await mkdir(file('parts'))
    const elements = [`atecc608:emulator:${file('parts')}/chip.json?times=none`]
    if (noTokens === false) elements.push(softTokens()('coap').url('device'))
    for (const [index, element] of elements.entries()) {
      const state = `element-${index}`
      await document(enroll(`EL-${index}`, state, '--element', element))
      const where = ['--state', file(state)]
      // Of these two the chip makes ephemeral keys too.
      const inside = index === 0 ? ['--ephemeral', 'element'] : []
      const words = ['device', 'send', 'x', '1', ...inside, ...where]
      for (const number of [1, 2]) {
        const sent = await document([...words, '--road', 'coap'])
        assert.equal(sent['number'], number)
      }
      const shown = await document(['identity', 'show', `EL-${index}`, ...folder])
      assert.equal(shown['road'], 'coap')
      if (index > 0) continue
      const elsewhere = await countersign(words)
      assert.deepEqual([elsewhere.code, elsewhere.stdout], [2, ''])
      assert.match(elsewhere.stderr, /Add --road coap/)
    }
  })

  it('a revocation ends its keys, and the operator is told why it does not get in', async () => {
    await document(['identity', 'revoke', 'CP-1', '--reason', 'keyCompromise', ...folder])
    const refused = await countersign(['device', 'send', 'room', '26', ...road()])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /the server refuses this device: ERR_CERT_REVOKED/)
    assert.equal(await handshakes(), 3)
    const why = await document(['identity', 'why', 'CP-1', ...folder])
    assert.partialDeepStrictEqual(why['refusals'], [
      { code: 'ERR_CERT_REVOKED', road: 'coap', address: '127.0.0.1' },
    ])
    const words = await countersign(['identity', 'why', 'CP-1', ...folder])
    assert.match(words.stdout, /keyCompromise/)
  })

  it('doctor says where the door is open, and whether its port is free when it is not', async () => {
    assert.match(
      String(await doctorOfDoor()),
      /^open at coap:\/\/127\.0\.0\.1:\d+ \(process \d+\)$/,
    )
    assert.equal(await served().stop(), 0)
    const doors = ['console', 'https', 'mqtts', 'coap'].map((name) => [name, '127.0.0.1:0'])
    const config = { listen: Object.fromEntries(doors) }
    await writeFile(file('data/config.json'), JSON.stringify(config))
    assert.match(String(await doctorOfDoor()), /^127\.0\.0\.1:0 is free$/)
    assert.doesNotMatch(served().stderr(), /PRIVATE KEY|"token":"[^[]|"level":"error"/)
  })
})

/** A quiet one. */
function openRelay(port: number): Promise<HostileUdpRelay> {
  const target = { host: '127.0.0.1', port }
  return hostileUdpRelay({ target, seed: 1, plan: { share: 0, lateMsMax: 1 } })
}
