import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openRelayI2c } from '../../src/bus/relayI2c.ts'
import { paperTime } from '../../src/bus/time.ts'
import { revision } from '../../src/drivers/atecc608/basics.ts'
import { i2cWire } from '../../src/drivers/atecc608/i2cWire.ts'
import { openChipSession } from '../../src/drivers/atecc608/session.ts'
import { blankEeprom } from '../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../src/emulators/atecc608/core.ts'
import { emulatedI2c } from '../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../src/emulators/atecc608/part.ts'
import { serveRelay } from '../../src/emulators/atecc608/relay.ts'

const skip = process.platform === 'win32' ? 'there are no unix sockets with a mode' : false

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'relay-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

/** Answers each request, of which the test says what it is. */
async function serve(
  t: TestContext,
  answer: (request: Buffer, socket: Socket) => void,
): Promise<string> {
  const path = join(await folder(t), 'socket')
  const server = createServer((socket) => {
    socket.on('data', (request: Buffer) => answer(request, socket))
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(() => server.close())
  return path
}

test('requests and answers are as written', { skip }, async (t) => {
  const requests: string[] = []
  const answers = ['00', '01', '00 04 11 33 43', '01']
  const path = await serve(t, (request, socket) => {
    requests.push(request.toString('hex'))
    socket.write(Buffer.from((answers.shift() ?? '').replaceAll(' ', ''), 'hex'))
  })
  const bus = await openRelayI2c(path)
  assert.equal(await bus.write(0x60, Uint8Array.of(3, 7)), true)
  assert.equal(await bus.write(0, Uint8Array.of(1)), false)
  assert.deepEqual(await bus.read(0x60, 4), Uint8Array.of(0x04, 0x11, 0x33, 0x43))
  assert.equal(await bus.read(0x60, 75), undefined)
  await bus.close()
  assert.deepEqual(requests, ['576002000307', '5700010001', '52600400', '52604b00'])
})

test('an answer may come byte by byte', { skip }, async (t) => {
  const path = await serve(t, (_, socket) => {
    socket.setNoDelay(true)
    const bytes = [0x00, 0x04, 0x11, 0x33, 0x43]
    const next = (): void => {
      const byte = bytes.shift()
      if (byte !== undefined) socket.write(Uint8Array.of(byte), () => setImmediate(next))
    }
    next()
  })
  const bus = await openRelayI2c(path)
  t.after(() => bus.close())
  assert.deepEqual(await bus.read(0x60, 4), Uint8Array.of(0x04, 0x11, 0x33, 0x43))
})

test('calls at the same time have their own answers', { skip }, async (t) => {
  const path = await serve(t, (request, socket) => {
    const length = request[2] ?? 0
    socket.write(Uint8Array.of(0, ...Array.from({ length }, () => length)))
  })
  const bus = await openRelayI2c(path)
  t.after(() => bus.close())
  const reads = await Promise.all([1, 2, 3].map((length) => bus.read(0x60, length)))
  assert.deepEqual(reads, [Uint8Array.of(1), Uint8Array.of(2, 2), Uint8Array.of(3, 3, 3)])
})

const wrongAnswers: readonly (readonly [string, string])[] = [
  ['a status without meaning', '02'],
  ['more than was asked', '00 04 11 33 43 ff'],
  ['a refusal with bytes behind it', '01 04'],
]
for (const [what, said] of wrongAnswers) {
  test(`a relay that answers ${what} is left`, { skip }, async (t) => {
    const path = await serve(t, (_, socket) => {
      socket.write(Buffer.from(said.replaceAll(' ', ''), 'hex'))
    })
    const bus = await openRelayI2c(path)
    t.after(() => bus.close())
    await assert.rejects(bus.read(0x60, 4), { code: 'ERR_ELEMENT_BUS', where: path })
    await assert.rejects(bus.read(0x60, 4), { code: 'ERR_ELEMENT_BUS' })
  })
}

test('a relay that does not answer is left in bounded time', { skip }, async (t) => {
  const path = await serve(t, () => undefined)
  const bus = await openRelayI2c(path, { timeoutMs: 30 })
  t.after(() => bus.close())
  await assert.rejects(bus.read(0x60, 4), { code: 'ERR_ELEMENT_BUS', message: /does not answer/ })
})

test('a relay that goes away is gone', { skip }, async (t) => {
  const path = await serve(t, (_, socket) => socket.destroy())
  const bus = await openRelayI2c(path)
  t.after(() => bus.close())
  await assert.rejects(bus.read(0x60, 4), { code: 'ERR_ELEMENT_GONE' })
  await assert.rejects(bus.write(0x60, Uint8Array.of(1)), { code: 'ERR_ELEMENT_GONE' })
})

test('where no relay is, there is none', { skip }, async (t) => {
  const path = join(await folder(t), 'nobody')
  await assert.rejects(openRelayI2c(path), { code: 'ERR_ELEMENT_BUS', where: path })
})

test('what is no transfer is refused here', { skip }, async (t) => {
  const path = await serve(t, () => assert.fail('it was sent'))
  const bus = await openRelayI2c(path)
  t.after(() => bus.close())
  const argument = { code: 'ERR_ELEMENT_ARGUMENT' }
  await assert.rejects(async () => bus.read(0x80, 1), argument)
  await assert.rejects(async () => bus.read(0x60, 257), argument)
  await assert.rejects(async () => bus.write(-1, Uint8Array.of(1)), argument)
})

test('a bus that is closed is not used any more', { skip }, async (t) => {
  const path = await serve(t, () => undefined)
  const bus = await openRelayI2c(path)
  await bus.close()
  await bus.close()
  await assert.rejects(bus.read(0x60, 1), { code: 'ERR_ELEMENT_GONE' })
})

test('the driver reads the emulated part through its relay', { skip }, async (t) => {
  const time = paperTime()
  const serial = Uint8Array.of(0x01, 0x23, 1, 2, 3, 4, 5, 6, 0xee)
  const part = new EmulatedPart(coreOf(blankEeprom({ serial, revision: 3 })), { time })
  const path = join(await folder(t), 'socket')
  const server = await serveRelay({ bus: emulatedI2c([part]), path })
  t.after(() => server.close())
  const session = await openChipSession(i2cWire(await openRelayI2c(path), time), time)
  assert.equal(session.serial, '0123010203040506ee')
  assert.deepEqual(await revision(session), Uint8Array.of(0, 0, 0x60, 3))
  await session.close()
})
