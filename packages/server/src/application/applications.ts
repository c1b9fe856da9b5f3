/**
 * The applications of the house, as an operator handles them: added, listed, tried, removed. A
 * token opens the events door and a secret signs webhooks; both are shown once, when they are made.
 * The house keeps the token's hash and the secret sealed.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { CallerError, isCountersignError } from '@countersign/core/errors'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import { cloudEvent, houseSource, jsonData } from '../cloudEvent.ts'
import type {
  ApplicationRow,
  DeadLetterRow,
  EventDraft,
  Notices,
  Sealer,
  Store,
  Timers,
} from '../ports.ts'
import { webhookId } from './delivery.ts'
import { type ApplicationLimits, applicationLimits } from './limits.ts'
import { Webhook, webhookKey } from './webhook.ts'
import type { WebhookTargets } from './webhookTarget.ts'

export type ApplicationErrorCode =
  | 'ERR_APPLICATION_NAME'
  | 'ERR_APPLICATION_EXISTS'
  | 'ERR_APPLICATION_UNKNOWN'
  | 'ERR_APPLICATION_LIMIT'
  | 'ERR_APPLICATION_NO_WEBHOOK'

export interface ApplicationsParts {
  readonly store: Pick<Store, 'get' | 'find' | 'scan' | 'apply'>
  readonly notices: Notices
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly sealer: Sealer
  readonly targets: WebhookTargets
  readonly limits?: Partial<ApplicationLimits>
}

export interface NewApplication {
  readonly id: string
  readonly name: string
  /** Bearer token of the events door. */
  readonly token: string
  /** Key of the webhook's signatures, as Standard Webhooks writes it: `whsec_` and base64. */
  readonly secret: string
  readonly webhook: string | null
}

export interface TestOutcome {
  readonly ok: boolean
  readonly webhook: string
  readonly status: number | null
  readonly error: string | null
  readonly milliseconds: number
  /** The webhook was paused and is not any more. */
  readonly resumed: boolean
}

export interface Redelivery {
  readonly delivered: number
  readonly left: number
  readonly error: string | null
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const tokenLengthMax = 128
const secretLength = 32
const deadLettersPageMax = 100

export class Applications {
  readonly #parts: ApplicationsParts
  readonly #limits: ApplicationLimits

  constructor(parts: ApplicationsParts) {
    this.#parts = parts
    this.#limits = { ...applicationLimits, ...parts.limits }
  }

  async add(options: {
    readonly name: string
    readonly webhook?: string | undefined
  }): Promise<NewApplication> {
    const { store, clock, random, sealer, targets, notices } = this.#parts
    const { name } = options
    if (!namePattern.test(name)) throw badName(name)
    if (options.webhook !== undefined) targets.parse(options.webhook)
    await this.#requireRoom()
    const id = `app-${Buffer.from(random.bytes(8)).toString('hex')}`
    const token = `cst_${Buffer.from(random.bytes(32)).toString('base64url')}`
    const secret = random.bytes(secretLength)
    const shown = `whsec_${Buffer.from(secret).toString('base64')}`
    const sealed = sealer.seal(secretName(id), secret)
    secret.fill(0)
    const webhook = options.webhook ?? null
    const now = clock.now()
    const row: ApplicationRow = {
      id,
      name,
      tokenHash: hashToken(token),
      secret: sealed,
      webhook,
      webhookState: 'active',
      cursor: 0,
      createdAt: now,
      version: 1,
    }
    await this.#applyNamed(name, () =>
      store.apply({
        writes: [{ kind: 'insert', table: 'application', row }],
        events: [audit(now, 'application.added', id, { name, webhook })],
      }),
    )
    notices.tell({ kind: 'application', id })
    return { id, name, token, secret: shown, webhook }
  }

