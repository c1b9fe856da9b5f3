/**
 * A single wire whose UART is late: echoes that come after their time, or never. The chip has heard
 * what was sent all the same.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BusTime, Uart } from '../../../src/bus/ports.ts'
import { paperTime } from '../../../src/bus/time.ts'
import { readCounter, revision } from '../../../src/drivers/atecc608/basics.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { swiWire } from '../../../src/drivers/atecc608/swiWire.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { emulatedSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
import { trustEeprom } from '../../../src/emulators/atecc608/trustPart.ts'
import type { SecureElement } from '../../../src/ports.ts'
import { drawBytes, seeded } from '../../seeded.ts'
import { bytes, hexOf } from './scripted.ts'

/** 77, 88 and BB from the lowest bit: 7F is a one. */
const flags = {
  command: '7f7f7f7d7f7f7f7d',
  transmit: '7d7d7d7f7d7d7d7f',
  idle: '7f7f7d7f7f7f7d7f',
} as const
const wakeToken = '00'
const opcodes = { info: 0x30, counter: 0x24, genKey: 0x40 } as const
type Opcode = (typeof opcodes)[keyof typeof opcodes]

/** Of the next so many: how long they are under way. `never`: they are lost. */
interface Late {
  readonly opcode: Opcode | undefined
  readonly ms: number | 'never'
  times: number
}

/** A wire behind a machine that is late; what comes later never overtakes. */
class LateUart implements Uart {
  readonly where = '/dev/late'
  /** Opcodes of commands, and idles. */
  readonly sent: (number | 'idle')[] = []
  lateEcho: Late | undefined
  /** What the chip says after such a command, without the echo before it. */
  lateAnswer: Late | undefined
  readonly #wire: Uart
  readonly #time: BusTime
  #opcode: number | undefined
  #underWay: { readonly at: number; readonly token: number }[] = []

  constructor(wire: Uart, time: BusTime) {
    this.#wire = wire
    this.#time = time
  }

  setBaudRate(rate: number): Promise<void> {
    return this.#wire.setBaudRate(rate)
  }

