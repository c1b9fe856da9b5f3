/** The adapter of serialport: on an object with its interface, and on a pseudo terminal of socat. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSerialUart, type SerialDevice, type SerialOptions } from '../../src/bus/serialUart.ts'
import { machineTime } from '../../src/bus/time.ts'
import { revision } from '../../src/drivers/atecc608/basics.ts'
import { openChipSession } from '../../src/drivers/atecc608/session.ts'
import { swiWire } from '../../src/drivers/atecc608/swiWire.ts'
import { blankEeprom } from '../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../src/emulators/atecc608/core.ts'
import { EmulatedPart } from '../../src/emulators/atecc608/part.ts'
import { serveSwi } from '../../src/emulators/atecc608/swiEndpoint.ts'
import { noSocat, serialPort } from './socat.ts'

type Done = (error?: Error | null) => void
type Listener = (value?: Buffer | Error | null) => void

/** Notes what it is told, and says what the test wants it to. */
class FakePort {
  static last: FakePort
  readonly options: SerialOptions
  readonly log: string[] = []
  readonly #listeners = new Map<string, Listener>()
  fails: string | undefined

  constructor(options: SerialOptions) {
    this.options = options
    FakePort.last = this
  }

  on(event: string, listener: Listener): void {
    this.#listeners.set(event, listener)
  }

  emit(event: string, value?: Buffer | Error): void {
    this.#listeners.get(event)?.(value)
  }

  open = (done: Done): void => this.#note('open', done)
  update = ({ baudRate }: { baudRate: number }, done: Done): void =>
    this.#note(`${baudRate} Bd`, done)
  write = (bytes: Buffer, done: Done): void => this.#note(bytes.toString('hex'), done)
  drain = (done: Done): void => this.#note('drain', done)
  flush = (done: Done): void => this.#note('flush', done)
  close = (done: Done): void => this.#note('close', done)

  #note(what: string, done: Done): void {
    this.log.push(what)
    const fails = this.fails === what
    setImmediate(() => done(fails ? new Error(`no ${what}`) : null))
  }
}

const library = async (): Promise<{
  SerialPort: new (options: SerialOptions) => SerialDevice
}> => ({ SerialPort: FakePort as unknown as new (options: SerialOptions) => SerialDevice })

test('a port is opened with 7 data bits and no parity', async () => {
  await openSerialUart('/dev/ttyS7', library)
  assert.deepEqual(FakePort.last.options, {
    path: '/dev/ttyS7',
    baudRate: 230_400,
    dataBits: 7,
    parity: 'none',
    stopBits: 1,
    autoOpen: false,
  })
})

test('what is written is out before the rate changes', async () => {
  const uart = await openSerialUart('/dev/ttyS7', library)
  await uart.setBaudRate(115_200)
  await uart.write(Uint8Array.of(0))
  await uart.close()
  assert.deepEqual(FakePort.last.log, ['open', 'drain', '115200 Bd', '00', 'drain', 'close'])
})

test('bytes are read when they are there, and the rest is kept', async () => {
  const uart = await openSerialUart('/dev/ttyS7', library)
  const read = uart.read(3, 10_000)
  FakePort.last.emit('data', Buffer.from([1, 2]))
  FakePort.last.emit('data', Buffer.from([3, 4]))
  assert.deepEqual(await read, Uint8Array.of(1, 2, 3))
  assert.deepEqual(await uart.read(1, 0), Uint8Array.of(4))
})

test('what has not come within the time is missing', async () => {
  const uart = await openSerialUart('/dev/ttyS7', library)
  FakePort.last.emit('data', Buffer.from([1]))
  assert.deepEqual(await uart.read(3, 1), Uint8Array.of(1))
})

test('time in which this process was held up is not the silence of the other end', async () => {
  const uart = await openSerialUart('/dev/ttyS7', library)
  const read = uart.read(1, 20)
  // Longer than the patience: the timer of the wait is over before anything can be heard.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25)
  setTimeout(() => FakePort.last.emit('data', Buffer.from([9])), 1)
  assert.deepEqual(await read, Uint8Array.of(9))
})

test('what is discarded is not read', async () => {
  const uart = await openSerialUart('/dev/ttyS7', library)
  FakePort.last.emit('data', Buffer.from([1]))
  await uart.discard()
  assert.deepEqual(await uart.read(1, 0), new Uint8Array())
  assert.ok(FakePort.last.log.includes('flush'))
})

test('a flood is kept up to its bound', async () => {
  const uart = await openSerialUart('/dev/ttyS7', library)
  for (let chunk = 0; chunk < 10; chunk++) FakePort.last.emit('data', Buffer.alloc(1000, 7))
  assert.equal((await uart.read(20_000, 0)).length, 4096)
})

class ClosedPort extends FakePort {
  override fails = 'open'
}

async function closedLibrary(): ReturnType<typeof library> {
  return { SerialPort: ClosedPort as unknown as new (options: SerialOptions) => SerialDevice }
}

async function noLibrary(): Promise<never> {
  throw Object.assign(new Error('no such module'), { code: 'ERR_MODULE_NOT_FOUND' })
}

test('a port that cannot be opened says what to look at', async () => {
  await assert.rejects(openSerialUart('/dev/ttyS7', closedLibrary), {
    code: 'ERR_ELEMENT_BUS',
    hint: /dialout/,
    where: '/dev/ttyS7',
  })
})

test('a port that was pulled is gone, also for who waits', async () => {
  const uart = await openSerialUart('/dev/ttyS7', library)
  const read = uart.read(1, 10_000)
  FakePort.last.emit('close', new Error('disconnected'))
  await assert.rejects(read, { code: 'ERR_ELEMENT_GONE' })
  await assert.rejects(uart.write(Uint8Array.of(1)), { code: 'ERR_ELEMENT_GONE' })
  await uart.close()
})

test('a library that is not installed is named with the line that brings it', async () => {
  await assert.rejects(openSerialUart('/dev/ttyS7', noLibrary), {
    code: 'ERR_ELEMENT_MODULE',
    hint: 'npm install serialport@13.0.0',
  })
})

test('the driver reads the emulated part through a serial port', { skip: noSocat }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'serial-'))
  t.after(() => rm(folder, { recursive: true }))
  const serial = Uint8Array.of(0x01, 0x23, 1, 2, 3, 4, 5, 6, 0xee)
  const core = coreOf(blankEeprom({ serial, revision: 3, swi: true }))
  const part = new EmulatedPart(core, { time: machineTime })
  const server = await serveSwi({ part, time: machineTime, path: join(folder, 'socket') })
  t.after(() => server.close())
  const uart = await openSerialUart(await serialPort(t, join(folder, 'ttyECC'), server.path))
  const session = await openChipSession(swiWire(uart, machineTime), machineTime)
  assert.equal(session.serial, '0123010203040506ee')
  assert.deepEqual(await revision(session), Uint8Array.of(0, 0, 0x60, 3))
  await session.close()
})
