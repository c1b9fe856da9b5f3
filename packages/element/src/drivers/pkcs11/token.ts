/**
 * One token, found by its URL, logged in, and found again when it was away. Whoever works with it
 * passes through `use`: that opens it when it is not open, gives a session, and judges what the
 * library throws. A token that went is ERR_ELEMENT_GONE once; the next call looks for it anew.
 */
import { setTimeout } from 'node:timers/promises'
import { elementError, isElementError } from '@countersign/core/ports'
import { tokenFlag } from './constants.ts'
import type { Cryptoki, Handle, LoadCryptoki, TokenInfo } from './cryptoki.ts'
import { type Live, moduleOf, type Pkcs11Module } from './module.ts'
import { Pace } from './pace.ts'
import { type AskPin, type PinSource, pinError, pinFor, rememberRefused } from './pin.ts'
import {
  CryptokiError,
  gone,
  isConnectionLost,
  isObjectGone,
  lockedHint,
  returnValue,
  translated,
} from './returnValues.ts'
import { quietly, Sessions } from './sessions.ts'
import { nameOfToken, type Pkcs11Url } from './url.ts'

const pauseFactor = 9
const pauseMsMax = 5000

export interface TokenOptions {
  /** When neither the URL nor COUNTERSIGN_PIN_FILE names a file. */
  readonly askPin?: AskPin | undefined
  /** Of tests alone: stands between us and the library. */
  readonly load?: LoadCryptoki | undefined
}

interface Found {
  readonly slot: Handle
  readonly info: TokenInfo
}

/** While the token is there and logged in. What is remembered of its objects dies with it. */
export class Connection implements Live {
  readonly cryptoki: Cryptoki
  readonly slot: Handle
  readonly info: TokenInfo
  readonly mechanisms: ReadonlySet<number>
  readonly sessions: Sessions
  readonly pace: Pace = new Pace()
  readonly #dropped: (connection: Connection) => void
  #timing: Promise<unknown> = Promise.resolve()

  constructor(
    cryptoki: Cryptoki,
    found: Found,
    session: Handle,
    dropped: (connection: Connection) => void,
  ) {
    this.cryptoki = cryptoki
    this.slot = found.slot
    this.info = found.info
    this.mechanisms = new Set(cryptoki.mechanisms(found.slot))
    this.sessions = new Sessions(cryptoki, found.slot, session)
    this.#dropped = dropped
  }

  /** r || s of a digest. Until the pace of the token is known, one at a time. */
  async sign(
    session: Handle,
    key: Handle,
    digest: Uint8Array,
    length: number,
  ): Promise<Uint8Array> {
    const { pace, cryptoki, sessions } = this
    // The beginning of it, C_SignInit, is in this thread.
    const pooled = (): Promise<Uint8Array> =>
      sessions.timed(() => cryptoki.sign(session, key, digest, length))
    if (pace.state === 'pooled') return await pooled()
    if (pace.state === 'direct') {
      const start = performance.now()
      const signature = cryptoki.signNow(session, key, digest, length)
      pace.took(performance.now() - start)
      return signature
    }
    const timed = this.#timing.then(async () => {
      const start = performance.now()
      const signature = await pooled()
      pace.took(performance.now() - start)
      return signature
    })
    this.#timing = timed.catch(() => undefined)
    return await timed
  }

  /**
   * Without its login a token hides private objects instead of refusing to look for them: before one
   * is said to be absent.
   */
  requireLogin(session: Handle): void {
    if ((this.info.flags & tokenFlag.loginRequired) === 0) return
    if (this.cryptoki.isLoggedIn(session)) return
    throw new CryptokiError('C_FindObjects', returnValue.userNotLoggedIn)
  }

  isAlive(): boolean {
    try {
      if (this.cryptoki.tokenInfo(this.slot).serial === this.info.serial) return true
    } catch {
      // It does not answer: see below.
    }
    this.drop()
    return false
  }

  drop(): void {
    this.#dropped(this)
  }
}

