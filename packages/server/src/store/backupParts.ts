/**
 * What making and restoring a backup share: the manifest, reading in pieces, and errors of the
 * disk.
 */
import type { FileHandle } from 'node:fs/promises'
import { AdapterError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { z } from 'zod'
import { damaged } from './tar.ts'

export const manifestName: string = 'MANIFEST.json'
export const backupVersion = 1
const chunkBytes = 256 * 1024
/** Keys, CRLs and configuration are tens of files; a manifest of more was not written by us. */
export const membersMax = 10_000
export const manifestBytesMax: number = 4 * 1024 * 1024

export interface Manifest {
  readonly backup: number
  readonly madeAt: Milliseconds
  readonly members: readonly { name: string; size: number; sha256: string }[]
}

export const manifestSchema: z.ZodType<Manifest> = z.object({
  backup: z.int().positive(),
  madeAt: z.int(),
  members: z
    .array(z.object({ name: z.string(), size: z.int().nonnegative(), sha256: z.string() }))
    .max(membersMax),
})

/** Exactly `size` bytes from where the file stands; one buffer, used again for each piece. */
export async function* chunks(
  source: FileHandle,
  size: number,
  where: string,
): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(Math.min(chunkBytes, Math.max(size, 1)))
  for (let left = size; left > 0; ) {
    const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, left))
    if (bytesRead === 0) throw damaged('the file ends too early', where)
    left -= bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

export function diskError(error: unknown, where: string): unknown {
  if (codeOf(error) !== 'ENOSPC') return error
  const hint = 'Free space, or choose another disk; what was begun has been removed.'
  return new AdapterError('ERR_STORE_FULL', 'the disk is full', {}, { where, hint, cause: error })
}
