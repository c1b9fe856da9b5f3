import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Uart } from '../../../src/bus/ports.ts'
import { EmulatedPart, type ExecutionTimes } from '../../../src/emulators/atecc608/part.ts'
import { emulatedSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
import {
  bytes,
  info608b,
  infoCommand,
  ManualTime,
  notReceived,
  ScriptedChip,
  text,
  wakeReply,
} from './support.ts'

/** A byte of the UART per bit, the lowest first: written out once by hand. */
const flagCommand = '7F 7F 7F 7D 7F 7F 7F 7D'
const flagTransmit = '7D 7D 7D 7F 7D 7D 7D 7F'
const flagIdle = '7F 7F 7D 7F 7F 7F 7D 7F'
const flagSleep = '7D 7D 7F 7F 7D 7D 7F 7F'
/** 07 30 00 00 00 03 5D */
const infoBits = [
  '7F 7F 7F 7D 7D 7D 7D 7D',
  '7D 7D 7D 7D 7F 7F 7D 7D',
  '7D 7D 7D 7D 7D 7D 7D 7D',
  '7D 7D 7D 7D 7D 7D 7D 7D',
  '7D 7D 7D 7D 7D 7D 7D 7D',
  '7F 7F 7D 7D 7D 7D 7D 7D',
  '7F 7D 7F 7F 7F 7D 7F 7D',
].join(' ')
/** 04 11 33 43 */
const wakeReplyBits = [
  '7D 7D 7F 7D 7D 7D 7D 7D',
  '7F 7D 7D 7D 7F 7D 7D 7D',
  '7F 7F 7D 7D 7F 7F 7D 7D',
  '7F 7F 7D 7D 7D 7D 7F 7D',
].join(' ')

interface Bench {
  readonly uart: Uart
  readonly time: ManualTime
  readonly chip: ScriptedChip
}

function bench(times: ExecutionTimes = 'real', chip = singleWire()): Bench {
  const time = new ManualTime()
  return { uart: emulatedSwi(new EmulatedPart(chip, { time, times }), time), time, chip }
}

function singleWire(): ScriptedChip {
  return new ScriptedChip({ config: { 14: 0x38 } })
}

/** 00 at 115200 baud, its echo, back to 230400. */
async function wake({ uart, time }: Bench): Promise<void> {
  await uart.setBaudRate(115_200)
  await uart.write(bytes('00'))
  assert.equal(text(await uart.read(1, 0)), '00')
  await uart.setBaudRate(230_400)
  time.pass(1.5)
}

/** Writes and takes the echo back. */
async function send({ uart }: Bench, tokens: string): Promise<void> {
  await uart.write(bytes(tokens))
  const count = bytes(tokens).length
  assert.equal(text(await uart.read(count, 0)), tokens)
}

/** The received bits as bytes, by the host's rule: a bit is 1 when (byte ^ 7F) < 2. */
async function received({ uart }: Bench): Promise<string> {
  const tokens = await uart.read(8 * 80, 5)
  const read: number[] = []
  for (let at = 0; at < tokens.length; at += 8) {
    let byte = 0
    for (let bit = 0; bit < 8; bit++) {
      if (((tokens[at + bit] ?? 0) ^ 0x7f) < 2) byte |= 1 << bit
    }
    read.push(byte)
  }
  return text(Uint8Array.from(read)) ?? ''
}

test('woken by 00 at 115200 baud, it answers the transmit flag with the wake reply', async () => {
  const it = bench()
  await wake(it)
  await send(it, flagTransmit)
  assert.equal(text(await it.uart.read(32, 0)), wakeReplyBits)
})

test('the host hears its own echo, also from a part that sleeps', async () => {
  const it = bench()
  await send(it, flagTransmit)
  assert.equal(await received(it), '')
  assert.deepEqual(it.chip.calls, [])
})

test('00 at 230400 baud is too short to wake it', async () => {
  const it = bench()
  await send(it, '00')
  it.time.pass(1.5)
  await send(it, flagTransmit)
  assert.equal(await received(it), '')
})

test('it hears nothing before 1500 us have passed', async () => {
  const it = bench()
  await wake(it)
  it.time.milliseconds = 1.4
  await send(it, flagTransmit)
  assert.equal(await received(it), '')
  await send(it, flagTransmit)
  assert.equal(await received(it), wakeReply)
})

test('Info over the single wire, bit for bit', async () => {
  const it = bench()
  await wake(it)
  await send(it, `${flagCommand} ${infoBits}`)
  assert.deepEqual(it.chip.calls, ['wake', infoCommand])
  it.time.pass(5)
  await send(it, flagTransmit)
  assert.equal(await received(it), info608b)
})

test('the transmit flag gets nothing while it is busy, and the same reply each time after', async () => {
  const it = bench(() => 20)
  await wake(it)
  await send(it, `${flagCommand} ${infoBits}`)
  for (let asked = 0; asked < 4; asked++) {
    await send(it, flagTransmit)
    // Which waits 5 ms for what does not come.
    assert.equal(await received(it), '')
  }
  for (let asked = 0; asked < 3; asked++) {
    await send(it, flagTransmit)
    assert.equal(await received(it), info608b)
  }
})

test('a command that is sent while it is busy is not heard', async () => {
  const it = bench()
  await wake(it)
  await send(it, `${flagCommand} ${infoBits} ${flagCommand} ${infoBits}`)
  assert.deepEqual(it.chip.calls, ['wake', infoCommand])
})

test('idle and sleep by their flags', async () => {
  for (const [flag, name] of [
    [flagIdle, 'idle'],
    [flagSleep, 'sleep'],
  ] as const) {
    const it = bench()
    await wake(it)
    await send(it, flag)
    await send(it, flagTransmit)
    assert.equal(await received(it), '')
    await wake(it)
    await send(it, flagTransmit)
    assert.equal(await received(it), wakeReply)
    assert.deepEqual(it.chip.calls, ['wake', name, 'wake'])
  }
})

test('the watchdog ends it in the middle of a command', async () => {
  const it = bench()
  await wake(it)
  it.time.pass(1_298)
  const half = infoBits.slice(0, 80)
  await send(it, `${flagCommand} ${half.trim()}`)
  it.time.pass(1)
  await send(it, infoBits)
  assert.deepEqual(it.chip.calls, ['wake', 'sleep'])
  await wake(it)
  await send(it, `${flagCommand} ${infoBits}`)
  assert.deepEqual(it.chip.calls, ['wake', 'sleep', 'wake', infoCommand])
})

test('a command whose next bit does not come puts it to sleep', async () => {
  const it = bench()
  await wake(it)
  await send(it, `${flagCommand} 7F 7F 7F`)
  it.time.pass(84)
  await send(it, '7D 7D')
  it.time.pass(86)
  await send(it, '7D')
  assert.deepEqual(it.chip.calls, ['wake', 'sleep'])
})

test('a pause between a reply and the next flag does no harm', async () => {
  const it = bench()
  await wake(it)
  it.time.pass(600)
  await send(it, flagTransmit)
  assert.equal(await received(it), wakeReply)
})

test('what is no bit makes it wait for a flag again', async () => {
  for (const noise of ['00', '7E', '55', '7F']) {
    const it = bench()
    await wake(it)
    await send(it, `${flagCommand} 7F 7F 7F`)
    // 7F is a bit, but not at this rate.
    if (noise === '7F') await it.uart.setBaudRate(115_200)
    await send(it, noise)
    await it.uart.setBaudRate(230_400)
    await send(it, `${flagCommand} ${infoBits}`)
    assert.deepEqual(it.chip.calls, ['wake', infoCommand], noise)
  }
})

test('flags that it does not know have no effect', async () => {
  const it = bench()
  await wake(it)
  await send(it, '7D 7D 7D 7D 7D 7D 7D 7D 7F 7F 7F 7F 7F 7F 7F 7F')
  await send(it, flagTransmit)
  assert.equal(await received(it), wakeReply)
})

test('a count that is too small ends the command at once, and it was not received', async () => {
  const it = bench('none')
  await wake(it)
  await send(it, `${flagCommand} 7F 7D 7D 7D 7D 7D 7D 7D`)
  await send(it, flagTransmit)
  assert.equal(await received(it), notReceived)
  assert.deepEqual(it.chip.calls, ['wake', '01'])
})

test('a part for I2C does not hear the single wire', async () => {
  const it = bench('real', new ScriptedChip())
  await wake(it)
  await send(it, flagTransmit)
  assert.equal(await received(it), '')
  assert.deepEqual(it.chip.calls, [])
})

test('a host that reads less than came finds the rest, until it discards it', async () => {
  const it = bench()
  await wake(it)
  await it.uart.write(bytes(flagTransmit))
  assert.equal(text(await it.uart.read(8, 0)), flagTransmit)
  assert.equal(text(await it.uart.read(8, 0)), wakeReplyBits.slice(0, 23))
  await it.uart.discard()
  assert.equal(text(await it.uart.read(8, 0)), '')
})

test('what a host does not read is kept to 4096 bytes', async () => {
  const it = bench()
  await wake(it)
  for (let asked = 0; asked < 200; asked++) await it.uart.write(bytes(flagTransmit))
  assert.equal((await it.uart.read(100_000, 0)).length, 4_096)
})
