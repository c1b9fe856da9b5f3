/**
 * The demo's application: a real HTTP server behind a webhook, and a reader of the events door. It
 * knows nothing of devices but what these two doors say, checks each webhook's signature by itself,
 * and everything it saw is the ground of the report.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { isRecord, parseRecord } from '@countersign/element/shapes'
import type { ReceivedReading } from './report.ts'

export interface DemoApplication {
  /** Where the webhook listens. */
  readonly url: string
  /** Readings as the webhook was told them, in order, repetitions included. */
  readonly byWebhook: readonly ReceivedReading[]
  readonly byEvents: readonly ReceivedReading[]
  /** Webhook calls whose signature was not right. */
  readonly unsigned: number
  /** Starts to check signatures and to read the events door. */
  connect(credentials: {
    readonly token: string
    readonly secret: string
    readonly console: URL
  }): void
  /** Called at each reading of the webhook; undefined: nobody listens. */
  onReading: ((reading: ReceivedReading) => void) | undefined
  /** Resolves when both doors have told every one of these ids, or after `milliseconds`. */
  until(ids: ReadonlySet<string>, milliseconds: number): Promise<void>
  close(): Promise<void>
}

export async function startApplication(): Promise<DemoApplication> {
  const application = new Application()
  await application.listen()
  return application
}

class Application implements DemoApplication {
  readonly byWebhook: ReceivedReading[] = []
  readonly byEvents: ReceivedReading[] = []
  unsigned = 0
  onReading: ((reading: ReceivedReading) => void) | undefined
  readonly #server: Server = createServer((request, response) => {
    this.#called(request).then(
      (status) => response.writeHead(status).end(),
      () => response.destroy(),
    )
  })
  readonly #stop: AbortController = new AbortController()
  #secret: Buffer | undefined
  #news: (() => void)[] = []

  get url(): string {
    const address = this.#server.address()
    const port = address === null || typeof address === 'string' ? 0 : address.port
    return `http://127.0.0.1:${port}/readings`
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  connect({ token, secret, console }: Parameters<DemoApplication['connect']>[0]): void {
    // Standard Webhooks: `whsec_` and the key in base64.
    this.#secret = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
    void this.#readEvents(new URL('/api/v1/events', console), token)
  }

  async until(ids: ReadonlySet<string>, milliseconds: number): Promise<void> {
    const late = AbortSignal.timeout(milliseconds)
    const lack = (): boolean =>
      [this.byWebhook, this.byEvents].some((door) => {
        const seen = new Set(door.map((reading) => reading.id))
        return [...ids].some((id) => !seen.has(id))
      })
    late.addEventListener('abort', () => this.#tellNews(), { once: true })
    while (!late.aborted && lack()) await this.#nextNews()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #nextNews(): Promise<void> {
    return new Promise((resolve) => {
      this.#news.push(resolve)
    })
  }

  #tellNews(): void {
    for (const tell of this.#news.splice(0)) tell()
  }

  #take(door: ReceivedReading[], text: string): void {
    const reading = readingOf(text)
    if (reading === undefined) return
    door.push(reading)
    if (door === this.byWebhook) this.onReading?.(reading)
    this.#tellNews()
  }

  async #called(request: IncomingMessage): Promise<number> {
    const body = await buffer(request)
    if (!this.#isSigned(request, body)) {
      this.unsigned++
      return 401
    }
    this.#take(this.byWebhook, body.toString('utf8'))
    return 204
  }

  /** Standard Webhooks: HMAC-SHA-256 over id, timestamp and body. */
  #isSigned(request: IncomingMessage, body: Buffer): boolean {
    const header = (name: string): string => String(request.headers[name] ?? '')
    if (this.#secret === undefined) return false
    const signed = `${header('webhook-id')}.${header('webhook-timestamp')}.`
    const mac = createHmac('sha256', this.#secret).update(signed).update(body).digest()
    return header('webhook-signature')
      .split(' ')
      .filter((each) => each.startsWith('v1,'))
      .map((each) => Buffer.from(each.slice(3), 'base64'))
      .some((each) => each.length === mac.length && timingSafeEqual(each, mac))
  }

  /** Server-sent events (HTML Living Standard §9.2.6): only `data:` lines matter here. */
  async #readEvents(url: URL, token: string): Promise<void> {
    const { signal } = this.#stop
    try {
      const request = get(url, { headers: { authorization: `Bearer ${token}` }, signal })
      const [response] = await once(request, 'response', { signal })
      for await (const line of createInterface({ input: response, signal })) {
        if (line.startsWith('data:')) this.#take(this.byEvents, line.slice(5).trimStart())
      }
    } catch {
      // A door that breaks is seen by what is missing from `byEvents`.
    }
  }
}

/**
 * Only the messages of devices are readings; the application hears of enrolments and refusals too.
 */
function readingOf(text: string): ReceivedReading | undefined {
  const event = parseRecord(text)
  if (event?.['type'] !== 'countersign.message') return undefined
  const { id, source, data, road, assurance } = event
  if (typeof id !== 'string' || typeof source !== 'string' || typeof road !== 'string') {
    return undefined
  }
  return {
    id,
    source,
    data: isRecord(data) ? JSON.stringify(data) : String(data),
    road,
    assurance: Number(assurance),
  }
}
