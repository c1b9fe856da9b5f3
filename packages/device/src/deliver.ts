/**
 * Delivery of readings: the oldest first, each kept in the outbox until the server says that it has
 * stored it (202) or that it never will. One function turns an answer into what it means; the
 * caller decides about waiting.
 */
import { PeerError } from '@countersign/core/errors'
import { parseRecord } from '@countersign/element/shapes'
import type { Answer, ServerConnection } from './connect.ts'
import type { DeviceErrorCode } from './errors.ts'
import type { Link } from './link.ts'
import { type Problem, readProblem, retryAfterMs } from './problem.ts'
import { Later } from './retry.ts'
import type { Outbox, Reading } from './state/outbox.ts'
import type { Listener } from './world.ts'

export type Outcome =
  | { readonly kind: 'taken'; readonly id: string }
  /** This reading will never be taken. */
  | { readonly kind: 'rejected'; readonly problem: Problem }
  /** This device is not let in. */
  | { readonly kind: 'refused'; readonly problem: Problem }
  | { readonly kind: 'later'; readonly problem: Problem; readonly afterMs: number | undefined }

/**
 * Sends what waits until nothing does. Throws what stopped it: unreachable, refused, or the
 * server's "later".
 */
export async function drain(
  link: Pick<Link, 'ask' | 'refusal'>,
  outbox: Outbox,
  listener: Listener,
  signal?: AbortSignal,
): Promise<void> {
  for (let reading = outbox.first(); reading !== undefined; reading = outbox.first()) {
    if (signal?.aborted === true) return
    const { number, topic } = reading
    const outcome = judgeAnswer(await post(link, reading))
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
        throw link.refusal(outcome.problem)
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

function post(connection: Pick<ServerConnection, 'ask'>, reading: Reading): Promise<Answer> {
  return connection.ask({
    method: 'POST',
    // The grammar of topics needs no escaping (checked when the reading was made).
    path: `/v1/messages/${reading.topic}`,
    headers: {
      'content-type': reading.contentType,
      'countersign-number': String(reading.number),
    },
    body: reading.data,
  })
}

export function judgeAnswer(answer: Answer): Outcome {
  if (answer.status === 202) {
    const id = parseRecord(Buffer.from(answer.body).toString('utf8'))?.id
    return { kind: 'taken', id: typeof id === 'string' ? id : '' }
  }
  const problem = readProblem(answer)
  if (answer.status === 401 || answer.status === 403) return { kind: 'refused', problem }
  // 408 and 429 speak of now, not of the reading (RFC 9110 §15.5.9, RFC 6585 §4).
  const temporary = answer.status < 400 || answer.status >= 500
  if (temporary || answer.status === 408 || answer.status === 429) {
    return { kind: 'later', problem, afterMs: retryAfterMs(answer) }
  }
  return { kind: 'rejected', problem }
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
