/**
 * Sessions of one token: an operation has one for itself (two on one session end in
 * CKR_OPERATION_ACTIVE), so many at a time, and the rest waits in order. They are opened when they
 * are first needed.
 */
import { elementError } from '@countersign/core/ports'
import type { Cryptoki, Handle } from './cryptoki.ts'
import { CryptokiError, returnValue } from './returnValues.ts'

/** As many as Node's thread pool runs at once. */
const sessionsMax = 4
/** A token of 100 signatures a second has ten seconds of work then. */
export const waitingMax = 1024

interface Waiting {
  take(session: Handle): void
  fail(error: unknown): void
}

export class Sessions {
  readonly #cryptoki: Cryptoki
  readonly #slot: Handle
  readonly #free: Handle[] = []
  readonly #waiting: Waiting[] = []
  #max = sessionsMax
  #count = 1
  #closed: unknown

  constructor(cryptoki: Cryptoki, slot: Handle, first: Handle) {
    this.#cryptoki = cryptoki
    this.#slot = slot
    this.#free.push(first)
  }

  async take(): Promise<Handle> {
    if (this.#closed !== undefined) throw this.#closed
    const session = this.#free.pop() ?? this.#open()
    if (session !== undefined) return session
    if (this.#waiting.length >= waitingMax) {
      throw elementError(
        'ERR_ELEMENT_BUSY',
        `${waitingMax} operations wait for the token already`,
        {},
        { where: this.#cryptoki.path, hint: 'It is slower than what is asked of it.' },
      )
    }
    return await new Promise((take, fail) => this.#waiting.push({ take, fail }))
  }

  give(session: Handle): void {
    if (this.#closed !== undefined) {
      quietly(() => this.#cryptoki.closeSession(session))
      return
    }
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(session)
    else next.take(session)
  }

  /** Those in use are closed when they are given back: another thread may be inside of them. */
  close(reason: unknown): void {
    this.#closed ??= reason
    for (const session of this.#free.splice(0)) quietly(() => this.#cryptoki.closeSession(session))
    for (const waiting of this.#waiting.splice(0)) waiting.fail(reason)
  }

  #open(): Handle | undefined {
    if (this.#count >= this.#max) return undefined
    try {
      const session = this.#cryptoki.openSession(this.#slot, false)
      this.#count++
      return session
    } catch (error) {
      const isFull =
        error instanceof CryptokiError && error.returnValue === returnValue.sessionCount
      if (!isFull || this.#count === 0) throw error
      // The token has no more: those that there are come back.
      this.#max = this.#count
      return undefined
    }
  }
}

/** What is being given up may be gone already. */
export function quietly(work: () => void): void {
  try {
    work()
  } catch {
    // Nothing is lost by it.
  }
}
