/**
 * A key that was made in an element stays there. The chip is an emulated one in a process of its
 * own, so that its private key is known to this test: from the emulator's file. It is looked for,
 * as bytes, as hex and as base64, in
 *
 *   the memory of the device's process while it runs (Linux), what it prints with --json and not,
 *   its errors, its state folder, the server's data folder, and a backup of that.
 *
 * Not covered: what an operating system keeps of a process elsewhere (swap, core files). That no
 * member of an element gives a key out, and no printing of it, is in elementCompliance.ts.
 */
import assert from 'node:assert/strict'
import { createECDH } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { openElement } from '@countersign/element/compose'
import { countersign, start } from '../cli/bin.ts'
import { openTestHouse } from './house.ts'

const house = await openTestHouse()

test('the private key of a chip is nowhere but in the chip', async (t) => {
  const [file, socket] = [join(house.root, 'chip.json'), join(house.root, 'chip.sock')]
  const chip = start(['element', 'emulate', file, '--socket', socket, '--times', 'none', '--json'])
  const device: { child?: ReturnType<typeof start> } = {}
  try {
    await firstLine(chip)
    const state = join(house.root, 'device')
    const url = `atecc608:relay:${socket}`
    const said = await enrolAndFail(state, url)
    const { key, public: point } = await keyOf(file, url)
    const running = start(['device', 'run', '--state', state, '--source', '-', '--json'])
    device.child = running
    running.stdin.write('{"celsius":21.5}\n')
    said.push(await sentBy(running))
    if (process.platform === 'linux') {
      // That what is looked for can be found: the emulator has it.
      assert.ok(memoryHas(chip.pid, key), 'the key is not in the memory of the emulator')
      assert.ok(memoryHas(running.pid, point), 'the public key is not in the memory of the device')
      assert.equal(memoryHas(running.pid, key), false)
    } else t.diagnostic('the memory of another process is looked at on Linux only')
    const backup = join(house.root, 'house.backup')
    await house.call('house.backup', { file: backup })
    const looked = [...(await filesIn(state)), ...(await filesIn(join(house.root, 'data'))), backup]
    assert.ok(looked.length > 8)
    for (const path of looked) assert.equal(holds(await readFile(path), key), false, path)
    assert.equal(holds(Buffer.from(said.join('\n')), key), false)
  } finally {
    for (const child of [device.child, chip]) child?.kill()
    if (chip.exitCode === null) await once(chip, 'close')
  }
})

/** Words and documents of commands that succeed and that fail, with the element at work. */
async function enrolAndFail(state: string, url: string): Promise<string[]> {
  const { server, token, anchor } = await house.invite()
  const to = ['--server', server, '--token', token, '--anchor', anchor, '--serial', 'STAYS']
  const enrolled = await countersign([
    'device',
    'enroll',
    ...to,
    '--element',
    url,
    '--state',
    state,
  ])
  assert.equal(enrolled.code, 0, enrolled.stderr)
  const outcomes = [
    enrolled,
    await countersign(['element', 'info', url, '--json']),
    await countersign(['element', 'attest', url, '--json']),
    await countersign(['device', 'show', '--state', state]),
    await countersign(['device', 'enroll', ...to, '--element', url, '--state', state, '--json']),
    await countersign(['element', 'attest', url, '--slot', '4']),
    await countersign(['element', 'setup', url]),
  ]
  assert.ok(outcomes.some(({ code }) => code === 1))
  return outcomes.map(({ stdout, stderr }) => stdout + stderr)
}

/** Where in its slot the emulator keeps a private key is found by its public key. */
async function keyOf(file: string, url: string): Promise<{ key: Buffer; public: Buffer }> {
  const element = await openElement(url, { folder: house.root })
  const point = Buffer.from(await element.publicKey(0))
  await element.close()
  const { slots }: { slots: readonly string[] } = JSON.parse(readFileSync(file, 'utf8'))
  const cells = Buffer.from(slots[0] ?? '', 'hex')
  for (let at = 0; at + 32 <= cells.length; at++) {
    const key = cells.subarray(at, at + 32)
    if (publicOf(key)?.equals(point)) return { key, public: point }
  }
  return assert.fail('the file of the emulator does not hold the key')
}

function publicOf(key: Buffer): Buffer | undefined {
  const pair = createECDH('prime256v1')
  try {
    pair.setPrivateKey(key)
    return pair.getPublicKey().subarray(1)
  } catch {
    // No scalar of P-256 begins here.
    return undefined
  }
}

function holds(where: Buffer, key: Buffer): boolean {
  const hex = key.toString('hex')
  const forms = [key, Buffer.from(hex), Buffer.from(hex.toUpperCase())]
  // In base64 its middle looks one of three ways, by where it begins.
  for (const pad of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(pad), key]).toString('base64')
    forms.push(Buffer.from(text.slice(4, 40)))
  }
  return forms.some((form) => where.includes(form))
}

/** All that the process may read and write (proc(5)), piece by piece with an overlap. */
function memoryHas(pid: number | undefined, what: Buffer): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const [from, to] of regions(pid)) {
      for (let at = from; at < to; at += pieceBytes) {
        const length = Math.min(pieceBytes + what.length, to - at)
        const piece = Buffer.alloc(length)
        if (readPiece(memory, piece, at) && holds(piece, what)) return true
      }
    }
    return false
  } finally {
    closeSync(memory)
  }
}

const pieceBytes = 1 << 24

function regions(pid: number | undefined): readonly (readonly [from: number, to: number])[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line))
    .flatMap((found) =>
      found === null ? [] : [[Number(`0x${found[1]}`), Number(`0x${found[2]}`)] as const],
    )
}

/** False where pages of a region cannot be read: it was given back meanwhile, or is a guard. */
function readPiece(memory: number, piece: Buffer, at: number): boolean {
  try {
    return readSync(memory, piece, 0, piece.length, at) > 0
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EIO') return false
    throw error
  }
}

async function firstLine(child: ReturnType<typeof start>): Promise<string> {
  for await (const line of createInterface({ input: child.stdout })) return line
  return assert.fail('it ended without a word')
}

async function sentBy(child: ReturnType<typeof start>): Promise<string> {
  let said = ''
  for await (const line of createInterface({ input: child.stdout })) {
    said += line
    if (/"event":"sent"/.test(line)) return said
  }
  return assert.fail(`it ended before it had sent: ${said}`)
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true })
  const paths = names.map((name) => join(folder, name))
  const kinds = await Promise.all(paths.map(async (path) => (await stat(path)).isFile()))
  return paths.filter((_, i) => kinds[i])
}
