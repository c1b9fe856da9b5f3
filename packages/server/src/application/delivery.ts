/**
 * The messages of one application on their way to its webhook: one after the other, in order, each
 * until it is taken or has failed so often that it goes to the dead letters. A worker of its own
 * for each application, so that a slow one delays nobody else.
 */
import type { Clock, Random } from '@countersign/core/ports'
import type { ApplicationRow, Log, MessageRow, Store, Timers } from '../ports.ts'
import type { Cursors } from './cursors.ts'
import type { ApplicationLimits } from './limits.ts'
import type { Attempt, Webhook } from './webhook.ts'

export interface DeliveryParts {
  readonly store: Pick<Store, 'scan' | 'apply'>
  readonly cursors: Cursors
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly limits: ApplicationLimits
}

/** The same for every attempt: receivers recognise a repetition by it. */
export function webhookId(seq: number): string {
  return `msg_${seq}`
}

export class Delivery {
  readonly #parts: DeliveryParts
  readonly #application: ApplicationRow
  readonly #webhook: Webhook
  #running: Promise<void> | undefined
  #woken = false
  #stopped = false
  #waiting: { readonly cancel: () => void } | undefined

  constructor(parts: DeliveryParts, application: ApplicationRow, webhook: Webhook) {
    this.#parts = parts
    this.#application = application
    this.#webhook = webhook
  }

  /** There is something new, perhaps. */
  wake(): void {
    this.#woken = true
    if (this.#stopped || this.#running !== undefined) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (this.#woken) this.wake()
    })
  }

  /**
   * The attempt under way may end by itself for a moment: cut off at once, it would be made a
   * second time after every restart.
   */
  async stop(): Promise<void> {
    const { timers, limits } = this.#parts
    this.#stopped = true
    this.#woken = false
    this.#waiting?.cancel()
    if (this.#running !== undefined) {
      const late = timers.after(limits.stopGraceMs, () => this.#webhook.close())
      await this.#running
      late.cancel()
    }
    this.#webhook.close()
  }

  async #run(): Promise<void> {
    const { store, cursors, limits, log } = this.#parts
    const { id } = this.#application
    while (this.#woken && !this.#stopped) {
      this.#woken = false
      try {
        const page = await store.scan('message', { after: cursors.get(id), limit: limits.pageMax })
        for (const message of page) if (!(await this.#deliver(message))) return
        if (page.length > 0) this.#woken = true
      } catch (error) {
        log.error(
          { application: id },
          `a delivery could not read or write the store: ${String(error)}`,
        )
        await this.#wait(limits.backoffMsMax)
        this.#woken = true
      }
    }
  }

  /** False: this worker is to stop. */
  async #deliver(message: MessageRow): Promise<boolean> {
    const { cursors, limits } = this.#parts
    for (let attempts = 1; !this.#stopped; attempts++) {
      const attempt = await this.#webhook.post(webhookId(message.seq), message.body)
      if (attempt.ok) {
        cursors.advance(this.#application.id, message.seq)
        return true
      }
      if (attempt.gone) return this.#pause()
      if (this.#stopped) return false
      this.#report(message, attempts, attempt)
      if (attempts >= limits.attemptsMax) {
        await this.#bury(message, attempts, attempt)
        return true
      }
      await this.#wait(this.#backoffMs(attempts))
    }
    return false
  }

  #report(message: MessageRow, attempts: number, attempt: Attempt & { ok: false }): void {
    const { name } = this.#application
    const fields = { application: name, seq: message.seq, attempts, error: attempt.error }
    this.#parts.log.warn(fields, 'a webhook did not take a message')
  }

  /** Half of the wait is fixed and half is drawn, so that many do not come back together. */
  #backoffMs(attempts: number): number {
    const { limits, random } = this.#parts
    const whole = Math.min(limits.backoffMsMax, limits.backoffMsMin * 2 ** (attempts - 1))
    const drawn = new DataView(random.bytes(4).slice().buffer).getUint32(0) / 2 ** 32
    return Math.round(whole / 2 + (whole / 2) * drawn)
  }

  /** The dead letter and the step beyond it are one write: neither lost nor delivered for ever. */
  async #bury(
    message: MessageRow,
    attempts: number,
    attempt: Attempt & { ok: false },
  ): Promise<void> {
    const { store, clock, cursors, log } = this.#parts
    const { id, name } = this.#application
    const { seq, body } = message
    const createdAt = clock.now()
    await store.apply({
      writes: [
        {
          kind: 'insert',
          table: 'deadLetter',
          row: {
            id: deadLetterId(id, seq),
            application: id,
            seq,
            body,
            attempts,
            lastError: attempt.error,
            createdAt,
          },
        },
        { kind: 'update', table: 'application', key: id, set: { cursor: seq } },
      ],
      events: [
        {
          time: createdAt,
          type: 'application.deadLetter',
          subject: id,
          actor: 'system',
          data: JSON.stringify({ seq, attempts, error: attempt.error }),
        },
      ],
    })
    cursors.advance(id, seq, true)
    log.error({ application: name, seq, attempts }, 'a message went to the dead letters')
  }

  async #pause(): Promise<false> {
    const { store, clock, log } = this.#parts
    const { id, name } = this.#application
    this.#stopped = true
    await store.apply({
      writes: [{ kind: 'update', table: 'application', key: id, set: { webhookState: 'paused' } }],
      events: [
        {
          time: clock.now(),
          type: 'application.paused',
          subject: id,
          actor: 'system',
          data: '{"status":410}',
        },
      ],
    })
    log.warn(
      { application: name },
      'the webhook answered 410: paused until "application test" succeeds',
    )
    return false
  }

  #wait(milliseconds: number): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting = undefined
        resolve()
      }
      const timer = this.#parts.timers.after(milliseconds, done)
      this.#waiting = {
        cancel: () => {
          timer.cancel()
          done()
        },
      }
    })
  }
}

/** Digits in one width, so that the order of keys is the order of messages. */
export function deadLetterId(application: string, seq: number): string {
  return `${application}/${String(seq).padStart(16, '0')}`
}
