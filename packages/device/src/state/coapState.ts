/**
 * The record of the narrow channel in the state folder: `coap.state`, mode 0600, for there are keys in
 * it. Written at once and flushed: when `close` has returned nothing more is written, and the next
 * owner of the folder finds the last record.
 */
import { readFile } from 'node:fs/promises'
import { AdapterError, CallerError } from '@countersign/core/errors'
import { writeDurablySync } from '@countersign/element/durable'
import { errorCode } from '@countersign/element/shapes'
import type { DeviceErrorCode } from '../errors.ts'
import type { NarrowStorage } from '../portable/narrow/index.ts'

export class CoapState implements NarrowStorage {
  readonly #path: string
  #isClosed = false

  constructor(path: string) {
    this.#path = path
  }

  load(): Promise<Uint8Array | undefined> {
    return readCoapState(this.#path)
  }

  async save(record: Uint8Array): Promise<void> {
    if (this.#isClosed) throw new CallerError('ERR_ROAD_CLOSED', 'the road was closed')
    writeDurablySync(this.#path, record)
  }

  close(): void {
    this.#isClosed = true
  }
}

/** Nothing is lost with it but a handshake. */
export function coapStateDamaged(path: string, cause: unknown): AdapterError<DeviceErrorCode> {
  const hint = 'Remove the file: the next message on coap makes a new handshake.'
  return new AdapterError(
    'ERR_STATE_DAMAGED',
    'what was kept of the channel on coap cannot be read',
    {},
    { where: path, hint, cause },
  )
}

export async function readCoapState(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
