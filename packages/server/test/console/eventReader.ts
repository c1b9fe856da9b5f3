/**
 * A reader of server-sent events, as plain as a stock client: what came, and a way to wait for
 * more.
 */
import { type ClientRequest, get, type IncomingMessage } from 'node:http'

export interface SeenEvent {
  readonly id: number
  readonly event: Readonly<Record<string, unknown>>
}

export class EventReader {
  readonly events: SeenEvent[] = []
  readonly comments: string[] = []
  status = 0
  body = ''
  headers: IncomingMessage['headers'] = {}
  /** Resolves when the server ended the stream. */
  readonly ended: Promise<void>
  readonly opened: Promise<void>
  readonly #request: ClientRequest
  #watchers: { readonly holds: () => boolean; readonly seen: () => void }[] = []
  #rest = ''

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.#request = get(url, { headers, agent: false })
    this.#request.on('error', () => undefined)
    this.ended = new Promise((resolve) => this.#request.once('close', () => resolve()))
    this.opened = new Promise((resolve) => {
      this.#request.once('response', (response: IncomingMessage) => {
        this.status = response.statusCode ?? 0
        this.headers = response.headers
        resolve()
        response.setEncoding('utf8')
        response.on('error', () => undefined)
        response.on('data', (text: string) => this.#take(text))
      })
    })
  }

  /** Resolves when so many events were seen in all. */
  seen(count: number): Promise<void> {
    return this.until(() => this.events.length >= count)
  }

  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((seen) => this.#watchers.push({ holds, seen }))
  }

  ids(): unknown[] {
    return this.events.map(({ event }) => event['id'])
  }

  close(): void {
    this.#request.destroy()
  }

  #take(text: string): void {
    this.body += text
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split('\n')
      const id = lines.find((line) => line.startsWith('id: '))?.slice(4)
      const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6))
      if (block.startsWith(':')) this.comments.push(block)
      if (id === undefined) continue
      this.events.push({ id: Number(id), event: JSON.parse(data.join('\n')) as SeenEvent['event'] })
    }
    for (const { holds, seen } of this.#watchers) if (holds()) seen()
  }
}
