/** What somebody wants of a device, checked before anything is written. */
import { isJson, isNestedTooDeep } from '@countersign/core/codec'
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { commandDataBytesMax, commandName } from '../commandDocument.ts'
import { jsonDepthMax } from '../payload.ts'

export interface CommandWish {
  /** Device id. */
  readonly device: string
  readonly name: string
  /** JSON. */
  readonly data: string
  readonly expiresAt: Milliseconds
  /** `operator`, `application:<id>`. */
  readonly actor: string
}

export type CommandErrorCode =
  | 'ERR_COMMAND_NAME'
  | 'ERR_COMMAND_DATA'
  | 'ERR_COMMAND_EXPIRY'
  | 'ERR_COMMAND_LIMIT'
  | 'ERR_DEVICE_UNKNOWN'
  | 'ERR_DEVICE_REVOKED'
  | 'ERR_DEVICE_RETIRED'

export function requireSound(
  { name, data, expiresAt }: CommandWish,
  now: Milliseconds,
  expiryMsMax: Milliseconds,
): void {
  if (!commandName.test(name))
    throw misuse(
      'ERR_COMMAND_NAME',
      `"${name.slice(0, 80)}" is no name for a command`,
      'name',
      'A name has 1 to 64 of A-Z a-z 0-9 _ . ~ -, for instance reboot.',
    )
  requireJson(data)
  if (expiresAt > now && expiresAt <= now + expiryMsMax) return
  throw misuse(
    'ERR_COMMAND_EXPIRY',
    expiresAt > now ? 'the command would wait for too long' : 'the command would be late already',
    'expires',
    `Give a time within the next ${expiryMsMax / 86_400_000} days, or a duration such as 15m.`,
  )
}

function requireJson(data: string): void {
  const length = Buffer.byteLength(data)
  if (length > commandDataBytesMax)
    throw misuse(
      'ERR_COMMAND_DATA',
      `the data has ${length} bytes; a command carries at most ${commandDataBytesMax}`,
      'data',
      'Send less, or a reference from which the device fetches the rest.',
    )
  const fault = !isJson(data)
    ? 'is not JSON'
    : isNestedTooDeep(data, jsonDepthMax)
      ? `is nested deeper than ${jsonDepthMax}`
      : undefined
  if (fault === undefined) return
  const hint = 'Data is JSON: {"seconds":5}, 21.5, "on" or null.'
  throw misuse('ERR_COMMAND_DATA', `the data ${fault}`, 'data', hint)
}

export function misuse(
  code: CommandErrorCode,
  message: string,
  where: string,
  hint: string,
): CallerError<CommandErrorCode> {
  return new CallerError(code, message, {}, { where, hint })
}
