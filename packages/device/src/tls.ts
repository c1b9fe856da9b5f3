/**
 * core's TLS client as a Node stream: `https` and `mqtt` run on it as on a socket. Below it is any
 * Duplex of bytes in order: a socket, a serial line, a channel of BLE.
 *
 * Back-pressure goes both ways: who does not read holds the stream below back, and a write is done
 * when the stream below has taken it. An end is close_notify (RFC 8446 §6.1); the end of the stream
 * below without one is an error, because somebody may have cut it.
 */
import { Duplex } from 'node:stream'
import { AdapterError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import {
  type ClientOptions,
  type ResumableSession,
  type Secured,
  TlsClient,
} from '@countersign/core/tls'
import type { DeviceErrorCode } from './errors.ts'

export interface TlsStreamOptions extends ClientOptions {
  /** From the first byte to the last of the handshake, the element's work included. */
  readonly handshakeMs: Milliseconds
  /** Resolves after that time, or at once when the signal fires. */
  limit(milliseconds: Milliseconds, signal: AbortSignal): Promise<void>
  /** A ticket has come; each is for one use. */
  readonly onSession?: (session: ResumableSession) => void
  /** Go on writing after the server's farewell. Default: false, as sockets do. */
  readonly allowHalfOpen?: boolean
}

/** A last word that the stream below does not take within this time is lost. */
const farewellMs = 1_000

/**
 * Resolves with the stream when the server has been judged and the handshake is over. Rejects with
 * what ended it: PeerError of the judge or of TLS, AdapterError of the element, of time, of `below`.
 * The stream takes `below` over and ends with it.
 *
 * @example
 * const stream = await connectTls(connect(8444, host), { crypto, random, clock, trust, host, credential, handshakeMs: 10_000, limit })
 */
export function connectTls(below: Duplex, options: TlsStreamOptions): Promise<TlsStream> {
  return new Promise((resolve, reject) => {
    try {
      // It would say nothing more, and nobody would hear what ended it.
      if (below.destroyed || below.readableEnded || below.writableEnded) throw closed()
      const stream = new TlsStream(below, options, () => resolve(stream))
      // Stays: an error may come in the turn in which the handshake ends, before the caller listens.
      stream.on('error', reject)
      stream.once('close', () => reject(closed()))
    } catch (error) {
      below.destroy()
      throw error
    }
  })
}

export class TlsStream extends Duplex {
  readonly #below: Duplex
  readonly #client: TlsClient
  readonly #options: TlsStreamOptions
  readonly #handshake: AbortController = new AbortController()
  #secured: Secured | undefined
  /** The reader has had enough for now. */
  #isFull = false
  /** What goes on when the stream below takes more. */
  #drained: (() => void) | undefined

  /** Begins the handshake; `ready` is called at its end. */
  constructor(below: Duplex, options: TlsStreamOptions, ready: () => void) {
    super({ allowHalfOpen: options.allowHalfOpen ?? false })
    this.#below = below
    this.#options = options
    this.#client = new TlsClient(options, {
      // A last word may come when nobody can take it any more.
      send: (bytes) => void (below.writable && below.write(bytes)),
      sendPieces: (pieces) => {
        if (!below.writable) return
        // One write of them all.
        below.cork()
        for (const piece of pieces) below.write(piece)
        below.uncork()
      },
      secured: (secured) => {
        this.#secured = secured
        this.#handshake.abort()
        ready()
        this.#flow()
      },
      data: (bytes) => {
        if (!this.push(bytes)) this.#isFull = true
      },
      resumable: (session) => options.onSession?.(session),
      ended: () => void this.push(null),
      failed: (error) => void this.destroy(asError(error)),
    })
    this.#listen()
    void this.#watchHandshake()
    this.#client.start()
  }

  /** What the handshake came to; undefined before its end. */
  get secured(): Secured | undefined {
    return this.#secured
  }

  /** RFC 8446 §7.5. Throws CallerError before the end of the handshake. */
  exporter(label: string, context: Uint8Array, length: number): Uint8Array {
    return this.#client.exporter(label, context, length)
  }

  override _read(): void {
    this.#isFull = false
    this.#flow()
  }

  override _write(chunk: Uint8Array, _: string, done: (error?: Error | null) => void): void {
    this.#send(chunk, done)
  }

  /** What was written in one go is one record where it fits: a header and its body. */
  override _writev(
    chunks: readonly { readonly chunk: Uint8Array }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#client.end()
    this.#below.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#handshake.abort()
    this.#drained?.()
    // Without a reason it was the caller: the server hears that nothing went wrong with it.
    if (error === null) this.#client.end()
    this.#client.abort()
    // Closed is what this stream is when the one below is.
    void this.#leave().then(() => done(error))
  }

  // What Node's HTTP agent asks of a socket that it keeps.

  ref(): this {
    call(this.#below, 'ref')
    return this
  }

  unref(): this {
    call(this.#below, 'unref')
    return this
  }

  setKeepAlive(enable?: boolean, initialDelayMs?: Milliseconds): this {
    call(this.#below, 'setKeepAlive', enable, initialDelayMs)
    return this
  }

  setNoDelay(noDelay?: boolean): this {
    call(this.#below, 'setNoDelay', noDelay)
    return this
  }

  /** Of the stream below, whose bytes are what there is to wait for. */
  setTimeout(milliseconds: Milliseconds, heard?: () => void): this {
    if (heard !== undefined) this.once('timeout', heard)
    call(this.#below, 'setTimeout', milliseconds)
    return this
  }

  #listen(): void {
    const below = this.#below
    below.on('data', (bytes: Uint8Array) => {
      this.#client.receive(bytes)
      this.#flow()
    })
    below.on('end', () => this.#client.endOfStream())
    below.on('error', (error) => this.destroy(error))
    // After the server's farewell there may be data that nobody has read yet: it stays readable.
    below.on('close', () => {
      this.#client.endOfStream()
      this.#drained?.()
    })
    below.on('drain', () => this.#drained?.())
    below.on('timeout', () => this.emit('timeout'))
  }

  /** The stream below flows while somebody reads, or the handshake goes on. */
  #flow(): void {
    const isStuck = this.#secured === undefined ? !this.#client.isHungry : this.#isFull
    if (isStuck) this.#below.pause()
    else if (this.#below.isPaused()) this.#below.resume()
  }

  #send(bytes: Uint8Array, done: (error?: Error | null) => void): void {
    if (!this.#below.writable) return done(closed())
    try {
      this.#client.write(bytes)
    } catch (error) {
      done(asError(error))
      return
    }
    if (!this.#below.writableNeedDrain) {
      done()
      return
    }
    this.#drained = () => {
      this.#drained = undefined
      done()
    }
  }

  async #watchHandshake(): Promise<void> {
    const { handshakeMs } = this.#options
    await this.#options.limit(handshakeMs, this.#handshake.signal)
    if (!this.#handshake.signal.aborted) this.#client.abort(handshakeTimeout(handshakeMs))
  }

  /** The last word goes out, within reason; then the stream below is closed. */
  async #leave(): Promise<void> {
    const below = this.#below
    const said = new AbortController()
    const stop = (): void => said.abort()
    // Taken, or there is nobody left to take it.
    for (const event of ['close', 'end']) below.once(event, stop)
    below.end(stop)
    const isHeard = !below.destroyed && !below.readableEnded
    if (isHeard) await this.#options.limit(farewellMs, said.signal)
    below.destroy()
  }
}

function call(below: Duplex, name: string, ...given: readonly unknown[]): void {
  const method: unknown = Reflect.get(below, name)
  // A serial line has none of these, and nothing is lost by it.
  if (typeof method === 'function') Reflect.apply(method, below, given)
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function handshakeTimeout(ms: Milliseconds): AdapterError<DeviceErrorCode> {
  return new AdapterError(
    'ERR_SERVER_TIMEOUT',
    `the handshake did not end within ${ms / 1000} seconds`,
  )
}

function closed(): AdapterError<DeviceErrorCode> {
  return new AdapterError('ERR_SERVER_UNREACHABLE', 'the connection was closed')
}
