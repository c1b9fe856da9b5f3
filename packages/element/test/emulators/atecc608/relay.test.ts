import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { I2cBus } from '../../../src/bus/ports.ts'
import { flipBit } from '../../../src/emulators/atecc608/faults.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import {
  RelayReader,
  type RelayRequest,
  serveRelay,
} from '../../../src/emulators/atecc608/relay.ts'
import type { UnixServer } from '../../../src/emulators/atecc608/unixServer.ts'
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

const skip = process.platform === 'win32' ? 'UNIX sockets' : false
const folder = mkdtempSync(join(tmpdir(), 'csgn-relay-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let sockets = 0

interface Bench {
  readonly relay: UnixServer
  readonly time: ManualTime
  readonly chip: ScriptedChip
  readonly faults: unknown[]
}

function freePath(): string {
  return join(folder, `${++sockets}.sock`)
}

async function bench(bus?: I2cBus): Promise<Bench> {
  const time = new ManualTime()
  const chip = new ScriptedChip()
  const part = new EmulatedPart(chip, { time, times: 'none' })
  const faults: unknown[] = []
  const relay = await serveRelay({
    bus: bus ?? emulatedI2c([part]),
    path: freePath(),
    onFault: (error) => faults.push(error),
  })
  return { relay, time, chip, faults }
}

/** A client that sends bytes and takes bytes. */
class Client {
  readonly socket: Socket
  #received: Uint8Array = new Uint8Array()
  #ended = false
  #news: () => void = () => undefined

  constructor(path: string) {
    this.socket = connect(path)
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#news()
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.#ended = true
      this.#news()
    })
  }

  async ask(request: string, answerLength: number): Promise<string | undefined> {
    this.socket.write(bytes(request))
    return await this.take(answerLength)
  }

  async take(length: number): Promise<string | undefined> {
    while (this.#received.length < length && !this.#ended) await this.#change()
    const taken = this.#received.slice(0, length)
    this.#received = this.#received.slice(length)
    return text(taken)
  }

  /** What is left until the other side ends. */
  async rest(): Promise<string | undefined> {
    while (!this.#ended) await this.#change()
    return text(this.#received)
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#news = resolve
    })
  }
}

function parse(request: string): RelayRequest[] {
  return [...new RelayReader().push(bytes(request))]
}

const wakeRequest = '57 00 01 00 01'
const infoRequest = `57 60 08 00 03 ${infoCommand}`

test('a host wakes the part, sends Info and reads its reply in two pieces', { skip }, async (t) => {
  const { relay, time } = await bench()
  t.after(() => relay.close())
  const host = new Client(relay.path)
  assert.equal(await host.ask('52 60 04 00', 1), '01')
  assert.equal(await host.ask(wakeRequest, 1), '01')
  time.pass(1.5)
  assert.equal(await host.ask('52 60 04 00', 5), `00 ${wakeReply}`)
  assert.equal(await host.ask(infoRequest, 1), '00')
  assert.equal(await host.ask('57 60 01 00 00', 1), '00')
  assert.equal(await host.ask('52 60 01 00', 2), '00 07')
  assert.equal(await host.ask('52 60 06 00', 7), `00 ${info608b.slice(3)}`)
  assert.equal(await host.ask('52 60 00 00', 1), '00')
  assert.equal(await host.ask('57 60 00 00', 1), '00')
  assert.equal(await host.ask('57 61 00 00', 1), '01')
  host.socket.destroy()
})

test('requests may be sent ahead, and cut anywhere', { skip }, async (t) => {
  const whole = bytes(`${wakeRequest} ${infoRequest} 52 60 07 00 52 61 07 00`)
  for (let cut = 1; cut < whole.length; cut++) {
    const { relay, time } = await bench()
    const host = new Client(relay.path)
    t.after(() => host.socket.destroy())
    // So that the part listens at once.
    time.now = () => (time.milliseconds += 2)
    host.socket.setNoDelay(true).write(whole.subarray(0, cut))
    await new Promise((resolve) => setImmediate(resolve))
    host.socket.write(whole.subarray(cut))
    assert.equal(await host.take(11), `01 00 00 ${info608b} 01`, `cut ${cut}`)
    await relay.close()
  }
})

test('a host that has said all and closes its half still gets its answers', { skip }, async (t) => {
  const { relay, faults } = await bench()
  t.after(() => relay.close())
  const host = new Client(relay.path)
  host.socket.end(bytes(`${wakeRequest} 52 60 04 00 57 60 01 00 00`))
  assert.equal(await host.rest(), '01 01 01')
  assert.deepEqual(faults, [])
})

test('what is no request ends the connection, after the answers to those before', {
  skip,
}, async (t) => {
  const { relay, faults, time } = await bench()
  t.after(() => relay.close())
  const wrong = ['00 60 01 00 00', '58', '52 80', '57 FF 00 00']
  for (const request of wrong) {
    const host = new Client(relay.path)
    host.socket.write(bytes(`52 60 01 00 ${request} ${wakeRequest}`))
    assert.equal(await host.rest(), '01', request)
  }
  assert.deepEqual(
    faults.map((error) => (error as { code: string }).code),
    wrong.map(() => 'ERR_RELAY_REQUEST'),
  )
  // None of them woke the part.
  time.pass(1.5)
  const host = new Client(relay.path)
  assert.equal(await host.ask('52 60 04 00', 1), '01')
  host.socket.destroy()
})

test('a stream that ends inside a request is a fault', { skip }, async (t) => {
  const { relay, faults } = await bench()
  t.after(() => relay.close())
  const host = new Client(relay.path)
  host.socket.end(bytes('57 60 04 00 03 07'))
  assert.equal(await host.rest(), '')
  assert.equal((faults[0] as { code: string }).code, 'ERR_RELAY_REQUEST')
})

test('a transfer has any length of the format, however it is cut', () => {
  assert.deepEqual(parse('52 7F FF FF'), [{ op: 'read', address: 0x7f, length: 65_535 }])
  const data = new Uint8Array(65_535).map((_, at) => at & 0xff)
  const write = { op: 'write', address: 0x60, data } as const
  const sent = Uint8Array.of(...bytes('57 60 FF FF'), ...data, ...bytes('52 60 01 00'))
  for (const size of [1, 3, 4096, 65_536, sent.length]) {
    const reader = new RelayReader()
    const requests: RelayRequest[] = []
    for (let at = 0; at < sent.length; at += size) {
      requests.push(...reader.push(sent.subarray(at, at + size)))
    }
    reader.end()
    assert.deepEqual(requests, [write, { op: 'read', address: 0x60, length: 1 }], `by ${size}`)
  }
})

test('a read past the reply is FF to its end, and a write that is too long no command', {
  skip,
}, async (t) => {
  const { relay, time } = await bench()
  t.after(() => relay.close())
  const host = new Client(relay.path)
  await host.ask(wakeRequest, 1)
  time.pass(1.5)
  assert.equal(await host.ask(infoRequest, 1), '00')
  const padded = await host.ask('52 60 FF FF', 65_536)
  assert.equal(padded, `00 ${info608b}${' FF'.repeat(65_535 - 7)}`)
  // Word address 03, a count of 7, and much more than that.
  assert.equal(await host.ask(`57 60 FF FF 03 07${' 00'.repeat(65_533)}`, 1), '00')
  assert.equal(await host.ask('52 60 04 00', 5), `00 ${notReceived}`)
  host.socket.destroy()
})

test('a host that asks for much and reads nothing is not served ahead', { skip }, async (t) => {
  let reads = 0
  const { relay } = await bench({
    where: 'counting',
    write: async () => true,
    read: async (_, length) => {
      reads++
      return new Uint8Array(length)
    },
    close: async () => undefined,
  })
  t.after(() => relay.close())
  const other = new Client(relay.path)
  const greedy = connect(relay.path).pause()
  greedy.write(bytes('52 60 FF FF '.repeat(32)))
  for (let round = 0; round < 20; round++) await other.ask('57 60 00 00', 1)
  // What a socket of the system keeps, and one answer.
  assert.ok(reads > 0 && reads < 16, `${reads} reads`)
  let received = 0
  for await (const chunk of greedy as AsyncIterable<Buffer>) {
    received += chunk.length
    if (received >= 32 * 65_536) break
  }
  assert.deepEqual([reads, received], [32, 32 * 65_536])
  other.socket.destroy()
})

const conversation = `${wakeRequest} 52 60 04 00 ${infoRequest} 52 60 07 00 57 60 01 00 01`

test('a conversation cut at each length is what came before the cut', () => {
  const whole = bytes(conversation)
  const ends = [5, 9, 21, 25, 30]
  for (let length = 0; length <= whole.length; length++) {
    const reader = new RelayReader()
    const requests = [...reader.push(whole.subarray(0, length))]
    assert.equal(requests.length, ends.filter((end) => end <= length).length)
    if (length === 0 || ends.includes(length)) reader.end()
    else assert.throws(() => reader.end(), { code: 'ERR_RELAY_REQUEST' })
  }
})

test('a conversation with any bit flipped is read as other requests or refused', () => {
  const whole = parse(conversation)
  assert.equal(whole.length, 5)
  let refused = 0
  for (let bit = 0; bit < 8 * bytes(conversation).length; bit++) {
    const bent = flipBit(bit)(bytes(conversation))
    const reader = new RelayReader()
    try {
      assert.notDeepEqual([...reader.push(bent)], whole)
      reader.end()
    } catch (error) {
      assert.equal((error as { code: string }).code, 'ERR_RELAY_REQUEST')
      refused++
    }
  }
  // At least each bit of an op (W and R differ in two), the highest of an address, and the high byte
  // of the length of a write.
  assert.ok(refused >= 5 * (8 + 1) + 3 * 8, `${refused} refused`)
})

test('a wrong first or second byte is refused before the rest is there', () => {
  for (let byte = 0; byte <= 0xff; byte++) {
    const op = (): unknown => [...new RelayReader().push(Uint8Array.of(byte))]
    if (byte === 0x52 || byte === 0x57) assert.deepEqual(op(), [])
    else assert.throws(op, { code: 'ERR_RELAY_REQUEST' })
    const address = (): unknown => [...new RelayReader().push(Uint8Array.of(0x52, byte))]
    if (byte <= 0x7f) assert.deepEqual(address(), [])
    else assert.throws(address, { code: 'ERR_RELAY_REQUEST' })
  }
})

test('transfers of several hosts on one bus do not mix', { skip }, async (t) => {
  let isInside = false
  let most = 0
  // A bus that takes its time, and notices company.
  const slow: I2cBus = {
    where: 'slow',
    write: async (_, data) => {
      assert.equal(isInside, false)
      isInside = true
      await new Promise((resolve) => setImmediate(resolve))
      isInside = false
      most = Math.max(most, data.length)
      return true
    },
    read: async (address, length) => new Uint8Array(length).fill(address),
    close: async () => undefined,
  }
  const { relay, faults } = await bench(slow)
  t.after(() => relay.close())
  const talks = Array.from({ length: 8 }, async (_, index) => {
    const host = new Client(relay.path)
    const address = `1${index}`
    for (let round = 0; round < 10; round++) {
      assert.equal(
        await host.ask(`57 ${address} 02 00 03 00 52 ${address} 02 00`, 4),
        `00 00 ${address} ${address}`,
      )
    }
    host.socket.destroy()
  })
  await Promise.all(talks)
  assert.deepEqual([faults, most], [[], 2])
})

test('a bus that fails ends the connection of who asked, and no other', { skip }, async (t) => {
  const broken: I2cBus = {
    where: 'broken',
    write: async () => {
      throw new Error('the disk is full')
    },
    read: async () => undefined,
    close: async () => undefined,
  }
  const { relay, faults } = await bench(broken)
  t.after(() => relay.close())
  const other = new Client(relay.path)
  assert.equal(await other.ask('52 60 01 00', 1), '01')
  const host = new Client(relay.path)
  host.socket.write(bytes(wakeRequest))
  assert.equal(await host.rest(), '')
  assert.equal(String(faults[0]), 'Error: the disk is full')
  assert.equal(await other.ask('52 60 01 00', 1), '01')
  other.socket.destroy()
})

test('its owner alone may open the socket, and closing it removes it', { skip }, async () => {
  const { relay } = await bench()
  assert.equal(statSync(relay.path).mode & 0o777, 0o600)
  const host = new Client(relay.path)
  assert.equal(await host.ask('52 60 01 00', 1), '01')
  await relay.close()
  assert.equal(await host.rest(), '')
  assert.equal(existsSync(relay.path), false)
})

test('a socket that somebody serves is left alone', { skip }, async (t) => {
  const first = await bench()
  t.after(() => first.relay.close())
  const second = serveRelay({ bus: emulatedI2c([]), path: first.relay.path })
  await assert.rejects(second, { code: 'ERR_ELEMENT_BUSY' })
  const host = new Client(first.relay.path)
  assert.equal(await host.ask('52 60 01 00', 1), '01')
  host.socket.destroy()
})

test('a socket that a dead process left is taken over', { skip }, async () => {
  const path = freePath()
  // Listens, is renamed away from its own clean-up, and closes: what stays is as after a crash.
  const dead = createServer().listen(path)
  await once(dead, 'listening')
  renameSync(path, `${path}.kept`)
  dead.close()
  await once(dead, 'close')
  renameSync(`${path}.kept`, path)
  assert.ok(statSync(path).isSocket())
  const relay = await serveRelay({ bus: emulatedI2c([]), path })
  const host = new Client(path)
  assert.equal(await host.ask('52 60 01 00', 1), '01')
  host.socket.destroy()
  await relay.close()
})

test('a file, a folder or a link in the place of the socket is left alone', { skip }, async () => {
  const file = freePath()
  writeFileSync(file, 'mine')
  const link = freePath()
  symlinkSync(file, link)
  for (const path of [file, link, folder]) {
    const served = serveRelay({ bus: emulatedI2c([]), path })
    await assert.rejects(served, { code: 'ERR_ELEMENT_ARGUMENT' })
  }
  assert.equal(statSync(file).size, 4)
})

test('a path that is too long or in no folder is refused with its reason', { skip }, async () => {
  const long = join(folder, 'x'.repeat(100))
  const bus = emulatedI2c([])
  await assert.rejects(serveRelay({ bus, path: long }), { code: 'ERR_ELEMENT_ARGUMENT' })
  const nowhere = join(folder, 'none', 'x')
  await assert.rejects(serveRelay({ bus, path: nowhere }), { code: 'ERR_ELEMENT_BUS' })
})

test('a command that was cut short on the wire is answered as not received', {
  skip,
}, async (t) => {
  const { relay, time } = await bench()
  t.after(() => relay.close())
  const host = new Client(relay.path)
  await host.ask(wakeRequest, 1)
  time.pass(1.5)
  assert.equal(await host.ask('57 60 04 00 03 07 30 00', 1), '00')
  assert.equal(await host.ask('52 60 04 00', 5), `00 ${notReceived}`)
  host.socket.destroy()
})
