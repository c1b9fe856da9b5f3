/**
 * The state folder of a device (mode 0700): identity, element, counter of readings, outbox, commands
 * begun, lock.
 * Whoever holds a `DeviceState` holds the lock; `show` reads without it.
 */
import { chmod, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CallerError } from '@countersign/core/errors'
import { makeFolders } from '@countersign/element/durable'
import { errorCode } from '@countersign/element/shapes'
import type { SecureElement } from '@countersign/element/ports'
import { softwareUrl } from '@countersign/element/url'
import type { DeviceErrorCode } from '../errors.ts'
import type { World } from '../world.ts'
import { type Counter, openCounter } from './counter.ts'
import { type Credential, type Identity, readIdentity, writeIdentity } from './identity.ts'
import { lockFolder } from './lock.ts'
import { Outbox, type OutboxLimits, outboxLimits } from './outbox.ts'

export interface StateFiles {
  readonly identity: string
  readonly counter: string
  readonly outbox: string
  readonly begun: string
  readonly coap: string
}

export function stateFiles(folder: string): StateFiles {
  return {
    identity: join(folder, 'identity.json'),
    counter: join(folder, 'counter.json'),
    outbox: join(folder, 'outbox.jsonl'),
    begun: join(folder, 'commands.json'),
    coap: join(folder, 'coap.state'),
  }
}

export interface DeviceState {
  readonly folder: string
  readonly element: SecureElement
  readonly counter: Counter
  readonly outbox: Outbox
  /** undefined before the first enrolment. */
  readonly identity: Identity | undefined
  /** Durable when it resolves. */
  save(identity: Identity): Promise<void>
  close(): Promise<void>
}

export interface OpenOptions {
  /** Make the folder when it is not there: enrolment does. */
  readonly create: boolean
  /** For a device that is not enrolled yet; whatever an attempt before has named. */
  readonly element?: string
  readonly outbox?: OutboxLimits
}

export async function openState(
  folder: string,
  world: World,
  options: OpenOptions,
): Promise<DeviceState> {
  await prepareFolder(folder, options.create)
  const lock = lockFolder(folder)
  try {
    const files = stateFiles(folder)
    let identity = await readIdentity(files.identity)
    const { url, mustExist } = elementOf(identity, options)
    const element = await world.openElement(url, folder, { mustExist })
    const counter = await openCounter(files.counter)
    const outbox = await Outbox.open(files.outbox, options.outbox ?? outboxLimits)
    return {
      folder,
      element,
      counter,
      outbox,
      get identity() {
        return identity
      },
      async save(next) {
        await writeIdentity(files.identity, next)
        identity = next
      },
      async close() {
        try {
          await outbox.close()
          await counter.close()
          await element.close()
        } finally {
          lock.release()
        }
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

function elementOf(
  identity: Identity | undefined,
  options: OpenOptions,
): { readonly url: string; readonly mustExist: boolean } {
  if (identity?.current !== undefined) return { url: identity.element, mustExist: true }
  return { url: options.element ?? identity?.element ?? softwareUrl, mustExist: false }
}

/** An enrolled device's identity and its credential in use. */
export function requireEnrolled(
  folder: string,
  identity: Identity | undefined,
): { readonly identity: Identity; readonly current: Credential } {
  if (identity?.current !== undefined) return { identity, current: identity.current }
  throw notEnrolled(folder)
}

export function notEnrolled(folder: string): CallerError<DeviceErrorCode> {
  return new CallerError(
    'ERR_NOT_ENROLLED',
    'this device has no certificate yet',
    {},
    {
      where: folder,
      hint: 'Run "countersign device enroll" with what "countersign identity invite" printed, or name the right --state.',
    },
  )
}

async function prepareFolder(folder: string, create: boolean): Promise<void> {
  if (create) makeFolders(folder, 0o700)
  let mode: number
  try {
    ;({ mode } = await stat(folder))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw notEnrolled(folder)
    throw error
  }
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  // An empty folder that somebody made beforehand is taken and closed; any other is somebody's, or
  // was ours and stood open.
  if (create && (await readdir(folder)).length === 0) {
    await chmod(folder, 0o700)
    return
  }
  throw new CallerError<DeviceErrorCode>(
    'ERR_STATE_MODE',
    `others may enter this state folder (mode ${(mode & 0o777).toString(8)})`,
    {},
    {
      where: folder,
      hint: 'Close it with: chmod 700. A new device is best given a folder of its own.',
    },
  )
}
