/**
 * Sees that no protected message leads to a deed twice. A deed itself may be known by a name of its
 * own (the number of a reading, the id of a command), so that doing it twice leaves no trace; a
 * replay window that forgets is seen here all the same. It stands in a crypto provider, so that it
 * knows what was opened, and is told of each deed where it is done; between the two it follows the
 * promises.
 *
 * @example
 * const deeds = new DeedWitness()
 * const crypto = deeds.watch(nodeCrypto)
 * const serve = (request) => { deeds.done('command'); … }
 * assert.deepEqual(deeds.twice, [])
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { hex } from '@countersign/core/codec'
import type { ChannelCrypto } from '@countersign/core/ports'
import { keyName, watched } from './watchedCrypto.ts'

/** One message, named by its key (`keyName`) and its nonce, and what it has caused. */
export interface Caused {
  readonly message: string
  readonly deeds: readonly string[]
}

export class DeedWitness {
  readonly #opened: AsyncLocalStorage<string> = new AsyncLocalStorage()
  readonly #deeds: Map<string, string[]> = new Map()

  /** A provider that does the same, watched. */
  watch<Watched extends ChannelCrypto>(crypto: Watched): Watched {
    const open: ChannelCrypto['open'] = (aead, key, nonce, aad, ciphertext) => {
      const plaintext = crypto.open(aead, key, nonce, aad, ciphertext)
      // From here on whatever runs, runs because of this message.
      this.#opened.enterWith(`${keyName(crypto, key)} ${hex(nonce)}`)
      return plaintext
    }
    return watched(crypto, { open })
  }

  /** The deed that the message leads to which was opened last on this way through the program. */
  done(deed: string): void {
    const message = this.#opened.getStore() ?? 'no message'
    const deeds = this.#deeds.get(message)
    if (deeds === undefined) this.#deeds.set(message, [deed])
    else deeds.push(deed)
  }

  /** Messages with more than one deed. */
  get twice(): readonly Caused[] {
    return [...this.#deeds]
      .filter(([, { length }]) => length > 1)
      .map(([message, deeds]) => ({ message, deeds }))
  }

  /** Of all messages: a witness that saw nothing proves nothing. */
  get count(): number {
    return [...this.#deeds.values()].reduce((sum, { length }) => sum + length, 0)
  }
}
