/**
 * Elements whose calls are counted and timed; of an emulated chip each command too, with the time
 * that silicon may take for it, as the chip itself sees both.
 */
import { join } from 'node:path'
import { openElement } from '@countersign/element/compose'
import type { SecureElement } from '@countersign/element/ports'
import { machineTime } from '../packages/element/src/bus/time.ts'
import { openAtecc608 } from '../packages/element/src/drivers/atecc608/element.ts'
import { i2cWire } from '../packages/element/src/drivers/atecc608/i2cWire.ts'
import { swiWire } from '../packages/element/src/drivers/atecc608/swiWire.ts'
import { provideEmulated } from '../packages/element/src/emulatedChip.ts'
import { emulatedI2c } from '../packages/element/src/emulators/atecc608/i2cEndpoint.ts'
import type { ExecutionTimes } from '../packages/element/src/emulators/atecc608/part.ts'
import { openEmulatedPart } from '../packages/element/src/emulators/atecc608/persistence.ts'
import { emulatedSwi } from '../packages/element/src/emulators/atecc608/swiEndpoint.ts'

/** A command that a chip has carried out. */
export interface Command {
  readonly name: string
  readonly busyMs: number
}

export interface Seen {
  /** Of the port, and how long they took by the clock. */
  readonly calls: number
  readonly milliseconds: number
  /** Absent where there is no chip that could be asked. */
  readonly commands: readonly Command[] | undefined
}

export interface Watched {
  readonly element: SecureElement
  reset(): void
  seen(): Seen
}

export async function watchElement(url: string, folder: string): Promise<Watched> {
  return watch(await openElement(url, { folder }))
}

/** With the times of silicon, on its wire. */
export async function watchChip(framing: 'i2c' | 'swi', folder: string): Promise<Watched> {
  const file = join(folder, `${framing}.json`)
  await provideEmulated({ kind: 'emulator', file, framing, times: 'real' }, 'set up')
  const commands: Command[] = []
  const times: ExecutionTimes = ({ opcode, executionMs }) => {
    commands.push({ name: nameOf(opcode), busyMs: executionMs })
    return executionMs
  }
  const time = machineTime
  const { part, close: onClose } = openEmulatedPart(file, { time, times, framing })
  const wire =
    framing === 'i2c'
      ? i2cWire(emulatedI2c([part], { onClose }), time, part.wiring.address)
      : swiWire(emulatedSwi(part, time, { onClose }), time)
  return watch(await openAtecc608(wire, time), commands)
}

/** By the byte on the bus. */
const names: Readonly<Record<number, string>> = {
  0x02: 'Read',
  0x16: 'Nonce',
  0x30: 'Info',
  0x41: 'Sign',
}

function nameOf(opcode: number | undefined): string {
  if (opcode === undefined) return 'a damaged one'
  return names[opcode] ?? `0x${opcode.toString(16)}`
}

function watch(inner: SecureElement, commands?: Command[]): Watched {
  let [calls, milliseconds] = [0, 0]
  const timed = async <T>(call: () => Promise<T>): Promise<T> => {
    calls++
    const began = performance.now()
    try {
      return await call()
    } finally {
      milliseconds += performance.now() - began
    }
  }
  const element: SecureElement = {
    info: () => timed(() => inner.info()),
    state: () => timed(() => inner.state()),
    slots: () => timed(() => inner.slots()),
    generateKey: (slot) => timed(() => inner.generateKey(slot)),
    publicKey: (slot) => timed(() => inner.publicKey(slot)),
    sign: (slot, digest) => timed(() => inner.sign(slot, digest)),
    random: (length) => timed(() => inner.random(length)),
    close: () => inner.close(),
  }
  return {
    element,
    reset: () => {
      ;[calls, milliseconds] = [0, 0]
      commands?.splice(0)
    },
    seen: () => ({ calls, milliseconds, commands: commands?.slice() }),
  }
}
