import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { I2cBus } from '../../../src/bus/ports.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import {
  type OpenedPart,
  type OpenPartOptions,
  openEmulatedPart,
} from '../../../src/emulators/atecc608/persistence.ts'
import { bytes, ManualTime, text } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'csgn-part-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** SlotConfig of slots 0 and 1, as a blank part has it and as it is written here. */
const readSlotConfigs = '07 02 00 05 00 14 ED'
const writeSlotConfigs = '0B 12 00 05 00 8F 20 8F 20 62 BD'
const written = '07 8F 20 8F 20 6C DF'
const blankSlotConfigs = '83 20 87 20'
const readSerial = '07 02 00 00 00 1E 2D'
const done = '04 00 03 40'

function freePath(): string {
  return join(folder, `${++files}.json`)
}

function open(
  t: TestContext,
  path: string,
  options: Partial<OpenPartOptions> = {},
): OpenedPart & { readonly bus: I2cBus; ask(command: string): Promise<string | undefined> } {
  const time = new ManualTime()
  const opened = openEmulatedPart(path, { time, times: 'none', flush: false, ...options })
  t.after(() => opened.close())
  const bus = emulatedI2c([opened.part])
  const ask = async (command: string): Promise<string | undefined> => {
    await bus.write(0, bytes('01'))
    time.pass(1.5)
    if (!(await bus.write(0x60, bytes(`03 ${command}`)))) return undefined
    const count = await bus.read(0x60, 1)
    if (count?.[0] === undefined) return undefined
    const rest = await bus.read(0x60, count[0] - 1)
    return text(Uint8Array.of(...count, ...(rest ?? [])))
  }
  return { ...opened, bus, ask }
}

test('a new part is blank, its file the owner’s alone, and its serial stays', async (t) => {
  const path = freePath()
  const first = open(t, path, { flush: true })
  assert.equal(first.isNew, true)
  assert.equal((await first.ask(readSlotConfigs))?.slice(3, 14), blankSlotConfigs)
  const serial = await first.ask(readSerial)
  assert.match(serial ?? '', /^07 01 23 /)
  first.close()
  if (process.platform !== 'win32') {
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(`${path}.lock`).mode & 0o777, 0o600)
  }
  const second = open(t, path)
  assert.equal(second.isNew, false)
  assert.equal(await second.ask(readSerial), serial)
})

test('what a command wrote is in the file before its reply is read', async (t) => {
  const path = freePath()
  const first = open(t, path, { flush: true })
  assert.match(readFileSync(path, 'utf8'), /83208720/)
  await first.ask(readSerial)
  assert.equal(await first.bus.write(0x60, bytes(`03 ${writeSlotConfigs}`)), true)
  assert.match(readFileSync(path, 'utf8'), /8f208f20/)
  assert.equal(text(await first.bus.read(0x60, 4)), done)
  first.close()
  assert.equal(await open(t, path).ask(readSlotConfigs), written)
})

test('a write that cannot reach the file has no reply, and is made up for by the next command', async (t) => {
  const path = freePath()
  const it = open(t, path)
  await it.ask(readSerial)
  mkdirSync(`${path}.new`)
  await assert.rejects(it.bus.write(0x60, bytes(`03 ${writeSlotConfigs}`)), { code: 'EISDIR' })
  assert.equal(text(await it.bus.read(0x60, 4)), 'FF FF FF FF')
  assert.doesNotMatch(readFileSync(path, 'utf8'), /8f208f20/)
  rmdirSync(`${path}.new`)
  assert.equal(await it.ask(readSlotConfigs), written)
  assert.match(readFileSync(path, 'utf8'), /8f208f20/)
})

test('after it is closed, the file is another’s', async (t) => {
  const path = freePath()
  const it = open(t, path)
  await it.ask(readSerial)
  it.close()
  const gone = { code: 'ERR_ELEMENT_GONE' }
  await assert.rejects(it.bus.write(0x60, bytes(`03 ${writeSlotConfigs}`)), gone)
  assert.doesNotMatch(readFileSync(path, 'utf8'), /8f208f20/)
})

test('the power goes before the write: the file is as it was', async (t) => {
  const path = freePath()
  const it = open(t, path)
  const before = readFileSync(path, 'utf8')
  it.part.faults.cutPower(1, 0)
  assert.equal(await it.ask(writeSlotConfigs), undefined)
  assert.equal(readFileSync(path, 'utf8'), before)
  assert.equal((await it.ask(readSlotConfigs))?.slice(3, 14), blankSlotConfigs)
})