  async list(): Promise<readonly (ApplicationRow & { readonly deadLetters: number })[]> {
    const rows = await this.#parts.store.scan('application', {
      limit: this.#limits.applicationsMax,
    })
    return await Promise.all(
      rows.map(async (row) => ({ ...row, deadLetters: await this.#countDead(row.id) })),
    )
  }

  /** By name or id. */
  async get(nameOrId: string): Promise<ApplicationRow> {
    const { store } = this.#parts
    const [row] = await store.find('application', 'name', nameOrId, { limit: 1 })
    const found = row ?? (await store.get('application', nameOrId))
    if (found !== undefined) return found
    throw new CallerError(
      'ERR_APPLICATION_UNKNOWN',
      `there is no application ${nameOrId}`,
      {},
      {
        where: 'name',
        hint: 'See "countersign application list".',
      },
    )
  }

  /**
   * Who holds this bearer token. The look-up is by hash: it tells nothing about how much of a guess
   * was right.
   */
  async authenticate(token: string): Promise<ApplicationRow | undefined> {
    if (token.length === 0 || token.length > tokenLengthMax) return undefined
    const hash = hashToken(token)
    const [row] = await this.#parts.store.find('application', 'tokenHash', hash, { limit: 1 })
    return row
  }

  async remove(nameOrId: string): Promise<ApplicationRow> {
    const { store, clock, notices } = this.#parts
    const row = await this.get(nameOrId)
    const { id, name } = row
    await store.apply({
      writes: [{ kind: 'delete', table: 'application', key: id }],
      events: [audit(clock.now(), 'application.removed', id, { name })],
    })
    notices.tell({ kind: 'application', id })
    for (let page = await this.#deadPage(id); page.length > 0; page = await this.#deadPage(id))
      await store.apply({
        writes: page.map((letter) => ({ kind: 'delete', table: 'deadLetter', key: letter.id })),
      })
    return row
  }

  /** One signed `countersign.test` event, once. A paused webhook that takes it goes on. */
  async test(nameOrId: string): Promise<TestOutcome> {
    const { clock, random } = this.#parts
    const row = await this.get(nameOrId)
    const id = Buffer.from(random.bytes(16)).toString('hex')
    const event = cloudEvent(
      { id, source: houseSource, type: 'countersign.test', time: clock.now() },
      jsonData({ application: row.name }),
    )
    const begun = clock.now()
    const { webhook, url } = this.#webhookOf(row)
    const attempt = await webhook.post(`test_${id}`, event.body)
    webhook.close()
    const resumed = attempt.ok && row.webhookState === 'paused'
    if (resumed) await this.resume(row.id)
    return {
      ok: attempt.ok,
      webhook: url,
      status: attempt.ok ? attempt.status : null,
      error: attempt.ok ? null : attempt.error,
      milliseconds: clock.now() - begun,
      resumed,
    }
  }

  /** A webhook that answered 410 is called again, from where it stopped. */
  async resume(nameOrId: string): Promise<void> {
    const { store, clock, notices } = this.#parts
    const { id } = await this.get(nameOrId)
    await store.apply({
      writes: [{ kind: 'update', table: 'application', key: id, set: { webhookState: 'active' } }],
      events: [audit(clock.now(), 'application.resumed', id, {})],
    })
    notices.tell({ kind: 'application', id })
  }

  /** Messages that the webhook did not take, oldest first. */
  async deadLetters(nameOrId: string, limit = 1000): Promise<readonly DeadLetterRow[]> {
    const { id } = await this.get(nameOrId)
    return await this.#parts.store.find('deadLetter', 'application', id, { limit })
  }

  /** Offers the dead letters again, oldest first, until one is refused. */
  async redeliver(nameOrId: string): Promise<Redelivery> {
    const { store } = this.#parts
    const row = await this.get(nameOrId)
    const { webhook } = this.#webhookOf(row)
    let delivered = 0
    let error: string | null = null
    try {
      for (
        let page = await this.#deadPage(row.id);
        page.length > 0 && error === null;
        page = await this.#deadPage(row.id)
      )
        for (const letter of page) {
          const attempt = await webhook.post(webhookId(letter.seq), letter.body)
          if (!attempt.ok) {
            error = attempt.error
            break
          }
          await store.apply({ writes: [{ kind: 'delete', table: 'deadLetter', key: letter.id }] })
          delivered += 1
        }
    } finally {
      webhook.close()
    }
    return { delivered, left: await this.#countDead(row.id), error }
  }

  /** By pages: each may carry a whole message. */
  async #countDead(id: string): Promise<number> {
    let count = 0
    let after: string | undefined
    do {
      const options = { limit: deadLettersPageMax, ...(after === undefined ? {} : { after }) }
      const page = await this.#parts.store.find('deadLetter', 'application', id, options)
      count += page.length
      after = page.length < deadLettersPageMax ? undefined : page.at(-1)?.id
    } while (after !== undefined)
    return count
  }

  #deadPage(id: string): Promise<readonly DeadLetterRow[]> {
    const options = { limit: deadLettersPageMax }
    return this.#parts.store.find('deadLetter', 'application', id, options)
  }

  #webhookOf(row: ApplicationRow): { readonly webhook: Webhook; readonly url: string } {
    const { clock, timers, targets, sealer } = this.#parts
    if (row.webhook === null)
      throw new CallerError(
        'ERR_APPLICATION_NO_WEBHOOK',
        `${row.name} has no webhook`,
        {},
        {
          where: 'webhook',
          hint: 'It reads the events door: GET /api/v1/events with its token.',
        },
      )
    const parts = { clock, timers, targets, limits: this.#limits }
    return { webhook: new Webhook(parts, row.webhook, openSecret(sealer, row)), url: row.webhook }
  }

  async #requireRoom(): Promise<void> {
    const { applicationsMax } = this.#limits
    const rows = await this.#parts.store.scan('application', { limit: applicationsMax })
    if (rows.length < applicationsMax) return
    throw new CallerError(
      'ERR_APPLICATION_LIMIT',
      `there are ${applicationsMax} applications`,
      {},
      {
        where: 'name',
        hint: 'Remove one, or let one application distribute to others.',
      },
    )
  }

  async #applyNamed(name: string, apply: () => Promise<unknown>): Promise<void> {
    try {
      await apply()
    } catch (cause) {
      if (!isCountersignError(cause) || cause.code !== 'ERR_CONFLICT') throw cause
      throw new CallerError(
        'ERR_APPLICATION_EXISTS',
        `there is an application ${name} already`,
        {},
        {
          where: 'name',
          hint: 'Choose another name, or remove that one first.',
          cause,
        },
      )
    }
  }
}

/** The key that signs an application's webhooks; the bytes live in this function only. */
export function openSecret(sealer: Sealer, row: ApplicationRow): KeyObject {
  const secret = sealer.open(secretName(row.id), row.secret)
  const key = webhookKey(secret)
  secret.fill(0)
  return key
}

function secretName(id: string): string {
  return `application/${id}/webhook`
}

function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function audit(
  time: Milliseconds,
  type: string,
  subject: string,
  data: Readonly<Record<string, unknown>>,
): EventDraft {
  return { time, type, subject, actor: 'operator', data: JSON.stringify(data) }
}

function badName(name: string): CallerError<ApplicationErrorCode> {
  return new CallerError(
    'ERR_APPLICATION_NAME',
    `"${name.slice(0, 80)}" is no name for an application`,
    {},
    {
      where: 'name',
      hint: 'A name has 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first.',
    },
  )
}
