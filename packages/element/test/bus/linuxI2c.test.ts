/** The adapter of i2c-bus, on an object with its interface: there is no bus on a build machine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type I2cHandle, openLinuxI2c } from '../../src/bus/linuxI2c.ts'

function failure(code: string): Error {
  return Object.assign(new Error(`${code}, as the library says it`), { code })
}

class FakeHandle implements I2cHandle {
  readonly log: string[] = []
  fails: Error | undefined
  short = 0

  async i2cWrite(
    address: number,
    length: number,
    buffer: Uint8Array,
  ): Promise<{ bytesWritten: number }> {
    // The library refuses anything but a Buffer.
    assert.ok(Buffer.isBuffer(buffer))
    this.log.push(`W ${address} ${length} ${buffer.toString('hex')}`)
    if (this.fails !== undefined) throw this.fails
    return { bytesWritten: length - this.short }
  }

  async i2cRead(
    address: number,
    length: number,
    buffer: Uint8Array,
  ): Promise<{ bytesRead: number }> {
    assert.ok(Buffer.isBuffer(buffer))
    this.log.push(`R ${address} ${length}`)
    if (this.fails !== undefined) throw this.fails
    buffer.fill(0xa7)
    return { bytesRead: length - this.short }
  }

  async close(): Promise<void> {
    this.log.push('close')
  }
}

async function open(handle: I2cHandle, opened: number[] = []): ReturnType<typeof openLinuxI2c> {
  return openLinuxI2c('/dev/i2c-1', async () => ({
    openPromisified: async (busNumber) => {
      opened.push(busNumber)
      return handle
    },
  }))
}

test('a transfer goes to its address, and a bus has its number', async () => {
  const handle = new FakeHandle()
  const opened: number[] = []
  const bus = await open(handle, opened)
  assert.deepEqual(opened, [1])
  assert.equal(bus.where, '/dev/i2c-1')
  assert.equal(await bus.write(0x60, Uint8Array.of(3, 7)), true)
  assert.deepEqual(await bus.read(0x60, 2), Uint8Array.of(0xa7, 0xa7))
  await bus.close()
  assert.deepEqual(handle.log, ['W 96 2 0307', 'R 96 2', 'close'])
})

test('nobody acknowledged, however the adapter calls it', async () => {
  const handle = new FakeHandle()
  const bus = await open(handle)
  for (const code of ['EREMOTEIO', 'ENXIO']) {
    handle.fails = failure(code)
    assert.equal(await bus.write(0, Uint8Array.of(1)), false)
    assert.equal(await bus.read(0x60, 4), undefined)
  }
})

test('less than was asked for is not an answer', async () => {
  const handle = new FakeHandle()
  const bus = await open(handle)
  handle.short = 1
  assert.equal(await bus.write(0x60, Uint8Array.of(1)), false)
  assert.equal(await bus.read(0x60, 4), undefined)
})

test('a bus that fails says what to do', async () => {
  const handle = new FakeHandle()
  const bus = await open(handle)
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['ENOENT', 'ERR_ELEMENT_BUS', /raspberry-pi/],
    ['EACCES', 'ERR_ELEMENT_BUS', /usermod -aG i2c/],
    ['EBUSY', 'ERR_ELEMENT_BUS', /kernel/],
    ['ETIMEDOUT', 'ERR_ELEMENT_BUS', /pull-ups/],
    ['ENODEV', 'ERR_ELEMENT_GONE', /plugged in/],
  ]
  for (const [code, expected, hint] of cases) {
    handle.fails = failure(code)
    await assert.rejects(bus.read(0x60, 4), { code: expected, hint, where: '/dev/i2c-1' })
  }
})

function failing(code: string): () => Promise<never> {
  return async () => {
    throw failure(code)
  }
}

test('a library that is not installed is named with the line that brings it', async () => {
  await assert.rejects(openLinuxI2c('/dev/i2c-1', failing('ERR_MODULE_NOT_FOUND')), {
    code: 'ERR_ELEMENT_MODULE',
    hint: 'npm install i2c-bus@5.2.3',
  })
})

test('a library that was built for another Node is named with the line that builds it', async () => {
  await assert.rejects(openLinuxI2c('/dev/i2c-1', failing('ERR_DLOPEN_FAILED')), {
    code: 'ERR_ELEMENT_MODULE',
    hint: /npm rebuild --nodedir= i2c-bus/,
  })
})

test('what is no I2C bus of Linux is refused before a library is loaded', async () => {
  for (const device of ['/dev/i2c-', '/dev/i2c-1/../sda', 'i2c-1', '/dev/i2c-12345', '']) {
    await assert.rejects(
      openLinuxI2c(device, async () => assert.fail('loaded')),
      {
        code: 'ERR_ELEMENT_URL',
      },
    )
  }
})