test('a part belongs to one process, and is free when that is gone', (t) => {
  const path = freePath()
  const it = open(t, path)
  const busy = { code: 'ERR_ELEMENT_BUSY' }
  assert.throws(() => open(t, path), busy)
  assert.match(openElsewhere(path), /ERR_ELEMENT_BUSY/)
  it.close()
  // That one ends without closing anything.
  assert.equal(openElsewhere(path), 'opened')
  open(t, path).close()
})

function openElsewhere(path: string): string {
  const module = fileURLToPath(
    new URL('../../../src/emulators/atecc608/persistence.ts', import.meta.url),
  )
  const script =
    `import { openEmulatedPart } from ${JSON.stringify(module)};` +
    `try { openEmulatedPart(${JSON.stringify(path)}, { time: { now: () => 0 } });` +
    "process.stdout.write('opened') } catch (error) { process.stdout.write(error.code) }"
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  return child.stdout + child.stderr
}

test('a file that is cut anywhere is damaged', (t) => {
  const path = freePath()
  open(t, path).close()
  const whole = readFileSync(path)
  // Without its last line feed it is whole.
  for (let length = 0; length < whole.length - 1; length += length < 200 ? 1 : 97) {
    writeFileSync(path, whole.subarray(0, length))
    assert.throws(() => open(t, path), { code: 'ERR_ELEMENT_DAMAGED' }, `length ${length}`)
  }
})

test('a field that is missing, too many, or of another shape is damage', (t) => {
  const path = freePath()
  open(t, path).close()
  const whole = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  const slots = whole['slots'] as string[]
  const damages: Record<string, unknown>[] = [
    ...Object.keys(whole).map((name) => ({ ...whole, [name]: undefined })),
    ...Object.keys(whole).map((name) => ({ ...whole, [name]: 7 })),
    { ...whole, more: 1 },
    { ...whole, version: 2 },
    { ...whole, config: `${String(whole['config'])}00` },
    { ...whole, config: String(whole['config']).toUpperCase() },
    { ...whole, slots: slots.slice(1) },
    { ...whole, slots: [...slots.slice(1), slots[0]], otp: '' },
    { ...whole, slots: slots.with(3, 'zz'.repeat(36)) },
  ]
  for (const damage of damages) {
    writeFileSync(path, JSON.stringify(damage))
    assert.throws(() => open(t, path), { code: 'ERR_ELEMENT_DAMAGED' })
  }
  writeFileSync(path, `${JSON.stringify(whole)}${' '.repeat(16_384)}`)
  assert.throws(() => open(t, path), { code: 'ERR_ELEMENT_DAMAGED' })
  writeFileSync(path, JSON.stringify(whole))
  open(t, path).close()
})

test('a file that others may read, and what is no file', {
  skip: process.platform === 'win32' ? 'modes of files' : false,
}, (t) => {
  const path = freePath()
  open(t, path).close()
  chmodSync(path, 0o640)
  assert.throws(() => open(t, path), { code: 'ERR_ELEMENT_MODE' })
  chmodSync(path, 0o600)
  const link = freePath()
  symlinkSync(path, link)
  assert.throws(() => open(t, link), { code: 'ERR_ELEMENT_DAMAGED' })
  const directory = freePath()
  mkdirSync(directory)
  assert.throws(() => open(t, directory), { code: 'ERR_ELEMENT_DAMAGED' })
  assert.throws(() => open(t, join(folder, 'none', 'x')), { code: 'ERR_ELEMENT_ARGUMENT' })
  assert.equal(existsSync(join(folder, 'none')), false)
})

test('address and framing of a new part are chosen, of an old one expected', (t) => {
  const path = freePath()
  const first = open(t, path, { address: 0x35 })
  assert.deepEqual([first.part.wiring.address, first.part.wiring.framing], [0x35, 'i2c'])
  first.close()
  assert.throws(() => open(t, path, { address: 0x60 }), { code: 'ERR_ELEMENT_CONFIG' })
  assert.throws(() => open(t, path, { framing: 'swi' }), { code: 'ERR_ELEMENT_CONFIG' })
  open(t, path, { address: 0x35, framing: 'i2c' }).close()
  open(t, path).close()
  const wire = freePath()
  assert.equal(open(t, wire, { framing: 'swi' }).part.wiring.framing, 'swi')
  for (const address of [0, 0x07, 0x78, 0x80, 1.5]) {
    assert.throws(() => open(t, freePath(), { address }), { code: 'ERR_ELEMENT_ARGUMENT' })
  }
})
