/**
 * The https door over a real authority, registry, store and judge. The clock and the timers are the
 * test's.
 */
import { type KeyObject, X509Certificate } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Agent, request } from 'node:https'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { type Certificate, Judge } from '@countersign/core/credential'
import type { Crypto } from '@countersign/core/ports'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { Commands } from '../../src/commands/commands.ts'
import { anchorOf } from '../../src/compose/anchors.ts'
import { HttpsDoor, type HttpsDoorParts } from '../../src/frontend/httpsDoor.ts'
import { type DoorLimits, doorLimits } from '../../src/frontend/limits.ts'
import type { DeviceRow, EventRow, MessageRow } from '../../src/ports.ts'
import { downlinksIn } from '../../src/registry/lifecycle.ts'
import { enrol } from '../authority/estClient.ts'
import { type House, type HouseOptions, makeHouse, newKey, requestFor } from '../authority/house.ts'
import { KeptLog, ManualTimers } from '../support/world.ts'

/** What a TLS client shows: a chain and the key of its leaf. */
export interface Shown {
  readonly cert: string
  readonly key: string
}

export interface TestDevice extends Shown {
  readonly row: DeviceRow
  readonly leaf: Certificate
  readonly privateKey: KeyObject
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
  readonly agent?: Agent
}

export class DoorHouse {
  readonly house: House
  readonly log: KeptLog = new KeptLog()
  readonly timers: ManualTimers
  readonly judge: Judge
  /** Signatures that the judge has checked. */
  readonly counts: { readonly verified: number }
  readonly limits: DoorLimits
  readonly door: HttpsDoor
  readonly commands: Commands
  /** What clients trust: the root, as a stock client's CA file. */
  readonly ca: string
  port = 0
  #serial = 0

  private constructor(
    house: House,
    judge: Judge,
    credential: Shown,
    options: DoorOptions,
    counts: { readonly verified: number },
  ) {
    this.counts = counts
    this.house = house
    this.judge = judge
    this.timers = new ManualTimers(house.clock)
    this.limits = { ...doorLimits, ...options.limits }
    const root = house.authority.cas().find(({ role }) => role === 'root')
    this.ca = pemOf(root?.der ?? new Uint8Array())
    const { registry, notices, clock, store, authority } = house
    const common = { store, notices, clock, timers: this.timers, random: randomBytes }
    const failed = (error: unknown): void => this.log.error({}, String(error))
    this.commands = new Commands({ ...common, downlinks: downlinksIn, failed })
    const parts: HttpsDoorParts = {
      judge,
      registry,
      notices,
      clock,
      store,
      commands: this.commands,
      log: this.log,
      est: authority.est,
      attestationNonce: authority.attestationNonce,
      crl: (name) => authority.crl(name),
      timers: this.timers,
      random: randomBytes,
      limits: this.limits,
      ...options.parts,
    }
    this.door = new HttpsDoor(parts, { chainPem: credential.cert, keyPem: credential.key })
  }

  static async create(options: DoorOptions = {}): Promise<DoorHouse> {
    const house = await makeHouse(options.house)
    const anchors = (await house.registry.listAnchors()).map(anchorOf)
    const counts = { verified: 0 }
    const crypto: Crypto = {
      ...nodeCrypto,
      verify: (...args) => {
        counts.verified += 1
        return nodeCrypto.verify(...args)
      },
    }
    const judge = new Judge({ crypto, clock: house.clock, anchors })
    const { chainPem, keyPem } = await house.authority.serverCredential()
    const open = new DoorHouse(house, judge, { cert: chainPem, key: keyPem }, options, counts)
    open.port = await open.door.open({ host: '127.0.0.1', port: 0 })
    return open
  }

  async close(): Promise<void> {
    const closing = this.door.close(1000)
    this.timers.advance(1000)
    await closing
    await this.commands.close()
    await this.house.close()
  }

  /** A device with an owner's certificate, enrolled by an invitation. */
  async device(serial: string = `SN-${++this.#serial}`): Promise<TestDevice> {
    return await enrolled(this.house, serial)
  }

