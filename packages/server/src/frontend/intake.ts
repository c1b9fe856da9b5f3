/**
 * Where messages of admitted devices enter the store, whatever road they came by: bounded by rate
 * and by number in flight, made a CloudEvent, durable before anyone says that it was taken. The hot
 * path of the house: one promise (the store's), no timer, no look-up beyond the session.
 */
import type { Clock, Random } from '@countersign/core/ports'
import { cloudEvent, type EventData } from '../cloudEvent.ts'
import type { Admitted, Applied, Change, MessageDraft, Notices, Road, Store } from '../ports.ts'
import { TokenBuckets } from '../rates.ts'
import type { IntakeLimits } from './limits.ts'

/**
 * A device's own persisted counter: with it a reading sent twice is one event. Decimal, no leading
 * zero, at most 16 digits.
 */
export const messageNumber: RegExp = /^(?:0|[1-9][0-9]{0,15})$/
/** The header of https and the user property of MQTT 5 that carries it. */
export const numberName = 'countersign-number'

export interface IntakeParts {
  readonly store: Pick<Store, 'apply'>
  readonly notices: Pick<Notices, 'tell'>
  readonly clock: Clock
  readonly random: Random
  readonly limits: IntakeLimits
  readonly road: Road
}

export interface Incoming {
  readonly topic: string
  /** As `messageNumber` allows. */
  readonly number: string | undefined
  readonly data: EventData
}

export class Intake {
  readonly #parts: IntakeParts
  readonly #rates: TokenBuckets
  /** In the order in which they came. */
  readonly #waiting: Set<() => void> = new Set()
  #inFlight = 0

  constructor(parts: IntakeParts) {
    this.#parts = parts
    this.#rates = new TokenBuckets(parts.clock, parts.limits.ratesRememberedMax)
  }

  get isFull(): boolean {
    return this.#inFlight >= this.#parts.limits.messagesInFlightMax
  }

  /**
   * Calls back when one more has room; each caller once, in the order in which they came. Returns
   * the way out.
   */
  whenRoom(run: () => void): () => void {
    this.#waiting.add(run)
    return () => void this.#waiting.delete(run)
  }

  /** Takes one of the device's messages a minute: 0, or the milliseconds until there is one. */
  wait(admitted: Admitted): number {
    const perMinute = admitted.messagesPerMinute
    return this.#rates.take(admitted.device.id, { perSecond: perMinute / 60, burst: perMinute })
  }

  draft({ device, credential }: Admitted, { topic, number, data }: Incoming): MessageDraft {
    const { clock, random, road } = this.#parts
    const id =
      number === undefined
        ? Buffer.from(random.bytes(16)).toString('hex')
        : `${device.eui64}-${number}`
    return cloudEvent(
      {
        id,
        source: device.id,
        type: 'countersign.message',
        time: clock.now(),
        subject: topic,
        road,
        assurance: device.assurance,
        credential,
      },
      data,
    )
  }

  /**
   * Durable when it resolves. A duplicate was stored before, and is acknowledged like the first.
   * `beside` is what the road must remember in the same moment.
   */
  store(draft: MessageDraft, beside?: Pick<Change, 'conditions' | 'writes'>): Promise<Applied> {
    this.#inFlight += 1
    return this.#parts.store.apply({ ...beside, messages: [draft] }).then(
      (applied) => {
        this.#ended()
        const throughSeq = applied.messageSeqs.at(-1)
        if (throughSeq !== undefined) this.#parts.notices.tell({ kind: 'messages', throughSeq })
        return applied
      },
      (error: unknown) => {
        this.#ended()
        throw error
      },
    )
  }

  /**
   * Who is called may take the room or not (its message may be refused, or has to wait for its
   * pace): as many are called as there is room for, since nobody else would call the next one.
   */
  #ended(): void {
    this.#inFlight -= 1
    for (const run of this.#waiting) {
      if (this.isFull) return
      this.#waiting.delete(run)
      run()
    }
  }
}
