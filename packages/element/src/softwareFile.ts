/**
 * The file of a software twin: its serial, its private keys (PKCS#8), its data, counters and locks.
 * Mode 0600; a file that others may read is refused.
 */
import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { fromHex, hex } from '@countersign/core/codec'
import { privateMode, writeDurably } from './durable.ts'
import { type ElementError, elementError } from './ports.ts'
import { errorCode, isRecord, parseRecord } from './shapes.ts'

/** Two keys while a renewal is under way, two to spare. */
export const slotCount = 4
/** Room for a chain of certificates. */
export const dataSlot = 8
export const dataSize = 4096
export const counterCount = 2
export const counterMax: number = Number.MAX_SAFE_INTEGER
export const formatVersion = 1
const damagedHint = 'Restore the file, or enrol again in an empty state folder.'

/** What the twin is, in memory. A change is a new value, written before it is used. */
export interface TwinContent {
  readonly serial: string
  readonly keys: ReadonlyMap<number, KeyObject>
  readonly data: Uint8Array
  readonly counters: readonly number[]
  readonly lockedSlots: readonly number[]
}

/** Reads the file, or makes one of an empty twin unless it must be there. */
export async function readTwin(path: string, mustExist: boolean): Promise<TwinContent> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
    await requirePrivate(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    if (mustExist) throw missing(path)
    const fresh: TwinContent = {
      serial: randomBytes(9).toString('hex'),
      keys: new Map(),
      data: new Uint8Array(dataSize),
      counters: [0, 0],
      lockedSlots: [],
    }
    await writeTwin(path, fresh)
    return fresh
  }
  const content = parseTwin(path, parseRecord(text))
  if (content === undefined) throw damaged(path, 'the file is not readable as one')
  return content
}

export async function writeTwin(path: string, content: TwinContent): Promise<void> {
  const slots: Record<string, string> = {}
  for (const [slot, key] of content.keys) {
    slots[slot] = key.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  }
  const { serial, counters, lockedSlots } = content
  // Trailing zeros are what an unwritten slot reads as.
  const data = hex(content.data).replace(/(?:00)+$/, '')
  const file = { version: formatVersion, serial, slots, data, counters, lockedSlots }
  await writeDurably(path, JSON.stringify(file))
}

function parseTwin(
  path: string,
  file: Record<string, unknown> | undefined,
): TwinContent | undefined {
  if (file?.version !== formatVersion || typeof file.serial !== 'string') return undefined
  if (!isRecord(file.slots)) return undefined
  const keys = new Map<number, KeyObject>()
  for (const [slot, key] of Object.entries(file.slots)) {
    if (!isSlot(Number(slot)) || typeof key !== 'string') return undefined
    keys.set(Number(slot), importKey(path, slot, key))
  }
  // A file from before there were data, counters and locks has none of them.
  const { data: text = '', counters = [0, 0], lockedSlots = [] } = file
  const data = parseData(text)
  if (data === undefined || !isList(counters, isCount) || counters.length !== counterCount)
    return undefined
  if (!isList(lockedSlots, isSlot)) return undefined
  return { serial: file.serial, keys, data, counters, lockedSlots }
}

function parseData(text: unknown): Uint8Array | undefined {
  if (typeof text !== 'string' || !/^(?:[0-9a-f]{2})*$/.test(text)) return undefined
  if (text.length > 2 * dataSize) return undefined
  const data = new Uint8Array(dataSize)
  data.set(fromHex(text))
  return data
}

function isList(value: unknown, each: (one: number) => boolean): value is readonly number[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'number' && each(one))
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

export function isSlot(slot: number): boolean {
  return Number.isInteger(slot) && slot >= 0 && slot < slotCount
}

async function requirePrivate(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  throw elementError(
    'ERR_ELEMENT_MODE',
    `others may read the keys of this element (mode ${(mode & 0o777).toString(8)})`,
    {},
    {
      where: path,
      hint: `Close it with: chmod ${privateMode.toString(8)}. If it may have been copied, enrol anew.`,
    },
  )
}

function importKey(path: string, slot: string, pkcs8: string): KeyObject {
  try {
    const key = createPrivateKey({
      key: Buffer.from(pkcs8, 'base64'),
      format: 'der',
      type: 'pkcs8',
    })
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key
  } catch {
    // Said below without the cause: OpenSSL's words may quote what it was given.
  }
  throw damaged(path, `slot ${slot} holds no usable P-256 key`)
}

function missing(path: string): ElementError {
  return elementError(
    'ERR_ELEMENT_GONE',
    'there is no software element in this file',
    {},
    { where: path, hint: '"device enroll" makes one in its state folder; name that file.' },
  )
}

function damaged(path: string, what: string): ElementError {
  return elementError(
    'ERR_ELEMENT_DAMAGED',
    `a software element is damaged: ${what}`,
    {},
    { where: path, hint: damagedHint },
  )
}
