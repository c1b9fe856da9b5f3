/**
 * Tells the applications that a device has come. A stock client comes anew for each message, so a
 * device that comes and goes is told of now and then, not each time: nobody waits for the event,
 * and no handshake fails for want of it.
 */
import { isCountersignError } from '@countersign/core/errors'
import type { Clock, Random } from '@countersign/core/ports'
import { cloudEvent } from '../cloudEvent.ts'
import type { Admitted, Log, Notices, Road, Store } from '../ports.ts'
import { TokenBuckets } from '../rates.ts'

/** Of one device: more within a minute says nothing new. */
const openings = { perSecond: 1 / 60, burst: 2 }
/** Devices remembered; beyond it the one that came longest ago is told of once more. */
const devicesMax = 100_000

export interface SessionNewsParts {
  readonly store: Pick<Store, 'apply'>
  readonly notices: Pick<Notices, 'tell'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly road: Road
}

export class SessionNews {
  readonly #parts: SessionNewsParts
  readonly #rates: TokenBuckets

  constructor(parts: SessionNewsParts) {
    this.#parts = parts
    this.#rates = new TokenBuckets(parts.clock, devicesMax)
  }

  opened({ device, credential }: Admitted): void {
    if (this.#rates.take(device.id, openings) > 0) return
    const { store, notices, clock, random, log, road } = this.#parts
    const event = cloudEvent({
      id: Buffer.from(random.bytes(16)).toString('hex'),
      source: device.id,
      type: 'countersign.session.opened',
      time: clock.now(),
      road,
      assurance: device.assurance,
      credential,
    })
    store.apply({ messages: [event] }).then(
      ({ messageSeqs }) => {
        const throughSeq = messageSeqs.at(-1)
        if (throughSeq !== undefined) notices.tell({ kind: 'messages', throughSeq })
      },
      (error: unknown) => {
        const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
        log.error({ code, device: device.id }, `a session was not told of: ${String(error)}`)
      },
    )
  }
}
