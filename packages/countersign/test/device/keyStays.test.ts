/**
 * A key that was made in an element stays there. Its private half is known to these tests, from the
 * file of a twin or of an emulated part, or because they put it into a token; and is looked for in
 * all that is said (output of commands that succeed and fail, the log of the house, what anything
 * prints beside them), in the device's state folder, in the server's data folder and in a backup of
 * that. Where the element is behind a relay, as chips are behind their bus, also in the memory of
 * the device's process while it runs (Linux).
 *
 * Not covered: what an operating system keeps of a process elsewhere (swap, core files), and the
 * memory of a process in which the element is itself. What callers of an element can reach is
 * searched in elementCompliance.ts. SECURITY.md has the table of both.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { show } from '@countersign/device'
import { openElement } from '@countersign/element/compose'
import { createLog } from '@countersign/server'
import { putKeyInto, skip as noTokens, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { holds, says, scalarInChip, scalarInTwin } from '../../../element/test/privateScalar.ts'
import { countersign, type Outcome, start } from '../cli/bin.ts'
import { runOn, stage } from '../cli/here.ts'
import { openTestHouse } from './house.ts'
import { filesIn, memoryHas, overhear } from './keySearch.ts'

const logged: string[] = []
const log = createLog('debug', { write: (line) => void logged.push(line) })
const house = await openTestHouse({ log })

type Run = (args: readonly string[]) => Promise<Outcome>

test('the private key of a chip is nowhere but in the chip', async () => {
  const [file, socket] = [join(house.root, 'chip.json'), join(house.root, 'chip.sock')]
  const chip = overhear(
    start(['element', 'emulate', file, '--socket', socket, '--times', 'none', '--json']),
  )
  let device: ReturnType<typeof overhear> | undefined
  try {
    await chip.heard(/\n/)
    const [state, url] = [join(house.root, 'device'), `atecc608:relay:${socket}`]
    const said = await enrolAndFail(countersign, state, url)
    const point = await pointOf(url)
    const key = scalarInChip(file, point)
    device = overhear(start(['device', 'run', '--state', state, '--source', '-', '--json']))
    device.stdin.write('{"celsius":21.5}\n')
    await device.heard(/"event":"sent"/)
    if (process.platform === 'linux') {
      // That what is looked for can be found: the emulator has it.
      assert.ok(memoryHas(chip.pid, key), 'the key is not in the memory of the emulator')
      assert.ok(memoryHas(device.pid, point), 'the public key is not in the memory of the device')
      assert.equal(memoryHas(device.pid, key), false)
    }
    said.push(await device.end(), await chip.end())
    await assertNowhere(key, said, state)
  } finally {
    await device?.end()
    await chip.end()
  }
})

interface Kind {
  readonly name: string
  readonly skip?: string | false
  open(): {
    readonly url: string
    readonly scalar: (state: string, point: Uint8Array) => Buffer
  }
  /** In the state folder: the key's own place. */
  readonly place?: string
}

const kinds: readonly Kind[] = [
  {
    name: 'a software twin',
    open: () => ({
      url: 'sw:',
      scalar: (state, point) => scalarInTwin(join(state, 'element.json'), point),
    }),
    place: 'element.json',
  },
  {
    name: 'a chip that is emulated in the process of its host',
    open: () => {
      const file = join(house.root, 'part.json')
      const url = `atecc608:emulator:${file}?times=none`
      return { url, scalar: (_, point) => scalarInChip(file, point) }
    },
  },
  {
    name: 'a token of SoftHSM',
    skip: noTokens,
    open: () => {
      const token = softTokens()('stays')
      const scalar = putKeyInto(token, 'given')
      return { url: token.url('given'), scalar: () => scalar }
    },
  },
]

for (const kind of kinds)
  test(`nobody says or keeps the private key of ${kind.name}`, {
    skip: kind.skip ?? false,
  }, async (t) => {
    const state = join(house.root, kind.name)
    const { url, scalar } = kind.open()
    const beside = listenBeside(t)
    const said = await enrolAndFail(runHere, state, url)
    said.push(await sendAndBeRefused(state))
    const key = scalar(state, await pointOf(url, state))
    await assertNowhere(key, [...said, ...beside], state, kind.place)
  })

const runHere: Run = (args) => runOn(stage({ json: args.includes('--json') }), args)

/** Whatever is printed past the command, such as by console.error. */
function listenBeside(t: TestContext): readonly string[] {
  const heard: string[] = []
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
    t.mock.method(stream, 'write', (...args: unknown[]) => {
      heard.push(Buffer.from(args[0] as string).toString())
      return write(...args)
    })
  }
  return heard
}

/** Words and documents of commands that succeed and that fail, with the element at work. */
async function enrolAndFail(run: Run, state: string, url: string): Promise<string[]> {
  const { server, token, anchor } = await house.invite()
  const to = ['--server', server, '--token', token, '--anchor', anchor, '--serial', `S${serials++}`]
  const enroll = ['device', 'enroll', ...to, '--element', url, '--state', state]
  const enrolled = await run(enroll)
  assert.equal(enrolled.code, 0, enrolled.stderr)
  const outcomes = [
    enrolled,
    await run(['device', 'show', '--state', state]),
    await run([...enroll, '--json']),
    await run(['element', 'info', url, '--json']),
    await run(['element', 'attest', url, '--json']),
    await run(['element', 'attest', url, '--slot', '4']),
    await run(['element', 'setup', url]),
  ]
  assert.ok(outcomes.some(({ code }) => code === 1))
  return outcomes.map(({ stdout, stderr }) => stdout + stderr)
}

let serials = 0

/** What the house says to that stands in its log. */
async function sendAndBeRefused(state: string): Promise<string> {
  const sending = ['device', 'send', 'room', '{"celsius":21.5}', '--state', state]
  const sent = await runHere(sending)
  assert.equal(sent.code, 0, sent.stderr)
  const { id } = await show({ state })
  await house.call('identity.suspend', { id: id ?? '' })
  const [before, refused] = [logged.length, await runHere(sending)]
  assert.equal(refused.code, 1)
  assert.match(logged.slice(before).join(''), /refused: /)
  return sent.stdout + sent.stderr + refused.stdout + refused.stderr
}

async function assertNowhere(
  key: Buffer,
  said: readonly string[],
  state: string,
  ownPlace = '',
): Promise<void> {
  const backup = join(house.root, `house-${serials++}.backup`)
  await house.call('house.backup', { file: backup })
  const own = join(state, ownPlace)
  const files = [...(await filesIn(state)), ...(await filesIn(join(house.root, 'data'))), backup]
  const looked = files.filter((path) => path !== own)
  assert.ok(looked.length > 8)
  for (const path of looked) assert.equal(holds(await readFile(path), key), false, path)
  for (const text of [...said, ...logged]) assert.equal(says(text, key), false, text)
}

async function pointOf(url: string, folder: string = house.root): Promise<Buffer> {
  const element = await openElement(url, { folder, mustExist: true })
  const point = Buffer.from(await element.publicKey(0))
  await element.close()
  return point
}
