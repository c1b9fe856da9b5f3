/**
 * Commands over https: a long poll on a connection of its own, since a connection carries one
 * question at a time and readings must not wait for it.
 */
import { jsonElements } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { Answer } from './connect.ts'
import type { DeviceErrorCode } from './errors.ts'
import type { Link } from './link.ts'
import type { CommandDesk, CommandOutcome, CommandWay } from './portable/commandDesk.ts'
import { readProblem, retryAfterMs } from './problem.ts'
import { Later } from './retry.ts'

const path = '/v1/commands'
/** Well within the time in which connect.ts wants an answer. */
const waitSecondsMax = 20

export class CommandPoll implements CommandWay {
  readonly #link: Pick<Link, 'ask' | 'refusal' | 'close'>
  readonly #desk: CommandDesk
  readonly #waitSeconds: number
  #isPolling = false
  #stopped = false

  constructor(
    link: Pick<Link, 'ask' | 'refusal' | 'close'>,
    desk: CommandDesk,
    answerMs: number = Number.POSITIVE_INFINITY,
  ) {
    this.#link = link
    this.#desk = desk
    this.#waitSeconds = Math.max(1, Math.min(waitSecondsMax, Math.floor(answerMs / 2000)))
  }

  /** Polls until it is stopped; `rest` waits after each failure, and throws what is not to pass. */
  async obey(rest: (error: unknown, failures: number) => Promise<void>): Promise<void> {
    let failures = 0
    try {
      while (!this.#stopped) {
        try {
          await this.#round()
          failures = 0
        } catch (error) {
          if (!this.#stopped) await rest(error, failures++)
        }
      }
    } finally {
      this.#link.close()
    }
  }

  async #round(): Promise<void> {
    await this.#desk.flush(this)
    for (const text of await this.#poll()) {
      if (this.#stopped) return
      await this.#desk.take(text, this)
    }
  }

  /** Ends a poll; a command that is being run is finished, and its outcome told. */
  stop(): void {
    this.#stopped = true
    if (this.#isPolling) this.#link.close()
  }

  async delivered(id: string): Promise<boolean> {
    const answer = await this.#say(id, 'application/octet-stream', new Uint8Array())
    if (answer.status === 204) return true
    if (answer.status === 404 || answer.status === 409) return false
    throw this.#failure(answer)
  }

  async answered(id: string, outcome: CommandOutcome): Promise<string | undefined> {
    const answer = await this.#answer(id, outcome)
    const { status } = answer
    // 404, 409: forgotten, or ended otherwise; nothing more is wanted of this command.
    if (status === 204 || status === 404 || status === 409) return undefined
    // The same would be answered the same again.
    if (status === 400 || status === 413 || status === 415) return readProblem(answer).message
    throw this.#failure(answer)
  }

  #answer(id: string, outcome: CommandOutcome): Promise<Answer> {
    if ('refused' in outcome)
      return this.#say(`${id}/refused`, 'text/plain; charset=utf-8', Buffer.from(outcome.refused))
    return this.#say(id, outcome.contentType, outcome.body)
  }

  async #poll(): Promise<readonly string[]> {
    if (this.#stopped) return []
    this.#isPolling = true
    try {
      const question = { method: 'GET', path: `${path}?wait=${this.#waitSeconds}` } as const
      const answer = await this.#link.ask(question)
      if (answer.status !== 200) throw this.#failure(answer)
      const texts = jsonElements(Buffer.from(answer.body).toString('utf8'))
      if (texts !== undefined) return texts
      throw new PeerError<DeviceErrorCode>('ERR_COMMAND_FORMAT', 'the commands are no JSON array')
    } finally {
      this.#isPolling = false
    }
  }

  #say(what: string, contentType: string, body: Uint8Array): Promise<Answer> {
    const headers = { 'content-type': contentType }
    return this.#link.ask({ method: 'POST', path: `${path}/${what}`, headers, body })
  }

  #failure(answer: Answer): Error {
    const problem = readProblem(answer)
    if (answer.status === 401 || answer.status === 403) return this.#link.refusal(problem)
    const hint = 'It is asked again.'
    return new Later('the server has no commands now', problem, retryAfterMs(answer), hint)
  }
}
