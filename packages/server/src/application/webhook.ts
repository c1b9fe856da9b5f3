/**
 * One attempt to hand a CloudEvent to a webhook: structured JSON mode (CloudEvents HTTP binding
 * §3.2), signed in the manner of Standard Webhooks (HMAC-SHA-256 over id, time and body), no
 * redirect followed, the answer's status alone read.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Clock } from '@countersign/core/ports'
import type { Timers } from '../ports.ts'
import type { ApplicationLimits } from './limits.ts'
import type { WebhookTargets } from './webhookTarget.ts'

export type Attempt =
  | { readonly ok: true; readonly status: number }
  /** `gone`: the receiver wants no more (410). */
  | { readonly ok: false; readonly gone: boolean; readonly error: string }

export interface WebhookParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly targets: WebhookTargets
  readonly limits: ApplicationLimits
}

/** What signs for one application: a handle, made once. */
export function webhookKey(secret: Uint8Array): KeyObject {
  return createSecretKey(secret)
}

/** Value of the `webhook-signature` header. */
export function webhookSignature(
  key: KeyObject,
  id: string,
  seconds: number,
  body: string,
): string {
  const mac = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
  return `v1,${mac}`
}

export class Webhook {
  readonly #parts: WebhookParts
  readonly #url: string
  readonly #key: KeyObject
  readonly #agent: HttpAgent
  readonly #current: Set<ClientRequest> = new Set()

  constructor(parts: WebhookParts, url: string, key: KeyObject) {
    this.#parts = parts
    this.#url = url
    this.#key = key
    const options = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1 }
    this.#agent = url.startsWith('https:') ? new HttpsAgent(options) : new HttpAgent(options)
  }

  /** Never rejects: what went wrong is a sentence for the operator. */
  post(id: string, body: string): Promise<Attempt> {
    return new Promise((resolve) => {
      try {
        this.#send(id, body, resolve)
      } catch (error) {
        resolve(failed(error))
      }
    })
  }

  /** Ends what is under way: its attempt fails. */
  close(): void {
    for (const request of this.#current) request.destroy(new Error('the server is closing'))
    this.#agent.destroy()
  }

  #send(id: string, body: string, resolve: (attempt: Attempt) => void): void {
    const { clock, timers, targets, limits } = this.#parts
    const url = targets.parse(this.#url) // again: the configuration may have changed since
    const seconds = Math.floor(clock.now() / 1000)
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const request = send(url, {
      method: 'POST',
      agent: this.#agent,
      lookup: targets.lookup,
      headers: {
        'Content-Type': 'application/cloudevents+json; charset=utf-8',
        'Content-Length': Buffer.byteLength(body),
        'User-Agent': 'countersign',
        'webhook-id': id,
        'webhook-timestamp': String(seconds),
        'webhook-signature': webhookSignature(this.#key, id, seconds, body),
      },
    })
    const tooLate = timers.after(limits.webhookMsMax, () =>
      request.destroy(new Error(`no answer within ${limits.webhookMsMax} ms`)),
    )
    this.#current.add(request)
    request.once('close', () => {
      tooLate.cancel()
      this.#current.delete(request)
      resolve({ ok: false, gone: false, error: 'the connection closed before an answer' })
    })
    request.once('error', (error) => resolve(failed(error)))
    request.once('response', (response) => {
      resolve(verdict(response.statusCode ?? 0, response.headers.location))
      let dropped = 0
      response.on('data', (chunk: Buffer) => {
        dropped += chunk.length
        if (dropped > limits.webhookAnswerBytesMax) request.destroy()
      })
      response.on('error', () => undefined) // its status is known already
    })
    request.end(body)
  }
}

function verdict(status: number, location: string | undefined): Attempt {
  if (status >= 200 && status < 300) return { ok: true, status }
  if (status >= 300 && status < 400)
    return {
      ok: false,
      gone: false,
      error: `HTTP ${status}: a redirect${location === undefined ? '' : ` to ${printable(location)}`} is never followed`,
    }
  return { ok: false, gone: status === 410, error: `HTTP ${status}` }
}

function failed(error: unknown): Attempt {
  if (!(error instanceof Error)) return { ok: false, gone: false, error: String(error) }
  // An AggregateError of several addresses has an empty message and a code.
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return { ok: false, gone: false, error: printable(error.message === '' ? code : error.message) }
}

const errorLengthMax = 300

/** A receiver's words end in a listing on a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, errorLengthMax)
}