  async write(written: Uint8Array): Promise<void> {
    await this.#wire.write(written)
    const heard = await this.#wire.read(4096, 0)
    const flag = hexOf(written.subarray(0, 8))
    if (hexOf(written) === wakeToken) this.#opcode = undefined
    if (flag === flags.command) this.sent.push(this.#note(written))
    if (flag === flags.idle) this.sent.push('idle')
    const isAnswer = flag === flags.transmit && heard.length > 8
    this.#come(heard.subarray(0, written.length), flag === flags.command && this.lateEcho)
    this.#come(heard.subarray(written.length), isAnswer && this.lateAnswer)
  }

  async read(length: number, timeoutMs: number): Promise<Uint8Array> {
    const end = this.#time.now() + timeoutMs
    const last = this.#underWay[length - 1]?.at ?? Number.POSITIVE_INFINITY
    await this.#time.wait(Math.max(Math.min(last, end) - this.#time.now(), 0))
    return Uint8Array.from(this.#take(length))
  }

  async discard(): Promise<void> {
    this.#take(this.#underWay.length)
  }

  async close(): Promise<void> {
    await this.#wire.close()
  }

  /** Its third byte. */
  #note(written: Uint8Array): number {
    const bits = written.subarray(16, 24)
    const opcode = bits.reduce((sum, token, bit) => sum | (Number(token === 0x7f) << bit), 0)
    this.#opcode = opcode
    return opcode
  }

  #come(tokens: Uint8Array, late: Late | false | undefined): void {
    let ms: Late['ms'] = 0
    if (late && late.opcode === this.#opcode && late.times > 0) {
      late.times--
      ms = late.ms
    }
    if (ms === 'never') return
    const at = Math.max(this.#time.now() + ms, this.#underWay.at(-1)?.at ?? 0)
    this.#underWay.push(...Array.from(tokens, (token) => ({ at, token })))
  }

  #take(lengthMax: number): number[] {
    const there = this.#underWay.findIndex(({ at }) => at > this.#time.now())
    const length = Math.min(there < 0 ? this.#underWay.length : there, lengthMax)
    return this.#underWay.splice(0, length).map(({ token }) => token)
  }
}

interface Bench {
  readonly uart: LateUart
  readonly time: BusTime
  readonly wire: ReturnType<typeof swiWire>
}

function bench(): Bench {
  const time = paperTime()
  const draw = seeded(4)
  const eeprom = trustEeprom({
    serial: bytes('012301020304050601'),
    random: (length) => drawBytes(draw, length),
    swi: true,
  })
  const part = new EmulatedPart(coreOf(eeprom), { time })
  const uart = new LateUart(emulatedSwi(part, time), time)
  return { uart, time, wire: swiWire(uart, time) }
}

async function openElement(): Promise<Bench & { readonly element: SecureElement }> {
  const made = bench()
  const element = await openAtecc608(made.wire, made.time)
  made.uart.sent.length = 0
  return { ...made, element }
}

/** How often it was sent. */
function sentOf({ sent }: LateUart, what: Opcode | 'idle'): number {
  return sent.filter((each) => each === what).length
}

/** What the scheduler of a busy machine, or a USB adapter on one, makes of an echo. */
test('an echo that is late by the machine is waited for', async () => {
  const { uart, element } = await openElement()
  for (const ms of [30, 100, 490]) {
    const before = await element.counters?.read(0)
    uart.sent.length = 0
    uart.lateEcho = { opcode: opcodes.counter, ms, times: 1 }
    assert.equal(await element.counters?.increment(0), (before ?? 0) + 1, `${ms} ms`)
    assert.equal(sentOf(uart, opcodes.counter), 1)
  }
})

for (const [what, ms] of [
  ['comes after all patience', 510],
  ['comes while the chip is put down', 540],
  ['never comes', 'never'],
] as const) {
  test(`a harmless command whose echo ${what} is sent again`, async () => {
    const { uart, time, wire } = bench()
    const session = await openChipSession(wire, time)
    uart.lateEcho = { opcode: opcodes.info, ms, times: 1 }
    assert.equal(hexOf(await revision(session)), '00006003')
    assert.equal(sentOf(uart, opcodes.info), 2)
  })

  test(`a counter whose echo ${what} has counted once, and its caller is told to look`, async () => {
    const { uart, element } = await openElement()
    uart.lateEcho = { opcode: opcodes.counter, ms, times: 1 }
    await assert.rejects(async () => element.counters?.increment(1), {
      code: 'ERR_ELEMENT_BUS',
      details: { command: 'Counter', mayBeDone: true },
      message: /^at Counter the element did not answer in its time/,
      hint: /may have been carried out: read the state before anything else\.$/,
    })
    assert.equal(sentOf(uart, opcodes.counter), 1)
    assert.equal(await element.counters?.read(1), 1)
  })

  test(`a key whose echo ${what} was made once, and is there to be asked for`, async () => {
    const { uart, element } = await openElement()
    const before = await element.publicKey(2)
    uart.sent.length = 0
    uart.lateEcho = { opcode: opcodes.genKey, ms, times: 1 }
    await assert.rejects(element.generateKey(2), (error: Error & { hint?: string }) => {
      assert.match(error.hint ?? '', /read the state before anything else/)
      assert.doesNotMatch(`${error.message} ${error.hint}`, /Join|again/)
      return true
    })
    assert.equal(sentOf(uart, opcodes.genKey), 1)
    assert.notDeepEqual(await element.publicKey(2), before)
  })
}

test('an echo that never comes again is a silent chip, in bounded time', async () => {
  const { uart, time, wire } = bench()
  const session = await openChipSession(wire, time)
  uart.lateEcho = { opcode: opcodes.info, ms: 'never', times: 100 }
  const begun = time.now()
  await assert.rejects(revision(session), {
    code: 'ERR_ELEMENT_BUS',
    details: { command: 'Info' },
    hint: /the machine is busy/,
  })
  assert.equal(sentOf(uart, opcodes.info), 3)
  assert.ok(time.now() - begun < 5000)
  uart.lateEcho = undefined
  assert.equal(hexOf(await revision(session)), '00006003')
  assert.equal(await readCounter(session, 0), 0)
})

test('an answer that is late by the machine is waited for when the chip must be done', async () => {
  for (const opcode of [opcodes.counter, opcodes.genKey]) {
    for (const ms of [30, 60, 100, 150, 200, 240]) {
      const { uart, element } = await openElement()
      uart.lateAnswer = { opcode, ms, times: 1 }
      if (opcode === opcodes.counter) assert.equal(await element.counters?.increment(0), 1)
      else assert.equal((await element.generateKey(2)).length, 64)
      assert.equal(sentOf(uart, opcode), 1, `${ms} ms`)
      assert.equal(uart.lateAnswer.times, 0)
    }
  }
})

test('the answer to a wake that is late by the machine is had by the next wake', async () => {
  for (const ms of [30, 100, 200]) {
    const { uart, time, wire } = bench()
    uart.lateAnswer = { opcode: undefined, ms, times: 20 }
    const session = await openChipSession(wire, time)
    assert.equal(session.serial, '012301020304050601', `${ms} ms`)
    assert.ok(time.now() < 700)
  }
})

test('late bytes are not taken for the echo of what is sent next', async () => {
  const { uart, time, wire } = bench()
  const session = await openChipSession(wire, time)
  uart.sent.length = 0
  uart.lateEcho = { opcode: opcodes.info, ms: 515, times: 1 }
  assert.equal(hexOf(await revision(session)), '00006003')
  // One after each of the two exchanges: neither had to be repeated.
  assert.equal(sentOf(uart, 'idle'), 2)
})
