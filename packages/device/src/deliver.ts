/**
 * Delivery of readings: the oldest first, each kept in the outbox until the server says that it has
 * stored it or that it never will, by whichever road. The caller decides about waiting.
 */
import { PeerError } from '@countersign/core/errors'
import type { DeviceErrorCode } from './errors.ts'
import { Later } from './retry.ts'
import type { Road } from './road.ts'
import type { Outbox } from './state/outbox.ts'
import type { Listener } from './world.ts'

/**
 * Sends what waits until nothing does. Throws what stopped it: unreachable, refused, or the
 * server's "later".
 */
export async function drain(
  road: Pick<Road, 'deliver' | 'refusal'>,
  outbox: Outbox,
  listener: Listener,
  signal?: AbortSignal,
): Promise<void> {
  for (let reading = outbox.first(); reading !== undefined; reading = outbox.first()) {
    if (signal?.aborted === true) return
    const { number, topic } = reading
    const outcome = await road.deliver(reading)
    switch (outcome.kind) {
      case 'taken':
        await outbox.settle(number)
        listener({ event: 'sent', number, id: outcome.id, topic })
        break
      case 'rejected': {
        await outbox.settle(number)
        const { status, message } = outcome.problem
        listener({ event: 'rejected', number, status, reason: message })
        break
      }
      case 'refused':
        throw road.refusal(outcome.problem)
      case 'later':
        throw new Later(
          'the server cannot take readings now',
          outcome.problem,
          outcome.afterMs,
          'They are kept and sent again.',
        )
    }
  }
}

export function rejected(
  number: number,
  status: number,
  reason: string,
): PeerError<DeviceErrorCode> {
  return new PeerError(
    'ERR_READING_REFUSED',
    `the server will not take this reading: ${reason}`,
    { number, status },
    { hint: 'It was given up; what waited before it is not affected.' },
  )
}
