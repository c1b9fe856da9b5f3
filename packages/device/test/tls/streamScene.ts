/** Our TLS stream and OpenSSL's server at the two ends of one pair of streams in memory. */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Duplex, duplexPair } from 'node:stream'
import { createSecureContext, TLSSocket } from 'node:tls'
import { trustPinned } from '@countersign/core/tls'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { connectTls, type TlsStream, type TlsStreamOptions } from '../../src/tls.ts'
import { type Credential, makePki } from './peers/pki.ts'

const clock = { now: () => Date.now() }

export interface Scene {
  readonly stream: TlsStream
  readonly server: TLSSocket
  /** Our end of the pair, below the stream. */
  readonly below: Duplex
}

/** What happens to the server's bytes on their way: the pieces in which they arrive. */
export type Cable = (bytes: Buffer) => readonly Buffer[]

/** The client's end of a pair behind a cable. */
class CableEnd extends Duplex {
  readonly #inner: Duplex

  constructor(inner: Duplex, cable: Cable) {
    super()
    this.#inner = inner
    inner.on('data', (bytes: Buffer) => {
      for (const piece of cable(bytes)) this.push(piece)
    })
    inner.on('end', () => this.push(null))
  }

  override _read(): void {
    this.#inner.resume()
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#inner.write(chunk, done)
  }

  override _final(done: () => void): void {
    this.#inner.end(done)
  }
}

export interface Stage {
  meet(options?: Partial<TlsStreamOptions>, cable?: Cable): Promise<Scene>
  /** The two ends before anything has come of the handshake. */
  approach(
    options?: Partial<TlsStreamOptions>,
    cable?: Cable,
  ): {
    readonly stream: Promise<TlsStream>
    readonly server: TLSSocket
    readonly below: Duplex
  }
  /** A client above this stream. */
  connect(below: Duplex, options?: Partial<TlsStreamOptions>): Promise<TlsStream>
  readonly signer: ReturnType<typeof softwareSigner>
  readonly chain: readonly Uint8Array[]
}

export const handshakeMs = 10_000

/** A limit that no test waits for. */
export const noLimit = (_: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

export function makeStage(after: (end: () => void) => void): Stage {
  const pki = makePki()
  after(() => pki.remove())
  const { chain, signer } = clientOf(pki.client.p256)
  const anchor = anchorOf(pki.serverCa)
  const context = createSecureContext({
    key: readFileSync(pki.server.p256.key),
    cert: readFileSync(pki.server.p256.chain),
    ca: [readFileSync(pki.clientAnchors)],
    minVersion: 'TLSv1.3',
    sessionIdContext: 'stage',
  })
  const connect: Stage['connect'] = (below, options) =>
    connectTls(below, {
      crypto: nodeCrypto,
      random: randomBytes,
      clock,
      trust: trustPinned({
        crypto: options?.crypto ?? nodeCrypto,
        clock,
        host: 'localhost',
        anchor,
      }),
      host: 'localhost',
      credential: { chain, signer },
      policy: { groups: ['x25519'] },
      handshakeMs,
      limit: noLimit,
      ...options,
    })
  const approach: Stage['approach'] = (options = {}, cable) => {
    const [bare, above] = duplexPair()
    const below = cable === undefined ? bare : new CableEnd(bare, cable)
    const server = new TLSSocket(above, {
      isServer: true,
      secureContext: context,
      requestCert: true,
      rejectUnauthorized: true,
    })
    server.on('error', () => undefined)
    return { stream: connect(below, options), server, below }
  }
  return {
    approach,
    connect,
    async meet(options, cable) {
      const { stream, server, below } = approach(options, cable)
      return { stream: await stream, server, below }
    },
    signer,
    chain,
  }
}

function clientOf({ leaf, key }: Credential): Pick<Stage, 'chain' | 'signer'> {
  const chain = [new Uint8Array(new X509Certificate(readFileSync(leaf)).raw)]
  return { chain, signer: softwareSigner(createPrivateKey(readFileSync(key))) }
}

function anchorOf(file: string): string {
  const { publicKey } = new X509Certificate(readFileSync(file))
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}
