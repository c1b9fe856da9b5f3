/** An application's webhook as a test writes it: records what arrives and answers as told. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly path: string
}

export type Behaviour = (received: Received, response: ServerResponse) => void

export class Receiver {
  readonly received: Received[] = []
  behaviour: Behaviour
  #server: Server
  #watchers: { count: number; seen: () => void }[] = []

  constructor(behaviour: Behaviour = ok) {
    this.behaviour = behaviour
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        const received = { headers: request.headers, body, path: request.url ?? '' }
        this.received.push(received)
        this.behaviour(received, response)
        for (const watcher of this.#watchers)
          if (this.received.length >= watcher.count) watcher.seen()
      })
    })
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${this.port}/hook`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves when so many requests have arrived in all. */
  arrived(count: number): Promise<void> {
    if (this.received.length >= count) return Promise.resolve()
    return new Promise((seen) => this.#watchers.push({ count, seen }))
  }

  /** Event ids in the order of arrival. */
  ids(): string[] {
    return this.received.map(({ body }) => String((JSON.parse(body) as { id: unknown }).id))
  }

  close(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

export const ok: Behaviour = (_received, response) => void response.writeHead(204).end()
export const status =
  (code: number, headers: Record<string, string> = {}): Behaviour =>
  (_received, response) =>
    void response.writeHead(code, headers).end()
/** Takes the request and never answers. */
export const hang: Behaviour = () => undefined
