/**
 * Commands that were begun, on the disk before they are: over mqtts nothing else keeps a device that
 * crashed from doing again what it is given again, because its PUBACK was lost with it.
 */
import { readFile } from 'node:fs/promises'
import { AdapterError } from '@countersign/core/errors'
import { writeDurably } from '@countersign/element/durable'
import { errorCode, parseRecord } from '@countersign/element/shapes'
import type { DeviceErrorCode } from '../errors.ts'
import { type CommandMemory, RecentCommands } from '../portable/commandMemory.ts'

export async function openBegun(path: string): Promise<CommandMemory> {
  const recent = new RecentCommands(await readBegun(path))
  return {
    has: (id) => recent.has(id),
    async add(id) {
      await recent.add(id)
      await writeDurably(path, `${JSON.stringify({ begun: recent.ids })}\n`)
    },
  }
}

async function readBegun(path: string): Promise<readonly string[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
  const begun: unknown = parseRecord(text)?.begun
  if (Array.isArray(begun) && begun.every((id) => typeof id === 'string')) return begun
  throw new AdapterError<DeviceErrorCode>(
    'ERR_STATE_DAMAGED',
    'the list of commands that were begun is not readable',
    {},
    {
      where: path,
      hint: 'Remove the file to go on: a command that was begun and waits at the server still would then be run again.',
    },
  )
}
