/**
 * Fuzzes the wires of the emulated ATECC608: conversations of the relay's format, whole and in two
 * pieces, carried out on a blank part, as they are and with each command's count and CRC made right
 * so that the commands behind them are reached; and the same bytes on the single wire.
 * `node fuzz/atecc608Wires.ts --seconds N --seed S`
 */
import { isDeepStrictEqual } from 'node:util'
import type { BusTime, I2cBus } from '../packages/element/src/bus/ports.ts'
import { blankEeprom } from '../packages/element/src/emulators/atecc608/blank.ts'
import { coreOf } from '../packages/element/src/emulators/atecc608/core.ts'
import { crc16 } from '../packages/element/src/emulators/atecc608/crc16.ts'
import { emulatedI2c } from '../packages/element/src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../packages/element/src/emulators/atecc608/part.ts'
import { RelayReader, type RelayRequest } from '../packages/element/src/emulators/atecc608/relay.ts'
import { emulatedSwi } from '../packages/element/src/emulators/atecc608/swiEndpoint.ts'
import { fuzzAsync } from './fuzz.ts'

const serial = Uint8Array.of(0x01, 0x23, 1, 2, 3, 4, 5, 6, 0xee)
/** Info, Random, Nonce pass-through, reads and writes of the zones, locks, GenKey, Sign, SHA, … */
const commands = [
  '30 00 00 00',
  '1B 00 00 00',
  `16 03 00 00 ${'11'.repeat(32)}`,
  `16 00 00 00 ${'22'.repeat(20)}`,
  '02 80 00 00',
  '02 00 05 00',
  '02 82 00 08',
  '12 00 05 00 8F 20 8F 20',
  `12 82 00 08 ${'33'.repeat(32)}`,
  '17 80 00 00',
  '17 81 00 00',
  '17 02 00 00',
  '40 04 00 00',
  '40 00 00 00',
  '40 08 00 00',
  '41 80 00 00',
  '41 40 01 00',
  `45 02 04 00 ${'44'.repeat(128)}`,
  `43 00 00 00 ${'55'.repeat(64)}`,
  '47 00 00 00',
  '47 02 03 00 61 62 63',
  '24 01 00 00',
  '15 02 00 00',
]
const wake = '57 00 01 00 01'
const readReply = '57 60 01 00 00 52 60 01 00 52 60 4A 00'
/** Some wait for the lock of the configuration and of the data: that comes first. */
const corpus = commands.map((command, at) =>
  bytesOf(
    [wake, '52 60 04 00', request('17 80 00 00'), request('17 81 00 00'), request(command)]
      .concat(readReply, request(commands[(at + 1) % commands.length] ?? ''), readReply)
      .concat('57 60 01 00 02', wake, '52 60 04 00', '57 60 01 00 01')
      .join(' '),
  ),
)

/** What is further behind a reply is FF, and thousands of those in one input take their time. */
const readBytesMax = 512

class StepTime implements BusTime {
  #now = 0

  now(): number {
    return this.#now
  }

  async wait(milliseconds: number): Promise<void> {
    this.#now += milliseconds
  }
}

await fuzzAsync('atecc608Wires', corpus, async (input) => {
  await onSingleWire(input)
  const requests = readRequests([input])
  const half = input.length >> 1
  const again = readRequests([input.subarray(0, half), input.subarray(half)])
  must(isDeepStrictEqual(requests, again), 'requests depend on where the stream is cut')
  await onI2c(requests)
  await onI2c(requests.map(mended))
})

function readRequests(chunks: readonly Uint8Array[]): RelayRequest[] {
  const reader = new RelayReader()
  return chunks.flatMap((chunk) => [...reader.push(chunk)])
}

async function onI2c(requests: readonly RelayRequest[]): Promise<void> {
  const time = new StepTime()
  const part = blankPart(time, false)
  const bus = emulatedI2c([part])
  for (const one of requests) {
    if (one.op === 'write') await bus.write(one.address, one.data)
    else await read(bus, one.address, Math.min(one.length, readBytesMax))
    await time.wait(1)
  }
  await mustWake(bus, part, time)
}

async function read(bus: I2cBus, address: number, length: number): Promise<void> {
  const bytes = await bus.read(address, length)
  must(bytes === undefined || bytes.length === length, 'a read has another length')
}

/** Whatever was said: after the watchdog it wakes and says so. */
async function mustWake(bus: I2cBus, part: EmulatedPart, time: StepTime): Promise<void> {
  await time.wait(13_000)
  must(part.power !== 'awake', 'the watchdog sleeps')
  await bus.write(0, Uint8Array.of(1))
  await time.wait(2)
  const woke = await bus.read(part.wiring.address, 4)
  // An address of the general call's or above 7 bits cannot be asked.
  if (part.wiring.address === 0) return
  must(isDeepStrictEqual(woke, Uint8Array.of(4, 0x11, 0x33, 0x43)), 'it does not wake')
}

async function onSingleWire(input: Uint8Array): Promise<void> {
  const time = new StepTime()
  const uart = emulatedSwi(blankPart(time, true), time)
  for (const byte of [0x57, ...input]) {
    await uart.setBaudRate(115_200)
    if (byte === 0x57) await uart.write(Uint8Array.of(0))
    await uart.setBaudRate(230_400)
    await time.wait(2)
    const bits = Array.from({ length: 8 }, (_, bit) => ((byte >> bit) & 1 ? 0x7f : 0x7d))
    await uart.write(Uint8Array.from(bits))
    const heard = await uart.read(4_096, 0)
    must((heard.length - (byte === 0x57 ? 9 : 8)) % 8 === 0, 'half a byte was heard')
  }
}

/** Count and CRC as they should be. */
function mended(one: RelayRequest): RelayRequest {
  if (one.op === 'read' || one.data[0] !== 3 || one.data.length < 8) return one
  const data = one.data.slice()
  data[1] = data.length - 1
  const crc = crc16(data, 1, data.length - 2)
  data.set([crc & 0xff, crc >> 8], data.length - 2)
  return { ...one, data }
}

function request(command: string): string {
  const fields = [...bytesOf(command)]
  const packet = Uint8Array.of(fields.length + 3, ...fields)
  const crc = crc16(packet, 0, packet.length)
  const data = [3, ...packet, crc & 0xff, crc >> 8]
  return Buffer.from([0x57, 0x60, data.length, 0, ...data]).toString('hex')
}

function blankPart(time: BusTime, swi: boolean): EmulatedPart {
  const core = coreOf(blankEeprom({ serial, revision: 3, swi }), {
    random: (length) => new Uint8Array(length).fill(0x5a),
  })
  return new EmulatedPart(core, { time, times: 'none' })
}

function bytesOf(spaced: string): Uint8Array {
  return new Uint8Array(Buffer.from(spaced.replaceAll(' ', ''), 'hex'))
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}
