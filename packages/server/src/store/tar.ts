/**
 * The little of POSIX ustar (IEEE 1003.1, pax, "ustar Interchange Format") that a backup needs:
 * regular files with short names, read back strictly. `tar tf` lists what is written here. Sizes
 * from 8 GiB on are written in base 256, as GNU tar does.
 */
import { PeerError } from '@countersign/core/errors'

export const blockBytes = 512
const nameMax = 100
const octalMax = 8 ** 11

export interface TarHeader {
  readonly name: string
  readonly size: number
}

export type BackupErrorCode = 'ERR_BACKUP_DAMAGED' | 'ERR_BACKUP_NEWER'

export function damaged(message: string, where: string): PeerError<BackupErrorCode> {
  const hint = 'Use another copy of the backup; nothing was restored.'
  return new PeerError('ERR_BACKUP_DAMAGED', message, {}, { where, hint })
}

export function tarHeader({ name, size }: TarHeader, modifiedAt: number): Uint8Array {
  const block = Buffer.alloc(blockBytes)
  block.write(name, 0, nameMax, 'latin1')
  block.write('0000600\0', 100, 'latin1')
  block.write('0000000\0', 108, 'latin1')
  block.write('0000000\0', 116, 'latin1')
  writeSize(block, size)
  block.write(`${octal(Math.floor(modifiedAt / 1000), 11)}\0`, 136, 'latin1')
  block.write('0', 156, 'latin1') // a regular file
  block.write('ustar\x0000', 257, 'latin1')
  block.write(`${octal(checksum(block), 6)}\0 `, 148, 'latin1')
  return block
}

/** undefined: the block of zeros that ends an archive. */
export function parseTarHeader(block: Uint8Array, where: string): TarHeader | undefined {
  const bytes = Buffer.from(block)
  if (bytes.every((byte) => byte === 0)) return undefined
  const magic = bytes.toString('latin1', 257, 263)
  if (magic !== 'ustar\0') throw damaged('this is not a backup of countersign', where)
  const sum = Number.parseInt(bytes.toString('latin1', 148, 154), 8)
  if (sum !== checksum(bytes)) throw damaged('a header of the archive is damaged', where)
  const name = text(bytes.subarray(0, nameMax))
  if (bytes[156] !== 0x30) throw damaged(`${name} is not a regular file`, where)
  if (bytes[345] !== 0) throw damaged(`the name of ${name} is too long`, where)
  const size = readSize(bytes)
  if (!Number.isSafeInteger(size) || size < 0) throw damaged(`the size of ${name} is wrong`, where)
  return { name, size }
}

/** Zeros from the end of a file's content to the next block. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((blockBytes - (size % blockBytes)) % blockBytes)
}

export const tarEnd: Uint8Array = new Uint8Array(2 * blockBytes)

/**
 * Names that a backup may hold: relative, of plain characters, and never a way out of the folder.
 * Strict at writing and at reading, so that what can be backed up can be restored.
 */
export function isMemberName(name: string): boolean {
  return (
    name.length <= nameMax &&
    name.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(part))
  )
}

function writeSize(block: Buffer, size: number): void {
  if (size < octalMax) {
    block.write(`${octal(size, 11)}\0`, 124, 'latin1')
    return
  }
  block.fill(0, 124, 136)
  block[124] = 0x80
  block.writeBigUInt64BE(BigInt(size), 128)
}

function readSize(bytes: Buffer): number {
  if (((bytes[124] ?? 0) & 0x80) !== 0) return Number(bytes.readBigUInt64BE(128))
  const digits = text(bytes.subarray(124, 136)).trim()
  return /^[0-7]{1,11}$/.test(digits) ? Number.parseInt(digits, 8) : -1
}

/** The sum of all bytes, those of the sum itself counted as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 8 * 0x20
  for (const [at, byte] of block.entries()) if (at < 148 || at >= 156) sum += byte
  return sum
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end)
}
