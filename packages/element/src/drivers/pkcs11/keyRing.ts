/**
 * The keys of a token by label, with what is remembered of them while it is there. A handle that the
 * token does not know any more is looked up again once; a token that is away is told from a key that
 * is away.
 */
import { elementError } from '@countersign/core/ports'
import { agreedSecret } from './agreement.ts'
import type { Handle } from './cryptoki.ts'
import { curves, destroyKey, findKey, makeKey, type TokenCurve, type TokenKey } from './keys.ts'
import { isObjectGone, translated } from './returnValues.ts'
import type { Connection, Token } from './token.ts'

export class KeyRing {
  readonly token: Token
  readonly #known: WeakMap<Connection, Map<string, TokenKey>> = new WeakMap()
  /** One writer at a time: two under one label would leave two keys. */
  #writing: Promise<unknown> = Promise.resolve()

  constructor(token: Token) {
    this.token = token
  }

  /** Undefined when the token is there and holds no such key. */
  async find(label: string): Promise<TokenKey | undefined> {
    const key = await this.#trying(label, (connection, session) =>
      this.#keyOf(connection, session, label),
    )
    if (key === undefined) this.token.requireThere()
    return key
  }

  async make(label: string, curve: TokenCurve): Promise<TokenKey> {
    return await this.#write(label, () => makeKey(this.token, label, curve))
  }

  /** The pair, and all others of its label. */
  async destroy(label: string): Promise<void> {
    await this.#write(label, () => destroyKey(this.token, label))
  }

  async #write<T>(label: string, work: () => Promise<T>): Promise<T> {
    const written = this.#writing.then(work)
    this.#writing = written.catch(() => undefined)
    try {
      return await written
    } catch (error) {
      throw translated(error, this.token.where)
    } finally {
      await this.token.use((connection) => this.#forget(connection, label)).catch(() => undefined)
    }
  }

  /** X || Y of a key that must be there. */
  async point(label: string, curve: TokenCurve): Promise<Uint8Array> {
    return await this.#trying(
      label,
      (connection, session) => this.#required(connection, session, label, curve).point,
    )
  }

  /**
   * r || s over a digest, whose length the caller has looked at. With `point`, by that key alone:
   * somebody may have put another under its label.
   */
  async sign(
    label: string,
    curve: TokenCurve,
    digest: Uint8Array,
    point?: Uint8Array,
  ): Promise<Uint8Array> {
    return await this.#trying(label, async (connection, session) => {
      const key = this.#required(connection, session, label, curve)
      if (point !== undefined && Buffer.compare(point, key.point) !== 0) throw this.#replaced(label)
      if (!key.canSign) throw this.#forbidden(label, 'sign')
      const length = 2 * curves[curve].size
      const signature = await connection.sign(session, key.privateKey, digest, length)
      if (signature.length === length) return signature
      throw this.#strange(`a signature of ${signature.length} bytes where ${length} were expected`)
    })
  }

  /** The x-coordinate, for P-256. `peer` is a point of the curve: the caller has looked. */
  async derive(label: string, peer: Uint8Array): Promise<Uint8Array> {
    return await this.#trying(label, async (connection, session) => {
      const key = this.#required(connection, session, label, 'P-256')
      if (!key.canDerive) throw this.#forbidden(label, 'derive')
      return await agreedSecret(
        connection.cryptoki,
        session,
        key.privateKey,
        peer,
        this.token.where,
      )
    })
  }

  /** Twice at most: what signs or derives changes nothing in the token. */
  async #trying<T>(
    label: string,
    work: (connection: Connection, session: Handle) => Promise<T> | T,
  ): Promise<T> {
    try {
      return await this.token.use(work)
    } catch (error) {
      if (!isObjectGone(error)) throw error
      this.token.requireThere()
    }
    try {
      return await this.token.use((connection, session) => {
        this.#forget(connection, label)
        return work(connection, session)
      })
    } catch (error) {
      throw translated(error, this.token.where)
    }
  }

  #keyOf(connection: Connection, session: Handle, label: string): TokenKey | undefined {
    const known = this.#known.get(connection)?.get(label)
    if (known !== undefined) return known
    const found = findKey(connection.cryptoki, session, label, this.token.where)
    if (found === undefined) {
      connection.requireLogin(session)
      return undefined
    }
    const keys = this.#known.get(connection) ?? new Map<string, TokenKey>()
    this.#known.set(connection, keys.set(label, found))
    return found
  }

  #required(connection: Connection, session: Handle, label: string, curve: TokenCurve): TokenKey {
    const key = this.#keyOf(connection, session, label)
    if (key?.curve === curve) return key
    if (key !== undefined) throw this.#otherCurve(label, key.curve, curve)
    this.token.requireThere()
    throw elementError(
      'ERR_ELEMENT_SLOT_EMPTY',
      `the token holds no key "${label}"`,
      {},
      { where: this.token.where, hint: 'Make one first, or name the key that is in it: object=…' },
    )
  }

  #replaced(label: string): Error {
    return elementError(
      'ERR_ELEMENT_SWAPPED',
      `another key has taken the place of "${label}" in the token`,
      {},
      { where: this.token.where, hint: 'Bring the first one back, from a backup of the token.' },
    )
  }

  #otherCurve(label: string, is: TokenCurve, wanted: TokenCurve): Error {
    return elementError(
      'ERR_ELEMENT_CONFIG',
      `the key "${label}" is of ${is} where one of ${wanted} is needed`,
      {},
      { where: this.token.where, hint: 'Name another key: object=…' },
    )
  }

  #forget(connection: Connection, label: string): void {
    this.#known.get(connection)?.delete(label)
  }

  #forbidden(label: string, use: string): Error {
    return elementError(
      'ERR_ELEMENT_POLICY',
      `the key "${label}" may not ${use}`,
      {},
      { where: this.token.where, hint: 'Its attributes in the token say so; make the key anew.' },
    )
  }

  #strange(answer: string): Error {
    return elementError(
      'ERR_ELEMENT_PARSE',
      `the token answered ${answer}`,
      {},
      {
        where: this.token.where,
      },
    )
  }
}