  ask(path: string, who?: Shown, asked: Ask = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: this.port,
          servername: 'localhost',
          path,
          method: asked.method ?? (asked.body === undefined ? 'GET' : 'POST'),
          ca: this.ca,
          ...who,
          agent: asked.agent ?? false,
          headers: asked.headers,
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const { statusCode: status = 0, headers } = response
            resolve({ status, headers, body: Buffer.concat(chunks).toString() })
          })
        },
      )
      sent.on('error', reject)
      sent.end(asked.body)
    })
  }

  send(who: Shown | undefined, topic: string = 'a', asked: Ask = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/json', ...asked.headers }
    return this.ask(`/v1/messages/${topic}`, who, { body: '{"n":1}', ...asked, headers })
  }

  /** A TLS connection without HTTP. */
  connect(who?: Shown, options: ConnectionOptions = {}): Line {
    const { port, ca } = this
    return new Line(
      connect({ host: '127.0.0.1', port, servername: 'localhost', ca, ...who, ...options }),
    )
  }

  /** A connection whose first message has been answered: the device is in. */
  async session(who: Shown, options: ConnectionOptions = {}): Promise<Line> {
    const line = this.connect(who, options)
    line.write(post('hello', 'x'))
    await line.received('"id":')
    // The door knows that its answer has left some turns after its reader knows what it says.
    for (let n = 0; n < 5; n++) await turn()
    line.text = ''
    return line
  }

  sweep(): void {
    this.timers.advance(this.limits.sweepMs)
  }

  /**
   * Sweeps until this connection is gone: that an answer has left is known to the door a moment
   * after its reader knows.
   */
  async sweepAway(line: Line): Promise<void> {
    while (line.isOpen) {
      this.sweep()
      await turn()
    }
  }

  async messages(): Promise<readonly MessageRow[]> {
    return await messagesIn(this.house)
  }

  /** Refusals in the audit log, once what is written behind has been written. */
  async refusals(): Promise<Record<string, unknown>[]> {
    return await refusalsIn(this.house)
  }
}

/** A device with an owner's certificate, enrolled by an invitation. */
export async function enrolled(house: House, serial: string): Promise<TestDevice> {
  const { key, signer } = newKey()
  const leaf = await enrol(house, await requestFor(serial, signer))
  const row = await house.registry.find(serial)
  return { ...shown(leaf.der, key), row, leaf, privateKey: key }
}

export async function messagesIn({ store }: House): Promise<readonly MessageRow[]> {
  const rows = await store.scan('message', { limit: 1000 })
  return rows.filter(({ type }) => type === 'countersign.message')
}

/** Refusals in the audit log, once what is written behind has been written. */
export async function refusalsIn(house: House): Promise<Record<string, unknown>[]> {
  await house.registry.settled()
  const rows = await house.store.scan('event', { limit: 1000 })
  return rows.filter(({ type }) => type === 'refused').map(facts)
}

export interface DoorOptions {
  readonly house?: HouseOptions
  readonly limits?: Partial<DoorLimits>
  readonly parts?: Partial<HttpsDoorParts>
}

function facts({ subject, data }: EventRow): Record<string, unknown> {
  return { subject, ...(JSON.parse(data) as Record<string, unknown>) }
}

/** One connection, and what came over it. */
export class Line {
  readonly socket: TLSSocket
  text = ''
  error: (Error & { readonly code?: string }) | undefined
  /** The handshake resumed an earlier session. */
  resumed = false
  readonly secure: Promise<boolean>
  readonly closed: Promise<void>
  #watchers: { readonly part: string; readonly seen: () => void }[] = []

  constructor(socket: TLSSocket) {
    this.socket = socket
    socket.setEncoding('latin1')
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    this.secure = new Promise((resolve) => {
      socket.once('secureConnect', () => {
        this.resumed = socket.isSessionReused()
        resolve(true)
      })
      socket.once('close', () => resolve(false))
    })
    socket.on('error', (error) => {
      this.error = error
    })
    socket.on('data', (text: string) => {
      this.text += text
      for (const { part, seen } of this.#watchers) if (this.text.includes(part)) seen()
    })
  }

  write(text: string): void {
    this.socket.write(text)
  }

  /** Resolves when this has been received. */
  received(part: string): Promise<void> {
    if (this.text.includes(part)) return Promise.resolve()
    return new Promise((seen) => this.#watchers.push({ part, seen }))
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.readyState === 'open'
  }
}

export function post(topic: string, body: string, more = ''): string {
  return `POST /v1/messages/${topic} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`
}

export function shown(leaf: Uint8Array, key: KeyObject, ...above: Uint8Array[]): Shown {
  return {
    cert: [leaf, ...above].map(pemOf).join(''),
    key: String(key.export({ format: 'pem', type: 'pkcs8' })),
  }
}

export function pemOf(der: Uint8Array): string {
  return new X509Certificate(der).toString()
}

/** Lets everything that has arrived be worked on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
