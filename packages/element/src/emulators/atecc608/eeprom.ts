/**
 * The non-volatile memory of an emulated ATECC608: the configuration zone, the one-time zone and
 * the 16 slots, private keys among them. Every change goes through `write`, and one `write` is one
 * atomic write of the EEPROM: whoever wants to cut the power does so between two.
 *
 * The slots are private fields: no inspection or JSON of a chip shows a key. Only `snapshot` does,
 * for the file of an emulator; keys of an emulator protect nothing.
 */
import { fromHex, hex } from '@countersign/core/codec'
import { elementError } from '../../ports.ts'
import { isRecord } from '../../shapes.ts'
import { configLength, otpLength, slotCount, slotLength } from './layout.ts'

/** A zone, or the number of a slot. */
export type Region = 'config' | 'otp' | number

/** All of the memory as JSON; the bytes in lower-case hex. */
export interface EepromSnapshot {
  readonly version: number
  readonly kind: string
  readonly config: string
  readonly otp: string
  readonly slots: readonly string[]
}

export interface EepromContent {
  readonly config: Uint8Array
  readonly otp: Uint8Array
  /** 16, each of its length. */
  readonly slots: readonly Uint8Array[]
}

export type WriteHook = (region: Region, offset: number, bytes: Uint8Array) => void

const snapshotVersion = 1
const snapshotKind = 'atecc608-eeprom'

export class Eeprom {
  /**
   * Called before each write. When it throws, nothing is written and the error comes out of
   * `Chip.execute`: the power is gone.
   */
  onWrite: WriteHook | undefined
  readonly #config: Uint8Array
  readonly #otp: Uint8Array
  readonly #slots: readonly Uint8Array[]
  #writeCount = 0

  constructor(content: EepromContent) {
    this.#config = ofLength(content.config, configLength, 'config')
    this.#otp = ofLength(content.otp, otpLength, 'otp')
    if (content.slots.length !== slotCount) throw damaged('slots')
    this.#slots = content.slots.map((bytes, slot) =>
      ofLength(bytes, slotLength(slot), `slots[${slot}]`),
    )
  }

  /** Writes since this object was made: a copy on a disk is old when the number has moved. */
  get writeCount(): number {
    return this.#writeCount
  }

  write(region: Region, offset: number, bytes: Uint8Array): void {
    const memory = this.#region(region)
    if (offset < 0 || offset + bytes.length > memory.length) throw new RangeError('no such cells')
    this.onWrite?.(region, offset, bytes)
    memory.set(bytes, offset)
    this.#writeCount++
  }

  /** A copy. */
  read(region: Region, offset: number, length: number): Uint8Array {
    const memory = this.#region(region)
    if (offset < 0 || offset + length > memory.length) throw new RangeError('no such cells')
    return memory.slice(offset, offset + length)
  }

  byte(region: Region, offset: number): number {
    const value = this.#region(region)[offset]
    if (value === undefined) throw new RangeError('no such cell')
    return value
  }

  snapshot(): EepromSnapshot {
    return {
      version: snapshotVersion,
      kind: snapshotKind,
      config: hex(this.#config),
      otp: hex(this.#otp),
      slots: this.#slots.map(hex),
    }
  }

  #region(region: Region): Uint8Array {
    if (region === 'config') return this.#config
    const memory = region === 'otp' ? this.#otp : this.#slots[region]
    if (memory === undefined) throw new RangeError(`no slot ${region}`)
    return memory
  }
}

/** Exactly what `snapshot` gave, or ERR_ELEMENT_DAMAGED that names the field. */
export function parseEepromSnapshot(value: unknown): Eeprom {
  if (!isRecord(value)) throw damaged('the snapshot')
  const unknown = Object.keys(value).find((name) => !fields.has(name))
  if (unknown !== undefined) throw damaged(`the field ${unknown}`)
  if (value['version'] !== snapshotVersion) throw damaged('version')
  if (value['kind'] !== snapshotKind) throw damaged('kind')
  const { slots } = value
  if (!Array.isArray(slots) || slots.length !== slotCount) throw damaged('slots')
  return new Eeprom({
    config: parseCells(value['config'], configLength, 'config'),
    otp: parseCells(value['otp'], otpLength, 'otp'),
    slots: slots.map((cells, slot) => parseCells(cells, slotLength(slot), `slots[${slot}]`)),
  })
}

const fields: ReadonlySet<string> = new Set(['version', 'kind', 'config', 'otp', 'slots'])

function parseCells(value: unknown, length: number, field: string): Uint8Array {
  if (typeof value !== 'string' || !/^[0-9a-f]*$/.test(value)) throw damaged(field)
  if (value.length !== 2 * length) throw damaged(field)
  return fromHex(value)
}

function ofLength(bytes: Uint8Array, length: number, field: string): Uint8Array {
  if (bytes.length !== length) throw damaged(field)
  return new Uint8Array(bytes)
}

function damaged(what: string): Error {
  return elementError(
    'ERR_ELEMENT_DAMAGED',
    'This is not the memory of an emulated ATECC608',
    {},
    { where: what, hint: 'Restore the file of the emulator, or begin with a blank chip.' },
  )
}
