/** Our TLS stream over a socket as the client of a foreign server, and what came of it. */
import assert from 'node:assert/strict'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { hex } from '@countersign/core/codec'
import type { EphemeralKey, GroupName } from '@countersign/core/ports'
import {
  type ClientCredential,
  type PresentedChain,
  type ResumableSession,
  type Secured,
  trustPinned,
} from '@countersign/core/tls'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { connectTls, type TlsStream, type TlsStreamOptions } from '../../../src/tls.ts'
import { noLimit } from '../streamScene.ts'
import { conversations } from './conversation.ts'
import type { ForeignServer, Speech } from './peer.ts'
import type { Credential, Pki } from './pki.ts'

const clock = { now: () => Date.now() }

export class OwnClient implements AsyncDisposable {
  readonly stream: TlsStream
  readonly sessions: readonly ResumableSession[]
  /** Signatures that the element made for it. */
  readonly signatures: () => number
  /** Shares that were made: one more than offered at first when the server asked for another. */
  readonly shares: readonly GroupName[]
  readonly shown: readonly PresentedChain[]
  #text = ''

  private constructor(
    stream: TlsStream,
    seen: Pick<OwnClient, 'sessions' | 'signatures' | 'shares' | 'shown'>,
  ) {
    this.stream = stream
    this.sessions = seen.sessions
    this.signatures = seen.signatures
    this.shares = seen.shares
    this.shown = seen.shown
    stream.setEncoding('latin1').on('data', (text: string) => (this.#text += text))
  }

  /** Resolves when its side of the handshake is over. */
  static async meet(
    pki: Pki,
    { port, host }: ForeignServer,
    options: Partial<TlsStreamOptions> = {},
    client: Credential | undefined = pki.client.p256,
    below: Duplex = connect({ port, host, allowHalfOpen: true }),
  ): Promise<OwnClient> {
    const sessions: ResumableSession[] = []
    const shares: GroupName[] = []
    const shown: PresentedChain[] = []
    let signatures = 0
    const crypto = {
      ...nodeCrypto,
      generateEphemeral(group: GroupName): EphemeralKey {
        shares.push(group)
        return nodeCrypto.generateEphemeral(group)
      },
    }
    const trust = trustPinned({ crypto, clock, host: 'localhost', anchor: pinOf(pki.serverCa) })
    const stream = await connectTls(below, {
      crypto,
      random: randomBytes,
      clock,
      host: 'localhost',
      trust: (presented) => {
        shown.push(presented)
        return trust(presented)
      },
      credential: client && credentialOf(client, () => signatures++),
      handshakeMs: 20_000,
      limit: noLimit,
      onSession: (session) => sessions.push(session),
      ...options,
    })
    return new OwnClient(stream, { sessions, shares, shown, signatures: () => signatures })
  }

  get secured(): Secured {
    assert.ok(this.stream.secured)
    return this.stream.secured
  }

  /** Resolves with the whole answer. */
  async ask(speaks: Speech): Promise<string> {
    const { question, answer } = conversations[speaks]
    this.stream.write(question, 'latin1')
    return await this.hears(answer)
  }

  /** Resolves with everything that came, when this is in it; rejects when that is the end. */
  async hears(what: RegExp): Promise<string> {
    while (!what.test(this.#text)) {
      if (this.stream.closed) throw this.stream.errored ?? new Error(`closed: ${this.#text}`)
      await Promise.race([once(this.stream, 'data'), once(this.stream, 'close')])
    }
    return this.#text
  }

  async close(): Promise<void> {
    this.stream.destroy()
    if (!this.stream.closed) await once(this.stream, 'close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function credentialOf({ leaf, key }: Credential, onSign: () => void): ClientCredential {
  const signer = softwareSigner(createPrivateKey(readFileSync(key)))
  return {
    chain: [new Uint8Array(new X509Certificate(readFileSync(leaf)).raw)],
    signer: {
      ...signer,
      sign(message) {
        onSign()
        return signer.sign(message)
      },
    },
  }
}

/** What is pinned of an issuing CA. */
function pinOf(file: string): string {
  const { publicKey } = new X509Certificate(readFileSync(file))
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return hex(createHash('sha256').update(spki).digest())
}
