/**
 * Sessions of one token: an operation has one for itself (two on one session end in
 * CKR_OPERATION_ACTIVE), so many at a time, and the rest waits in order. They are opened when they
 * are first needed.
 *
 * Some libraries (tpm2-pkcs11 is one) hold a lock of the token during an operation, in whatever
 * session it is. What has to be called in this thread, the beginning of the next signature say, then
 * waits for the lock, and everything else in the process with it. Such calls are timed; where they
 * wait, one operation at a time is let in from then on. The token does no more anyway.
 */
import { elementError } from '@countersign/core/ports'
import type { Cryptoki, Handle } from './cryptoki.ts'
import { CryptokiError, returnValue } from './returnValues.ts'

/** As many as Node's thread pool runs at once. */
const sessionsMax = 4
/** A token of 100 signatures a second has ten seconds of work then. */
export const waitingMax = 1024

/** A call that only begins something, or asks the library's memory, takes microseconds. */
const waitedMs = 0.5
/** So many more of them that waited than that did not: a pause of the garbage collector is not it. */
const waitedMax = 3

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
  /** Open ones, in use or not. */
  #count = 1
  #inUse = 0
  #waited = 0
  #closed: unknown

  constructor(cryptoki: Cryptoki, slot: Handle, first: Handle) {
    this.#cryptoki = cryptoki
    this.#slot = slot
    this.#free.push(first)
  }

  async take(): Promise<Handle> {
    if (this.#closed !== undefined) throw this.#closed
    const session = this.#inUse < this.#max ? (this.#free.pop() ?? this.#open()) : undefined
    if (session !== undefined) {
      this.#inUse++
      return session
    }
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
    const next = this.#inUse > this.#max ? undefined : this.#waiting.shift()
    if (next !== undefined) {
      next.take(session)
      return
    }
    this.#inUse--
    this.#free.push(session)
  }

  /** A call that keeps the turn and should be quick, by the holder of a session. */
  timed<T>(work: () => T): T {
    // Alone it waits for nobody: what takes long then is the token itself.
    if (this.#inUse < 2) return work()
    const start = performance.now()
    try {
      return work()
    } finally {
      const isSlow = performance.now() - start > waitedMs
      this.#waited = Math.max(0, this.#waited + (isSlow ? 1 : -1))
      if (this.#waited >= waitedMax) this.#max = 1
    }
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
