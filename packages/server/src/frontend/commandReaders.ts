/**
 * All devices of the door that wait for commands. One timer for them, armed while there is one. A
 * reader is there before it looks, so that a command queued meanwhile wakes it.
 */
import type { ServerResponse } from 'node:http'
import { type CommandReadersParts, Poll, type Reader, Stream } from './commandReader.ts'
import type { HttpSession } from './httpSession.ts'

export class CommandReaders {
  readonly #parts: CommandReadersParts
  readonly #bySession: Map<HttpSession, Reader> = new Map()
  /** In the order in which they came. */
  readonly #byDevice: Map<string, Set<Reader>> = new Map()
  readonly #stopListening: () => void
  #ticking: { cancel(): void } | undefined

  constructor(parts: CommandReadersParts) {
    this.#parts = parts
    this.#stopListening = parts.notices.listen((notice) => {
      if (notice.kind !== 'commands') return
      for (const reader of this.#byDevice.get(notice.device) ?? []) reader.wake()
    })
  }

  /** False: this connection waits already. */
  poll(session: HttpSession, device: string, waitMs: number, response: ServerResponse): boolean {
    const until = this.#parts.clock.now() + waitMs
    return this.#join(session, device, new Poll(this.#parts, session, device, response, until))
  }

  stream(session: HttpSession, device: string, response: ServerResponse): boolean {
    return this.#join(session, device, new Stream(this.#parts, session, device, response))
  }

  close(): void {
    this.#stopListening()
    this.#ticking?.cancel()
    for (const reader of this.#bySession.values()) reader.end()
  }

  #join(session: HttpSession, device: string, reader: Reader): boolean {
    // One that is answered leaves some turns after its peer has read the answer.
    if (this.#bySession.get(session)?.isOpen === true) return false
    const readers = this.#byDevice.get(device) ?? new Set()
    this.#byDevice.set(device, readers)
    // One more ends the oldest: a device that lost its link must get in again.
    if (readers.size >= this.#parts.limits.commandReadersPerDeviceMax)
      for (const oldest of readers) {
        readers.delete(oldest)
        oldest.end()
        break
      }
    readers.add(reader)
    this.#bySession.set(session, reader)
    reader.response.once('close', () => {
      if (this.#bySession.get(session) === reader) this.#bySession.delete(session)
      readers.delete(reader)
      if (readers.size === 0 && this.#byDevice.get(device) === readers)
        this.#byDevice.delete(device)
    })
    reader.begin()
    this.#arm()
    return true
  }

  #arm(): void {
    if (this.#ticking !== undefined || this.#bySession.size === 0) return
    const { timers, limits, clock } = this.#parts
    this.#ticking = timers.after(limits.commandTickMs, () => {
      this.#ticking = undefined
      const now = clock.now()
      for (const reader of this.#bySession.values()) reader.tick(now)
      this.#arm()
    })
  }
}
