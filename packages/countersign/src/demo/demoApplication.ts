/**
 * The demo's application: a real HTTP server behind a webhook, a reader of the events door, and one
 * over MQTT. It knows nothing of devices but what these three doors say, checks each webhook's
 * signature by itself, and everything it saw is the ground of the report.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { isRecord, parseRecord } from '@countersign/element/shapes'
import type { MqttClient } from 'mqtt'
import { type ApplicationKey, makeKey, readOverMqtt } from './mqttReader.ts'
import type { ReceivedReading } from './report.ts'

/** How a command ended, as the webhook told it. */
export interface CommandEnd {
  readonly id: string
  readonly state: string
  /** JSON of what the device answered. */
  readonly result: string
}

export interface DemoApplication {
  /** Where the webhook listens. */
  readonly url: string
  /** Asks for the certificate that `connect` shows. */
  readonly csr: string
  /** Readings as the webhook was told them, in order, repetitions included. */
  readonly byWebhook: readonly ReceivedReading[]
  readonly byEvents: readonly ReceivedReading[]
  readonly byMqtt: readonly ReceivedReading[]
  /** Webhook calls whose signature was not right. */
  readonly unsigned: number
  /** Starts to check signatures and to read the other two doors; resolves when it does. */
  connect(credentials: Credentials): Promise<void>
  /** Called at each reading of the webhook; undefined: nobody listens. */
  onReading: ((reading: ReceivedReading) => void) | undefined
  /** Resolves when all doors have told every one of these ids, or after `milliseconds`. */
  until(ids: ReadonlySet<string>, milliseconds: number): Promise<void>
  /** Resolves when the webhook was told how this command ended. */
  ended(command: string, milliseconds: number): Promise<CommandEnd>
  close(): Promise<void>
}

/** What the house gave to this application, and where its doors are. */
export interface Credentials {
  readonly token: string
  readonly secret: string
  readonly certificate: string
  readonly root: string
  readonly console: URL
  readonly mqtts: URL
}

export async function startApplication(): Promise<DemoApplication> {
  const application = new Application(await makeKey('desk'))
  await application.listen()
  return application
}

class Application implements DemoApplication {
  readonly byWebhook: ReceivedReading[] = []
  readonly byEvents: ReceivedReading[] = []
  readonly byMqtt: ReceivedReading[] = []
  readonly #ends: Map<string, CommandEnd> = new Map()
  unsigned = 0
  onReading: ((reading: ReceivedReading) => void) | undefined
  readonly #server: Server = createServer((request, response) => {
    this.#called(request).then(
      (status) => response.writeHead(status).end(),
      () => response.destroy(),
    )
  })
  readonly #stop: AbortController = new AbortController()
  readonly #key: ApplicationKey
  #secret: Buffer | undefined
  #mqtt: MqttClient | undefined
  #news: (() => void)[] = []

  constructor(key: ApplicationKey) {
    this.#key = key
  }

  get url(): string {
    const address = this.#server.address()
    const port = address === null || typeof address === 'string' ? 0 : address.port
    return `http://127.0.0.1:${port}/readings`
  }

  get csr(): string {
    return this.#key.csr
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async connect(credentials: Credentials): Promise<void> {
    const { token, secret, certificate, root, console, mqtts } = credentials
    // Standard Webhooks: `whsec_` and the key in base64.
    this.#secret = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
    void this.#readEvents(new URL('/api/v1/events', console), token)
    this.#mqtt = await readOverMqtt({
      url: mqtts,
      key: this.#key.key,
      certificate,
      root,
      take: (reading) => this.#take(this.byMqtt, reading),
    })
  }

  async until(ids: ReadonlySet<string>, milliseconds: number): Promise<void> {
    const late = AbortSignal.timeout(milliseconds)
    const lack = (): boolean =>
      [this.byWebhook, this.byEvents, this.byMqtt].some((door) => {
        const seen = new Set(door.map((reading) => reading.id))
        return [...ids].some((id) => !seen.has(id))
      })
    late.addEventListener('abort', () => this.#tellNews(), { once: true })
    while (!late.aborted && lack()) await this.#nextNews()
  }

  async ended(command: string, milliseconds: number): Promise<CommandEnd> {
    const late = AbortSignal.timeout(milliseconds)
    late.addEventListener('abort', () => this.#tellNews(), { once: true })
    while (!late.aborted) {
      const end = this.#ends.get(command)
      if (end !== undefined) return end
      await this.#nextNews()
    }
    throw new Error(`no end of command ${command} within ${milliseconds} ms`)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#mqtt?.end(true)
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

  #take(door: ReceivedReading[], reading: ReceivedReading | undefined): void {
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
    const text = body.toString('utf8')
    this.#take(this.byWebhook, readingOf(text))
    const end = endOf(text)
    if (end === undefined) return 204
    this.#ends.set(end.id, end)
    this.#tellNews()
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
        if (line.startsWith('data:')) this.#take(this.byEvents, readingOf(line.slice(5)))
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

function endOf(text: string): CommandEnd | undefined {
  const event = parseRecord(text)
  const { type, data } = event ?? {}
  const end = /^countersign\.command\.(?:answered|refused|expired)$/.test(String(type))
  if (!end || !isRecord(data) || typeof data['id'] !== 'string') return undefined
  return { id: data['id'], state: String(data['state']), result: JSON.stringify(data['result']) }
}
