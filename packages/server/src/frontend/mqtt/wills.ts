/**
 * Wills (MQTT 5 §3.1.2.5): the message that a device left for the case that its connection ends
 * without DISCONNECT. It is the device's message, so it is published only while the device may
 * still send, and at the pace that its product allows: who was suspended or revoked, or whose
 * certificate has expired, has no last word.
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { Admitted, MessageDraft, Timers } from '../../ports.ts'
import type { PeerChain } from '../peerChain.ts'

export interface Will {
  readonly delayMs: Milliseconds
  /** What the device had shown. A will must not hold the connection that left it. */
  readonly chain: PeerChain
  /** Made when it is published: its time is the time of the end. */
  readonly draft: (admitted: Admitted) => MessageDraft
}

export interface WillsParts {
  readonly timers: Timers
  readonly limits: { readonly delayedWillsMax: number; readonly paceMsMax: Milliseconds }
  /** Undefined: it may not send any more. Never rejects. */
  readonly admitted: (chain: PeerChain) => Promise<Admitted | undefined>
  /** Takes a message of the device's pace: 0, or how long there is none. */
  readonly wait: (admitted: Admitted) => Milliseconds
  /** Resolves when it is stored. Never rejects. */
  readonly publish: (draft: MessageDraft) => Promise<void>
  /** It came too fast. */
  readonly dropped: (admitted: Admitted) => void
}

interface Waiting {
  readonly will: Will
  readonly timer: { cancel(): void }
}

export class Wills {
  readonly #parts: WillsParts
  /** For their delay, by session. */
  readonly #delayed: Map<string, Waiting> = new Map()
  /** For their pace. */
  readonly #paced: Set<Waiting> = new Set()
  readonly #underway: Set<Promise<void>> = new Set()
  #isClosing = false

  constructor(parts: WillsParts) {
    this.#parts = parts
  }

  /** The connection of this session has ended. */
  left(session: string, will: Will, delayMs: Milliseconds): void {
    this.ended(session)
    const { timers, limits } = this.#parts
    if (delayMs === 0 || this.#isClosing || this.#delayed.size >= limits.delayedWillsMax)
      return this.#publish(will)
    const timer = timers.after(delayMs, () => this.ended(session))
    this.#delayed.set(session, { will, timer })
  }

  /**
   * The session is connected again. One that goes on takes its will back ([MQTT-3.1.3-9]); the end
   * of a session is the end of the wait.
   */
  returned(session: string, isContinued: boolean): void {
    if (!isContinued) return this.ended(session)
    this.#delayed.get(session)?.timer.cancel()
    this.#delayed.delete(session)
  }

  /** Nobody will come back to this session, or its will has waited long enough. */
  ended(session: string): void {
    const waiting = this.#delayed.get(session)
    if (waiting === undefined) return
    this.#delayed.delete(session)
    waiting.timer.cancel()
    this.#publish(waiting.will)
  }

  /** The door closes: what waits is said now, since nobody will wait any more. */
  async close(): Promise<void> {
    this.#isClosing = true
    for (const session of this.#delayed.keys()) this.ended(session)
    for (const { will, timer } of this.#paced) {
      timer.cancel()
      this.#publish(will)
    }
    this.#paced.clear()
    while (this.#underway.size > 0) await Promise.all(this.#underway)
  }

  #publish(will: Will): void {
    const done = this.#say(will).finally(() => this.#underway.delete(done))
    this.#underway.add(done)
  }

  async #say(will: Will): Promise<void> {
    const { admitted, wait, publish, dropped, limits } = this.#parts
    const device = await admitted(will.chain)
    if (device === undefined) return
    const milliseconds = this.#isClosing ? 0 : wait(device)
    if (milliseconds === 0) return await publish(will.draft(device))
    const isTooMuch = this.#paced.size >= limits.delayedWillsMax
    if (milliseconds > limits.paceMsMax || isTooMuch) return dropped(device)
    this.#pace(will, milliseconds)
  }

  #pace(will: Will, milliseconds: Milliseconds): void {
    const timer = this.#parts.timers.after(milliseconds, () => {
      this.#paced.delete(waiting)
      this.#publish(will)
    })
    const waiting = { will, timer }
    this.#paced.add(waiting)
  }
}
