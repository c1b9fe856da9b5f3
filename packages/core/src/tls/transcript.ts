/** The hash over the handshake so far (RFC 8446 §4.4.1). */
import type { ChannelCrypto, Hasher } from '../ports.ts'
import type { Suite } from './registry.ts'

export class Transcript {
  readonly #hasher: Hasher

  constructor(crypto: ChannelCrypto, { hash }: Suite) {
    this.#hasher = crypto.hasher(hash)
  }

  /** Messages with their headers. */
  add(...messages: readonly Uint8Array[]): this {
    for (const message of messages) this.#hasher.update(message)
    return this
  }

  digest(): Uint8Array {
    return this.#hasher.digest()
  }
}
