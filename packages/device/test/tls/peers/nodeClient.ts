/** Node's TLS as a client that is known to work, and what went over its wire. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Server } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { conversations } from './conversation.ts'
import type { ForeignServer, Speech } from './peer.ts'

/** RFC 8446 §4.1.3: the random of a HelloRetryRequest. */
const retryRandom = createHash('sha256').update('HelloRetryRequest').digest()
/** Of ServerHello in the first record: header of record and message, then the legacy version. */
const randomOffset = 5 + 4 + 2

export class NodeClient implements AsyncDisposable {
  readonly socket: TLSSocket
  readonly sessions: Buffer[] = []
  readonly staples: Buffer[] = []
  readonly #tap: Tap
  #text = ''
  #error: Error | undefined

  private constructor(tap: Tap, options: ConnectionOptions) {
    this.#tap = tap
    this.socket = connect({
      port: tap.port,
      host: '127.0.0.1',
      servername: 'localhost',
      minVersion: 'TLSv1.3',
      ecdhCurve: 'X25519:P-256',
      ...options,
    })
    this.socket.on('session', (session) => this.sessions.push(session))
    this.socket.on('OCSPResponse', (response) => this.staples.push(response))
    this.socket.on('error', (error) => (this.#error = error))
    this.socket.setEncoding('latin1').on('data', (text: string) => (this.#text += text))
  }

  /** Resolves when its side of the handshake is over. */
  static async meet(server: ForeignServer, options: ConnectionOptions): Promise<NodeClient> {
    const client = new NodeClient(await Tap.before(server), options)
    try {
      await once(client.socket, 'secureConnect')
      return client
    } catch (error) {
      await client.close()
      throw error
    }
  }

  /** Whether the server asked for another key share. */
  isRetried(): boolean {
    return this.#tap
      .heard()
      .subarray(randomOffset, randomOffset + retryRandom.length)
      .equals(retryRandom)
  }

  /** Of what the server sent (RFC 8446 §5.1). */
  recordLengths(): readonly number[] {
    const heard = this.#tap.heard()
    const lengths: number[] = []
    for (let at = 0; at < heard.length; at += 5 + heard.readUInt16BE(at + 3))
      lengths.push(heard.readUInt16BE(at + 3))
    return lengths
  }

  /** Resolves with the whole answer. */
  async ask(speaks: Speech): Promise<string> {
    const { question, answer } = conversations[speaks]
    this.socket.write(question, 'latin1')
    return await this.hears(answer)
  }

  /** Resolves with everything that came, when this is in it; rejects when that is the end. */
  async hears(what: RegExp): Promise<string> {
    while (!what.test(this.#text)) {
      assert.ok(!this.socket.closed, `${this.#text}closed: ${this.#error?.message ?? ''}`)
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')])
    }
    return this.#text
  }

  async close(): Promise<void> {
    this.socket.destroy()
    if (!this.socket.closed) await once(this.socket, 'close')
    this.#tap.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Between a client and a server: keeps what the server says. */
class Tap {
  readonly #records: Buffer[] = []
  readonly #relay: Server

  private constructor({ host, port }: ForeignServer) {
    this.#relay = createServer((near) => {
      const far = connectTcp({ host, port }).on('data', (chunk) => this.#records.push(chunk))
      near.on('error', () => far.destroy()).pipe(far)
      far.on('error', () => near.end()).pipe(near)
    })
  }

  static async before(server: ForeignServer): Promise<Tap> {
    const tap = new Tap(server)
    await once(tap.#relay.listen(0, '127.0.0.1').unref(), 'listening')
    return tap
  }

  get port(): number {
    const address = this.#relay.address()
    return typeof address === 'object' ? (address?.port ?? 0) : 0
  }

  heard(): Buffer {
    return Buffer.concat(this.#records)
  }

  close(): void {
    this.#relay.close()
  }
}