export class Token {
  readonly url: Pkcs11Url
  /** For errors. */
  readonly where: string
  readonly #module: Pkcs11Module
  readonly #pin: PinSource
  #connection: Connection | undefined
  #connecting: Promise<Connection> | undefined
  /** Of the first connection: another token under the same label is not this one. */
  #serial: string | undefined
  /**
   * Some libraries stay broken after one failed word to the device (the TPM's, when its broker was
   * restarted), and still show the token: before the next login they begin anew. Not instead of it:
   * a login that failed may have cost a try.
   */
  #isDoubtful = false
  #isClosed = false
  /** No look for the token before this time. */
  #notBefore = 0

  private constructor(url: Pkcs11Url, module: Pkcs11Module, pin: PinSource) {
    this.url = url
    this.where = `pkcs11:token=${nameOfToken(url)}`
    this.#module = module
    this.#pin = pin
  }

  static async open(url: Pkcs11Url, options: TokenOptions = {}): Promise<Token> {
    const module = await moduleOf(url.modulePath, options.load)
    const token = new Token(url, module, { file: url.pinFile, ask: options.askPin })
    await token.#connected()
    return token
  }

  /**
   * `work` has a session of its own until it is done. An object's handle that is no longer known is
   * thrown as it is (CryptokiError), for the caller to look the object up again.
   */
  async use<T>(work: (connection: Connection, session: Handle) => Promise<T> | T): Promise<T> {
    if (this.#module.isStale) await this.#fresh()
    const connection = this.#connection ?? (await this.#connected())
    return await this.#module.during(async () => {
      const session = await this.#judging(connection, () => connection.sessions.take())
      try {
        return await this.#judging(connection, () => work(connection, session))
      } finally {
        connection.sessions.give(session)
      }
    })
  }

  /** As `use`, with a session that may write, beside the one that gives it its turn. */
  async write<T>(work: (connection: Connection, session: Handle) => Promise<T>): Promise<T> {
    const write = async (connection: Connection): Promise<T> => {
      const session = connection.cryptoki.openSession(connection.slot, true)
      try {
        return await work(connection, session)
      } finally {
        quietly(() => connection.cryptoki.closeSession(session))
      }
    }
    return await this.#module.writing(() => this.use(write))
  }

  /** A key that was there is not: is it the key alone, or the token? Throws when it is the token. */
  requireThere(): void {
    const connection = this.#connection
    if (connection === undefined || connection.isAlive()) return
    throw gone('the token is not there any more', this.where)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#connecting?.catch(() => undefined)
    if (this.#connection !== undefined) this.#drop(this.#connection)
  }

  async #judging<T>(connection: Connection, work: () => Promise<T> | T): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isObjectGone(error)) throw error
      if (isConnectionLost(error)) {
        this.#drop(connection)
        this.#isDoubtful = true
      }
      throw translated(error, this.where)
    }
  }

  #drop(connection: Connection): void {
    this.#module.leave(connection)
    if (this.#connection === connection) this.#connection = undefined
    connection.sessions.close(gone('the token is not there any more', this.where))
  }

  /** One at a time, however many ask. */
  #connected(): Promise<Connection> {
    if (this.#isClosed) return Promise.reject(gone('this element was closed', this.where))
    this.#connecting ??= this.#pausing().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  /**
   * Looking for a token that is away keeps the turn, with some libraries for long. So the next look
   * waits until the last one is a tenth of the time that has passed since it began.
   */
  async #pausing(): Promise<Connection> {
    const pause = this.#notBefore - performance.now()
    if (pause > 0) await setTimeout(pause)
    if (this.#isClosed) throw gone('this element was closed', this.where)
    const start = performance.now()
    try {
      return await this.#connect()
    } catch (error) {
      const now = performance.now()
      this.#notBefore = now + Math.min(pauseMsMax, pauseFactor * (now - start))
      throw error
    }
  }

  async #connect(): Promise<Connection> {
    await this.#fresh()
    try {
      if (this.#isDoubtful && this.#module.restart()) this.#isDoubtful = false
      this.#module.initialize()
      const found = this.#found()
      return await this.#module.during(() => this.#loggedIn(found))
    } catch (error) {
      if (isConnectionLost(error)) this.#isDoubtful = true
      throw translated(error, this.where)
    }
  }

  async #loggedIn(found: Found): Promise<Connection> {
    const { cryptoki } = this.#module
    const session = cryptoki.openSession(found.slot, false)
    try {
      await this.#login(session, found.info)
      const connection = new Connection(cryptoki, found, session, (one) => this.#drop(one))
      this.#serial = found.info.serial
      this.#module.join(connection)
      this.#connection = connection
      return connection
    } catch (error) {
      quietly(() => cryptoki.closeSession(session))
      throw error
    }
  }

  async #fresh(): Promise<void> {
    try {
      await this.#module.fresh()
    } catch (error) {
      throw translated(error, this.where)
    }
  }

  #found(): Found {
    const found = this.#lookFor() ?? (this.#module.restart() ? this.#lookFor() : undefined)
    if (found === undefined) throw this.#notFound()
    if (this.#serial === undefined || this.#serial === found.info.serial) return found
    throw elementError(
      'ERR_ELEMENT_SWAPPED',
      'another token has the label of the one that was there',
      { expected: this.#serial, found: found.info.serial },
      { where: this.where, hint: 'Put the first one back, or open the other as a new element.' },
    )
  }

  #notFound(): Error {
    const [code, what] =
      this.#serial === undefined
        ? (['ERR_ELEMENT_BUS', 'no slot of the module holds this token'] as const)
        : (['ERR_ELEMENT_GONE', 'the token is not there any more'] as const)
    return elementError(
      code,
      what,
      { module: this.url.modulePath },
      { where: this.where, hint: `pkcs11-tool --module ${this.url.modulePath} --list-token-slots` },
    )
  }

  #lookFor(): Found | undefined {
    const { cryptoki } = this.#module
    const fitting: Found[] = []
    for (const slot of cryptoki.slots()) {
      const info = infoOf(cryptoki, slot)
      if (info !== undefined && this.#fits(info)) fitting.push({ slot, info })
    }
    if (fitting.length < 2) return fitting[0]
    throw elementError(
      'ERR_ELEMENT_URL',
      'more than one token fits this URL',
      { serials: fitting.map(({ info }) => info.serial).join(' ') },
      { where: this.where, hint: 'Add serial=… of the one that is meant.' },
    )
  }

  #fits(info: TokenInfo): boolean {
    if ((info.flags & tokenFlag.tokenInitialized) === 0) return false
    const { token, serial, model, manufacturer } = this.url
    const wanted = [
      [token, info.label],
      [serial, info.serial],
      [model, info.model],
      [manufacturer, info.manufacturer],
    ] as const
    return wanted.every(([asked, is]) => asked === undefined || asked === is)
  }

  async #login(session: Handle, info: TokenInfo): Promise<void> {
    if ((info.flags & tokenFlag.loginRequired) === 0) return
    const pin = await pinFor(info, this.#pin, this.where)
    try {
      this.#module.cryptoki.login(session, pin)
    } catch (error) {
      if (!(error instanceof CryptokiError)) throw error
      // The login is the process's: another element on this token has done it.
      if (error.returnValue === returnValue.alreadyLoggedIn) return
      const told = translated(error, this.where)
      if (!isElementError(told) || told.code !== 'ERR_ELEMENT_PIN') throw error
      if (wrongPin.has(error.returnValue)) rememberRefused(info, pin)
      const hint = error.returnValue === returnValue.pinLocked ? lockedHint : undefined
      throw pinError(told.message, this.where, hint, error)
    }
  }
}

/** The PIN itself is wrong. A locked one may be right, and be unlocked. */
const wrongPin: ReadonlySet<number> = new Set([
  returnValue.pinIncorrect,
  returnValue.pinInvalid,
  returnValue.pinLengthRange,
])

/** A slot whose token does not answer is as good as empty. */
function infoOf(cryptoki: Cryptoki, slot: Handle): TokenInfo | undefined {
  try {
    return cryptoki.tokenInfo(slot)
  } catch (error) {
    if (error instanceof CryptokiError) return undefined
    throw error
  }
}
