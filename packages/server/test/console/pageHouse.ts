/** The page on a console door, over a real store, registry and outbox; the clock is the test's. */

import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:http'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { ConsoleDoor } from '../../src/console/consoleDoor.ts'
import { PageDoor } from '../../src/console/pageDoor.ts'
import type { DeviceRow } from '../../src/ports.ts'
import { Registry } from '../../src/registry/registry.ts'
import { remedyOf } from '../../src/registry/remedies.ts'
import { ApplicationHouse } from '../application/house.ts'
import { deviceRow } from '../store/rows.ts'
import { seededRandom } from '../support/world.ts'
import { EventReader } from './eventReader.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

export class PageHouse {
  readonly house: ApplicationHouse
  readonly registry: Registry
  readonly page: PageDoor
  port = 0
  readonly #door: ConsoleDoor
  readonly #readers: EventReader[] = []

  private constructor(house: ApplicationHouse) {
    this.house = house
    const { store, notices, clock, timers, log, outbox, applications, commands } = house
    const random = seededRandom(7)
    const failed = (error: unknown): void => log.error({}, String(error))
    this.registry = new Registry({ store, notices, clock, random, crypto: nodeCrypto, failed })
    const { streams } = outbox
    const common = { store, clock, timers, log, random, streams, remedyOf }
    const facts = { version: '9.9.9', demo: false, head: () => streams.head }
    this.page = new PageDoor({ ...common, ...facts, registry: this.registry })
    this.#door = new ConsoleDoor({
      applications,
      commands,
      clock,
      streams,
      timers,
      log,
      page: this.page,
      hosts: ['console.example'],
      health: () => ({}),
    })
  }

  static async create(): Promise<PageHouse> {
    const made = new PageHouse(await ApplicationHouse.create())
    made.port = await made.#door.open({ host: '127.0.0.1', port: 0 })
    return made
  }

  async dispose(): Promise<void> {
    for (const reader of this.#readers) reader.close()
    this.page.close()
    const closing = this.#door.close(100)
    this.house.timers.advance(100)
    await closing
    await this.registry.close()
    await this.house.dispose()
  }

  ask(path: string, { method = 'GET', headers = {} }: Asked = {}): Promise<Answer> {
    const { port } = this
    const host = `localhost:${port}`
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, method, agent: false }
      const sent = request({ ...options, headers: { host, ...headers } }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
        })
      })
      sent.on('error', reject)
      sent.end()
    })
  }

  /** Opens a fresh link; what a browser would send from then on. */
  async enter(): Promise<string> {
    const answer = await this.ask(`/open?code=${this.page.link().code}`)
    return cookieOf(answer)
  }

  async document(path: string, cookie: string): Promise<Record<string, unknown>> {
    const { status, body } = await this.ask(path, { headers: { cookie } })
    if (status !== 200) throw new Error(`${path}: ${status} ${body}`)
    return JSON.parse(body) as Record<string, unknown>
  }

  stream(cookie: string, after = 0, headers: Readonly<Record<string, string>> = {}): EventReader {
    const url = `http://127.0.0.1:${this.port}/page/stream?after=${after}`
    const reader = new EventReader(url, { cookie, host: `localhost:${this.port}`, ...headers })
    this.#readers.push(reader)
    return reader
  }

  async addDevices(count: number, over: (n: number) => Partial<DeviceRow> = () => ({})) {
    const rows = Array.from({ length: count }, (_, n) => deviceRow(n + 1, over(n + 1)))
    const writes = rows.map((row) => ({ kind: 'insert', table: 'device', row }) as const)
    await this.house.store.apply({ writes })
    return rows
  }

  /** As a door refuses. */
  async refuse(over: { device?: string; message?: string; code?: string } = {}): Promise<void> {
    this.registry.refused({
      road: 'https',
      address: '192.0.2.9',
      code: 'ERR_DEVICE_SUSPENDED',
      message: 'the device is suspended',
      where: 'device: state',
      ...over,
    })
    await this.registry.settled()
  }
}

export function cookieOf({ headers }: Answer): string {
  return headers['set-cookie']?.[0]?.split(';')[0] ?? ''
}
