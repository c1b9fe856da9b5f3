/** What goes over the two wires, byte by byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { I2cBus, Uart } from '../../../src/bus/ports.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { swiWire } from '../../../src/drivers/atecc608/swiWire.ts'
import { bytes, hexOf, ManualTime } from './scripted.ts'

/** Reads are answered in order; undefined is a NACK. */
class NotingBus implements I2cBus {
  readonly where = '/dev/i2c-7'
  readonly log: string[] = []
  readonly reads: (string | undefined)[]
  nacks = 0

  constructor(...reads: readonly (string | undefined)[]) {
    this.reads = [...reads]
  }

  async write(address: number, written: Uint8Array): Promise<boolean> {
    this.log.push(`W ${address.toString(16)} ${hexOf(written)}`)
    return this.nacks-- <= 0
  }

  async read(address: number, length: number): Promise<Uint8Array | undefined> {
    this.log.push(`R ${address.toString(16)} ${length}`)
    const read = this.reads.shift()
    return read === undefined ? undefined : bytes(read)
  }

  async close(): Promise<void> {
    this.log.push('close')
  }
}

test('I2C: a wake is a write to address 0, and four bytes when the chip is up', async () => {
  const bus = new NotingBus('04 11 33 43')
  const time = new ManualTime()
  bus.nacks = 1
  assert.equal(hexOf(await i2cWire(bus, time).wake()), '04113343')
  assert.deepEqual(bus.log, ['W 0 01', 'R 60 4'])
  assert.ok(time.now() >= 1.5)
})

test('I2C: a chip that does not wake gives nothing', async () => {
  assert.equal(hexOf(await i2cWire(new NotingBus(undefined), new ManualTime()).wake()), '')
})

test('I2C: each write begins with its word address', async () => {
  const bus = new NotingBus()
  const wire = i2cWire(bus, new ManualTime(), 0x35)
  assert.equal(await wire.send(bytes('07 30 00 00 00 03 5d')), true)
  await wire.idle()
  await wire.sleep()
  await wire.close()
  assert.deepEqual(bus.log, ['W 35 030730000000035d', 'W 35 02', 'W 35 01', 'close'])
  assert.equal(wire.where, '/dev/i2c-7 address 0x35')
})

test('I2C: an idle that nobody acknowledged is sent once more', async () => {
  const bus = new NotingBus()
  bus.nacks = 1
  await i2cWire(bus, new ManualTime()).idle()
  assert.deepEqual(bus.log, ['W 60 02', 'W 60 02'])
})

test('I2C: an answer is its count, and then its rest', async () => {
  const bus = new NotingBus('07', '00006003 83bb')
  assert.equal(
    hexOf((await i2cWire(bus, new ManualTime()).receive(false)) ?? new Uint8Array()),
    '070000600383bb',
  )
  assert.deepEqual(bus.log, ['W 60 00', 'R 60 1', 'R 60 6'])
})

test('I2C: a chip that is busy acknowledges nothing', async () => {
  const bus = new NotingBus()
  bus.nacks = 1
  assert.equal(await i2cWire(bus, new ManualTime()).receive(false), undefined)
  assert.deepEqual(bus.log, ['W 60 00'])
  assert.equal(await i2cWire(new NotingBus(undefined), new ManualTime()).receive(false), undefined)
})

test('I2C: a count without sense is not followed', async () => {
  for (const count of ['00', '03', '67', 'ff']) {
    const bus = new NotingBus(count)
    const got = await i2cWire(bus, new ManualTime()).receive(false)
    assert.equal(hexOf(got ?? new Uint8Array()), count)
    assert.deepEqual(bus.log, ['W 60 00', 'R 60 1'])
  }
  // The rest was not acknowledged: what there is, is no packet.
  const got = await i2cWire(new NotingBus('07', undefined), new ManualTime()).receive(false)
  assert.equal(hexOf(got ?? new Uint8Array()), '07')
})

test('I2C: an address that the bus keeps for itself is refused', () => {
  for (const address of [0, 7, 0x78, 0x80, 1.5]) {
    assert.throws(() => i2cWire(new NotingBus(), new ManualTime(), address), {
      code: 'ERR_ELEMENT_ARGUMENT',
    })
  }
})

/** Echoes what is written, and says what it has to say after a flag. */
class NotingUart implements Uart {
  readonly where = '/dev/ttyS7'
  readonly log: string[] = []
  echoes = true
  /** Changes the echo of what is written. */
  bend = (written: Uint8Array): Uint8Array => written
  readonly #says: Uint8Array
  #received: number[] = []

  constructor(says = '') {
    this.#says = bytes(says)
  }

