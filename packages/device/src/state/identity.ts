/**
 * Who the device is and whom it believes, in one file that is replaced as a whole: a certificate
 * and the slot of its key can never be of two different times. Private keys are not here but in the
 * element.
 */
import { readFile } from 'node:fs/promises'
import { AdapterError, CallerError } from '@countersign/core/errors'
import { writeDurably } from '@countersign/element/durable'
import { errorCode, isRecord, parseRecord } from '@countersign/element/shapes'
import type { DeviceErrorCode } from '../errors.ts'

/** A certificate and where its key is. */
export interface Credential {
  readonly slot: number
  /** PEM, leaf first, then what the server sent with it. */
  readonly certificates: string
}

export interface Identity {
  readonly version: 1
  readonly element: string
  /** `https://host:port`. */
  readonly server: string
  /** `mqtts://host:port`; undefined: the invitation did not say. */
  readonly mqtts: string | undefined
  /** `coap://host:port`; likewise. */
  readonly coap: string | undefined
  /** SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, lower-case hex. */
  readonly anchor: string
  readonly serial: string
  /** As asked for at enrolment; undefined: the server chooses one. */
  readonly eui64: string | undefined
  /** undefined: an enrolment was begun and has not been answered. */
  readonly current: Credential | undefined
  /**
   * Under way: where the key was made, for an enrolment or a renewal; with certificates: answered, and
   * not yet seen to work.
   */
  readonly pending: { readonly slot: number; readonly certificates: string | undefined } | undefined
}

const version = 1

export async function readIdentity(path: string): Promise<Identity | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  const value = parseRecord(text)
  if (typeof value?.version === 'number' && value.version > version) {
    throw new CallerError<DeviceErrorCode>(
      'ERR_STATE_NEWER',
      `this device state is of version ${value.version}; this program knows version ${version}`,
      {},
      { where: path, hint: 'Use the newer program that wrote it.' },
    )
  }
  const identity = value === undefined ? undefined : parseIdentity(value)
  if (identity !== undefined) return identity
  throw new AdapterError<DeviceErrorCode>(
    'ERR_STATE_DAMAGED',
    'the identity of this device is not readable',
    {},
    { where: path, hint: 'Restore the file, or enrol again in an empty state folder.' },
  )
}

export async function writeIdentity(path: string, identity: Identity): Promise<void> {
  await writeDurably(path, `${JSON.stringify(identity, null, 2)}\n`)
}

function parseIdentity(value: Record<string, unknown>): Identity | undefined {
  const { element, server, mqtts, coap, anchor, serial, eui64 } = value
  if (value.version !== version || typeof element !== 'string' || typeof server !== 'string') {
    return undefined
  }
  if (typeof anchor !== 'string' || typeof serial !== 'string') return undefined
  if (eui64 !== undefined && typeof eui64 !== 'string') return undefined
  if (mqtts !== undefined && typeof mqtts !== 'string') return undefined
  if (coap !== undefined && typeof coap !== 'string') return undefined
  const current = parseSlot(value.current)
  const pending = parseSlot(value.pending)
  if (current === null || pending === null) return undefined
  if (current !== undefined && current.certificates === undefined) return undefined
  return {
    version,
    element,
    server,
    mqtts,
    coap,
    anchor,
    serial,
    eui64,
    current:
      current?.certificates === undefined
        ? undefined
        : { slot: current.slot, certificates: current.certificates },
    pending,
  }
}

/** null: not one. */
function parseSlot(
  value: unknown,
): { slot: number; certificates: string | undefined } | undefined | null {
  if (value === undefined) return undefined
  if (!isRecord(value)) return null
  const { slot, certificates } = value
  if (typeof slot !== 'number' || !Number.isInteger(slot) || slot < 0) return null
  if (certificates === undefined) return { slot, certificates: undefined }
  return typeof certificates === 'string' ? { slot, certificates } : null
}
