/**
 * The part in a file: its EEPROM as JSON, mode 0600, the keys readable to whoever reads the file.
 * One process owns it. What a command has written is in the file before its reply can be seen; a
 * process that dies in the middle of a command leaves the part as it was before it.
 */
import { chmodSync, lstatSync, readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { elementError } from '@countersign/core/ports'
import { privateMode, writeDurablySync } from '../../durable.ts'
import { parseRecord } from '../../shapes.ts'
import { type BlankOptions, blankEeprom } from './blank.ts'
import type { ChipOptions } from './chip.ts'
import { coreOf, drawBytes } from './core.ts'
import { type Eeprom, parseEepromSnapshot } from './eeprom.ts'
import { EmulatedPart, type PartOptions } from './part.ts'
import { trustAddress, trustEeprom } from './trustPart.ts'

export interface OpenPartOptions extends PartOptions {
  /** A new part gets this address; one that is there must have it. 7 bits. */
  readonly address?: number
  /** As with `address`; `i2c` when it is absent and the part is new. */
  readonly framing?: 'i2c' | 'swi'
  /** Of a new part. Without it a serial number is drawn. */
  readonly blank?: Pick<BlankOptions, 'serial' | 'revision'>
  /** A new part is one that its factory has configured and locked, with its keys. */
  readonly isTrustPart?: boolean
  readonly random?: ChipOptions['random']
  /**
   * False: a write survives the process and not a power cut of the machine, which is a hundred
   * times faster. For tests.
   */
  readonly flush?: boolean
}

export interface OpenedPart {
  readonly part: EmulatedPart
  /** There was no file: the part is blank. */
  readonly isNew: boolean
  /** Lets go of the file. */
  readonly close: () => void
}

/** A file is a few KiB; what is larger is something else. */
const fileBytesMax = 16_384

export function openEmulatedPart(path: string, options: OpenPartOptions): OpenedPart {
  const lock = lockFile(path)
  try {
    const found = readPart(path)
    const eeprom = found ?? newPart(options)
    const save = (): void => {
      if (!lock.isOpen) throw closed(path)
      writeDurablySync(path, textOf(eeprom), { flush: options.flush ?? true })
    }
    if (found === undefined) save()
    const core = coreOf(eeprom, { random: options.random ?? drawBytes, onWritten: save })
    const part = new EmulatedPart(core, options)
    checkWiring(path, part, options)
    return { part, isNew: found === undefined, close: () => closeOnce(lock) }
  } catch (error) {
    lock.close()
    throw error
  }
}

function newPart(options: OpenPartOptions): Eeprom {
  const { framing = 'i2c', blank, isTrustPart = false } = options
  const { address = isTrustPart ? trustAddress : 0x60 } = options
  // 00 to 07 and 78 to 7F are the bus's own (I2C-bus specification, §3.1.12).
  if (!Number.isInteger(address) || address < 0x08 || address > 0x77) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'an I2C address is 0x08 to 0x77', { address })
  }
  const swi = framing === 'swi'
  if (isTrustPart) {
    const serial = Uint8Array.of(0x01, 0x23, ...drawBytes(6), 0x01)
    return trustEeprom({ serial, i2cAddress: address, random: drawBytes, swi })
  }
  return blankEeprom({
    serial: blank?.serial ?? Uint8Array.of(0x01, 0x23, ...drawBytes(6), 0xee),
    revision: blank?.revision ?? 3,
    i2cAddress: address,
    swi,
  })
}

function readPart(path: string): Eeprom | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  if (!stat.isFile() || stat.size > fileBytesMax) throw damaged(path)
  if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) {
    throw elementError(
      'ERR_ELEMENT_MODE',
      `others may read the keys of this part (mode ${(stat.mode & 0o777).toString(8)})`,
      {},
      { where: path, hint: `chmod 600 ${path}` },
    )
  }
  const snapshot = parseRecord(readFileSync(path, 'utf8'))
  if (snapshot === undefined) throw damaged(path)
  return parseEepromSnapshot(snapshot)
}

function textOf(eeprom: Eeprom): string {
  return `${JSON.stringify(eeprom.snapshot(), undefined, 2)}\n`
}

function checkWiring(path: string, part: EmulatedPart, options: OpenPartOptions): void {
  const { framing, address } = part.wiring
  if (options.framing !== undefined && options.framing !== framing) {
    throw elementError(
      'ERR_ELEMENT_CONFIG',
      `this part was made for ${framing === 'i2c' ? 'I2C' : 'the single wire'}`,
      {},
      { where: path, hint: `Open it with framing=${framing}.` },
    )
  }
  if (framing === 'swi' || options.address === undefined || options.address === address) return
  throw elementError(
    'ERR_ELEMENT_CONFIG',
    `this part answers at 0x${address.toString(16)}`,
    { asked: options.address },
    { where: path, hint: 'Leave the address out, or begin with a new file.' },
  )
}

const sqliteBusy = 5

/** The operating system's lock on an empty SQLite file beside, which ends with the process. */
function lockFile(path: string): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(`${path}.lock`, { timeout: 0 })
    chmodSync(`${path}.lock`, privateMode)
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (cause) {
    database?.close()
    const isBusy = cause instanceof Error && 'errcode' in cause && cause.errcode === sqliteBusy
    throw elementError(
      isBusy ? 'ERR_ELEMENT_BUSY' : 'ERR_ELEMENT_ARGUMENT',
      isBusy ? 'this part is in use already' : 'there can be no part here',
      {},
      {
        where: path,
        hint: isBusy ? 'Stop the other, or name another file.' : 'Does the folder exist?',
        cause,
      },
    )
  }
}

function closeOnce(lock: DatabaseSync): void {
  if (lock.isOpen) lock.close()
}

/** Somebody else may have the file by now. */
function closed(path: string): Error {
  return elementError('ERR_ELEMENT_GONE', 'this part was closed', {}, { where: path })
}

function damaged(path: string): Error {
  return elementError(
    'ERR_ELEMENT_DAMAGED',
    'this is not the memory of an emulated ATECC608',
    {},
    { where: path, hint: 'Restore the file, or begin with a new one.' },
  )
}
