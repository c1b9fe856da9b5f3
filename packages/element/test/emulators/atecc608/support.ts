/** A scripted chip for tests of the wires alone: what it answers stands in the test. */
import type { BusTime } from '../../../src/bus/ports.ts'
import type { Execution } from '../../../src/emulators/atecc608/chip.ts'
import type { ChipCore, Core } from '../../../src/emulators/atecc608/part.ts'

export function bytes(spaced: string): Uint8Array {
  return Uint8Array.from(Buffer.from(spaced.replaceAll(/\s/g, ''), 'hex'))
}

export function text(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined
  return (
    Buffer.from(value)
      .toString('hex')
      .match(/../g)
      ?.map((byte) => byte.toUpperCase())
      .join(' ') ?? ''
  )
}

/** Time stands still unless someone waits. */
export class ManualTime implements BusTime {
  milliseconds = 0

  now(): number {
    return this.milliseconds
  }

  async wait(milliseconds: number): Promise<void> {
    this.milliseconds += milliseconds
  }

  pass(milliseconds: number): void {
    this.milliseconds += milliseconds
  }
}

/** Reference §1.2; the CRCs of replies were computed by another program from its definition. */
export const wakeReply = '04 11 33 43'
export const infoCommand = '07 30 00 00 00 03 5D'
export const info608b = '07 00 00 60 03 83 BB'
export const readConfigCommand = '07 02 80 00 00 09 AD'
export const notReceived = '04 FF 01 42'

interface Script {
  readonly executionMs?: number
  readonly replies?: Readonly<Record<string, string>>
  /** Bytes 14, 16, 19 and 85 matter to the wires. */
  readonly config?: Readonly<Record<number, number>>
}

export class ScriptedChip implements ChipCore, Core {
  readonly calls: string[] = []
  readonly configuration: Uint8Array = new Uint8Array(128)
  readonly #script: Script
  #guard: () => void = () => undefined

  constructor(script: Script = {}) {
    this.#script = script
    this.configuration.set([0x39, 0x00, 0xc0], 14)
    for (const [at, byte] of Object.entries(script.config ?? {})) {
      this.configuration[Number(at)] = byte
    }
  }

  get chip(): ChipCore {
    return this
  }

  config(): Uint8Array {
    return this.configuration
  }

  guardWrites(guard: () => void): void {
    this.#guard = guard
  }

  wake(): Uint8Array {
    this.calls.push('wake')
    return bytes(wakeReply)
  }

  idle(): void {
    this.calls.push('idle')
  }

  sleep(): void {
    this.calls.push('sleep')
  }

  /** Three EEPROM writes, of which the log shows those that happened. */
  execute(packet: Uint8Array): Execution {
    const command = text(packet) ?? ''
    this.calls.push(command)
    if (command.startsWith('07 17')) {
      for (let write = 1; write <= 3; write++) {
        this.#guard()
        this.calls.push(`write ${write}`)
      }
    }
    const reply = { [infoCommand]: info608b, ...this.#script.replies }[command]
    return {
      response: bytes(reply ?? notReceived),
      opcode: reply === undefined ? undefined : packet[1],
      executionMs: this.#script.executionMs ?? 5,
    }
  }
}