  async setBaudRate(rate: number): Promise<void> {
    this.log.push(`${rate} Bd`)
  }

  async write(written: Uint8Array): Promise<void> {
    this.log.push(hexOf(written))
    if (this.echoes) this.#received.push(...this.bend(written))
    if (hexOf(written) === transmit) this.#received.push(...this.#says)
  }

  async read(length: number): Promise<Uint8Array> {
    return Uint8Array.from(this.#received.splice(0, length))
  }

  async discard(): Promise<void> {
    this.#received = []
  }

  async close(): Promise<void> {
    this.log.push('close')
  }
}

// 0x88, 0x77, 0xBB, 0xCC from the lowest bit: 7F is a one, 7D a zero.
const transmit = '7d7d7d7f7d7d7d7f'
const command = '7f7f7f7d7f7f7f7d'
const idle = '7f7f7d7f7f7f7d7f'
const sleep = '7d7d7f7f7d7d7f7f'
/** 04 11 33 43 in bits. */
const wakeBits = '7d7d7f7d7d7d7d7d 7f7d7d7d7f7d7d7d 7f7f7d7d7f7f7d7d 7f7f7d7d7d7d7f7d'

test('SWI: a wake is a byte of zeros at 115200, and four bytes at 230400', async () => {
  const uart = new NotingUart(wakeBits)
  assert.equal(hexOf(await swiWire(uart, new ManualTime()).wake()), '04113343')
  assert.deepEqual(uart.log, ['115200 Bd', '00', '230400 Bd', transmit])
})

test('SWI: a chip may put a one beside its place', async () => {
  // 7E ^ 7F is 1: still a one.
  const uart = new NotingUart(wakeBits.replaceAll('7f', '7e'))
  assert.equal(hexOf(await swiWire(uart, new ManualTime()).wake()), '04113343')
})

test('SWI: a command is its flag and its packet, bit by bit', async () => {
  const uart = new NotingUart()
  assert.equal(await swiWire(uart, new ManualTime()).send(bytes('07 30')), true)
  assert.deepEqual(uart.log, [`${command}7f7f7f7d7d7d7d7d7d7d7d7d7f7f7d7d`])
})

test('SWI: idle and sleep are flags', async () => {
  const uart = new NotingUart()
  const wire = swiWire(uart, new ManualTime())
  await wire.idle()
  await wire.sleep()
  await wire.close()
  assert.deepEqual(uart.log, [idle, sleep, 'close'])
})

test('SWI: a chip that says nothing is busy', async () => {
  assert.equal(await swiWire(new NotingUart(), new ManualTime()).receive(false), undefined)
})

test('SWI: what was not sent as heard was not sent', async () => {
  for (let bit = 0; bit < 8; bit++) {
    const uart = new NotingUart(wakeBits)
    uart.bend = (written) => written.map((token, index) => (index === bit ? token ^ 2 : token))
    const wire = swiWire(uart, new ManualTime())
    assert.equal(await wire.send(bytes('07')), false)
    assert.equal(await wire.receive(false), undefined)
  }
})

test('SWI: a line that is not joined is ERR_ELEMENT_BUS at its first wake, with a hint', async () => {
  const uart = new NotingUart()
  uart.echoes = false
  await assert.rejects(swiWire(uart, new ManualTime()).wake(), {
    code: 'ERR_ELEMENT_BUS',
    hint: /Join TX/,
    where: '/dev/ttyS7',
  })
})

test('SWI: on a line that was heard once, silence is a chip that does not answer', async () => {
  const uart = new NotingUart(wakeBits)
  const wire = swiWire(uart, new ManualTime())
  await wire.wake()
  uart.echoes = false
  assert.equal(await wire.send(bytes('07')), false)
  assert.equal(hexOf(await wire.wake()), '')
})

test('SWI: an idle that was not heard as it was sent is sent once more', async () => {
  const uart = new NotingUart()
  let bends = 1
  uart.bend = (written) => (bends-- > 0 ? written.map((token) => token ^ 2) : written)
  await swiWire(uart, new ManualTime()).idle()
  assert.deepEqual(uart.log, [idle, idle])
})

test('SWI: an answer that ends early is what came of it', async () => {
  const uart = new NotingUart(wakeBits.replaceAll(' ', '').slice(0, 2 * 19))
  const got = await swiWire(uart, new ManualTime()).receive(false)
  assert.equal(hexOf(got ?? new Uint8Array()), '0411')
  const count = new NotingUart('7f7f7f7f7f7f7f7f')
  assert.equal(
    hexOf((await swiWire(count, new ManualTime()).receive(false)) ?? new Uint8Array()),
    'ff',
  )
})
