/**
 * Wills (MQTT 5 §3.1.2.5): the message that a device left for the case that its connection ends
 * without DISCONNECT. It is the device's message, so it is published only while the device may
 * still send: who was suspended or revoked has no last word.
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { MessageDraft, Timers } from '../../ports.ts'

export interface Will {
  readonly delayMs: Milliseconds
  /** Made when it is published: its time is the time of the end. */
  readonly draft: () => MessageDraft
}

export interface WillsParts {
  readonly timers: Timers
  readonly delayedMax: number
  readonly publish: (draft: MessageDraft) => void
}

interface Waiting {
  readonly will: Will
  readonly mayPublish: () => Promise<boolean>
  readonly timer: { cancel(): void }
}

export class Wills {
  readonly #parts: WillsParts
  /** By session. */
  readonly #waiting: Map<string, Waiting> = new Map()

  constructor(parts: WillsParts) {
    this.#parts = parts
  }

  /** The connection of this session has ended. `mayPublish` is asked again after the delay. */
  left(session: string, will: Will, mayPublish: () => Promise<boolean>): void {
    if (will.delayMs === 0 || this.#waiting.size >= this.#parts.delayedMax)
      return void this.#publish(will, mayPublish)
    const timer = this.#parts.timers.after(will.delayMs, () => {
      this.#waiting.delete(session)
      void this.#publish(will, mayPublish)
    })
    this.#waiting.set(session, { will, mayPublish, timer })
  }

  /**
   * The session is connected again. One that goes on takes its will back ([MQTT-3.1.3-9]); the end
   * of a session is the end of the wait.
   */
  returned(session: string, isContinued: boolean): void {
    const waiting = this.#waiting.get(session)
    if (waiting === undefined) return
    this.#waiting.delete(session)
    waiting.timer.cancel()
    if (!isContinued) void this.#publish(waiting.will, waiting.mayPublish)
  }

  /** The door closes: what waits is said now, since nobody will wait any more. */
  async close(): Promise<void> {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { timer } of waiting) timer.cancel()
    await Promise.all(waiting.map(({ will, mayPublish }) => this.#publish(will, mayPublish)))
  }

  async #publish(will: Will, mayPublish: () => Promise<boolean>): Promise<void> {
    if (await mayPublish()) this.#parts.publish(will.draft())
  }
}
