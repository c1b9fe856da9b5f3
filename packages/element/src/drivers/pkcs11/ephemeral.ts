/**
 * Key pairs for one handshake, as objects of a session: never in the token's memory, gone with the
 * connection at the latest. One at a time, so that those of handshakes that came to nothing do not
 * gather: the next one ends it.
 */
import { type ElementEphemeral, type ElementError, elementError } from '@countersign/core/ports'
import { requirePoint } from '../../signer.ts'
import { agreedSecret } from './agreement.ts'
import { attribute } from './constants.ts'
import type { Attribute, Handle } from './cryptoki.ts'
import { curves, isOnCurve, pointOf } from './keys.ts'
import { gone, isObjectGone, translated } from './returnValues.ts'
import { quietly } from './sessions.ts'
import type { Connection, Token } from './token.ts'

interface Held {
  /** Handles of another one may be those of other objects. */
  readonly connection: Connection
  readonly privateKey: Handle
  agreementsLeft: number
  isThere: boolean
}

export class Ephemerals {
  readonly #token: Token
  #held: Held | undefined

  constructor(token: Token) {
    this.#token = token
  }

  async make(agreements: number): Promise<ElementEphemeral> {
    const { point, held } = await this.#token.use(async (connection, session) => {
      this.#take(undefined, connection, session)
      const made = await this.#made(connection, session, agreements)
      // Again: somebody else may have made one meanwhile.
      this.#take(made.held, connection, session)
      return made
    })
    return { point, agree: (peer) => this.#agree(held, peer) }
  }

  #take(held: Held | undefined, connection: Connection, session: Handle): void {
    if (this.#held !== undefined) destroy(this.#held, connection, session)
    this.#held = held
  }

  async #made(
    connection: Connection,
    session: Handle,
    agreements: number,
  ): Promise<{ readonly point: Uint8Array; readonly held: Held }> {
    const { cryptoki } = connection
    const pair = await cryptoki.generatePair(session, publicTemplate, privateTemplate)
    const { privateKey } = pair
    const held = { connection, privateKey, agreementsLeft: agreements, isThere: true }
    try {
      const point = pointOf(cryptoki.attribute(session, pair.publicKey, attribute.ecPoint), 'P-256')
      if (point === undefined) throw this.#lied('its public half is no point of the curve')
      const told = cryptoki.attribute(session, privateKey, attribute.token)
      if (told?.[0] !== 0) throw this.#lied('it stays in the token')
      return { point, held }
    } catch (error) {
      destroy(held, connection, session)
      throw error
    } finally {
      quietly(() => cryptoki.destroy(session, pair.publicKey))
    }
  }

  async #agree(held: Held, peer: Uint8Array): Promise<Uint8Array> {
    requirePoint(peer)
    // A try counts, also one that fails.
    if (held.agreementsLeft-- <= 0) throw spent(this.#token.where)
    try {
      return await this.#token.use(async (connection, session) => {
        if (!held.isThere || held.connection !== connection) throw this.#gone()
        try {
          // Before the token sees it: what it would answer is left to its maker.
          if (!isOnCurve(peer, 'P-256')) throw wrongPoint()
          const { cryptoki } = connection
          return await agreedSecret(cryptoki, session, held.privateKey, peer, this.#token.where)
        } finally {
          if (held.agreementsLeft <= 0) destroy(held, connection, session)
        }
      })
    } catch (error) {
      throw isObjectGone(error) ? translated(error, this.#token.where) : error
    }
  }

  #gone(): ElementError {
    return gone('the ephemeral key is not in the token any more', this.#token.where)
  }

  #lied(what: string): ElementError {
    return elementError(
      'ERR_ELEMENT_CONFIG',
      `the token made another ephemeral key than was asked for: ${what}`,
      {},
      { where: this.#token.where, hint: 'Let the host make ephemeral keys.' },
    )
  }
}

const publicTemplate: readonly Attribute[] = [
  { type: attribute.token, value: false },
  { type: attribute.private, value: false },
  { type: attribute.ecParams, value: curves['P-256'].parameters },
]

const privateTemplate: readonly Attribute[] = [
  { type: attribute.token, value: false },
  { type: attribute.private, value: true },
  { type: attribute.sensitive, value: true },
  { type: attribute.extractable, value: false },
  { type: attribute.derive, value: true },
]

/**
 * In any session of its connection, since those see each other's objects. Once: by then its handle
 * may be another object's.
 */
function destroy(held: Held, connection: Connection, session: Handle): void {
  if (!held.isThere || held.connection !== connection) return
  held.isThere = false
  quietly(() => connection.cryptoki.destroy(session, held.privateKey))
}

function spent(where: string): ElementError {
  return elementError(
    'ERR_ELEMENT_ARGUMENT',
    'an ephemeral key agrees as often as it was made for',
    {},
    { where, hint: 'Ask the element for a new one.' },
  )
}

function wrongPoint(): ElementError {
  return elementError('ERR_ELEMENT_ECC', 'the peer gave no point of P-256')
}
