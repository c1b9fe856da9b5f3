/**
 * Readings over https: `POST /v1/messages/<topic>`, taken when the answer is 202. One function turns
 * an answer into what it means.
 */
import { parseRecord } from '@countersign/element/shapes'
import type { Answer } from './connect.ts'
import type { Link } from './link.ts'
import { type Problem, readProblem, retryAfterMs } from './problem.ts'
import type { Outcome, Road } from './road.ts'
import type { Reading } from './state/outbox.ts'
import { fired } from './world.ts'

export class HttpsRoad implements Road {
  readonly #link: Pick<Link, 'ask' | 'refusal' | 'close'>

  constructor(link: Pick<Link, 'ask' | 'refusal' | 'close'>) {
    this.#link = link
  }

  async deliver({ number, topic, contentType, data }: Reading): Promise<Outcome> {
    const answer = await this.#link.ask({
      method: 'POST',
      // The grammar of topics needs no escaping (checked when the reading was made).
      path: `/v1/messages/${topic}`,
      headers: { 'content-type': contentType, 'countersign-number': String(number) },
      body: data,
    })
    return judgeAnswer(answer)
  }

  attend(signal: AbortSignal): Promise<void> {
    return fired(signal)
  }

  refusal(problem: Problem): Error {
    return this.#link.refusal(problem)
  }

  close(): void {
    this.#link.close()
  }
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
