/**
 * The library of a token in this process. C_Initialize belongs to the process, not to whoever calls
 * it: there is one `Pkcs11Module` for each file. Some libraries (SoftHSM is one) notice a token that
 * went and came back only when they are initialized again, which ends every session of all their
 * tokens: that is done when none of them lives any more and no call is under way.
 *
 * tpm2-pkcs11 needs it after each change. Up to 1.9 at least, once its first object was destroyed it
 * gives two objects one handle (its issue 931), so that the next key would be signed with, or
 * destroyed, in place of another; and what it destroys stays loaded in the TPM (its issue 900).
 */
import { realpath } from 'node:fs/promises'
import type { Cryptoki, LoadCryptoki } from './cryptoki.ts'
import { loadCryptoki } from './native.ts'
import { CryptokiError, returnValue } from './returnValues.ts'

/** A connection to a token, as its library sees it. */
export interface Live {
  /** Asks the token; drops the connection when it does not answer. */
  isAlive(): boolean
  drop(): void
}

export class Pkcs11Module {
  readonly cryptoki: Cryptoki
  readonly #live: Set<Live> = new Set()
  #calls = 0
  #isInitialized = false
  #isStale = false
  #isSpoiledByWrites: boolean | undefined
  #renewing: Promise<void> | undefined
  #writing: Promise<unknown> = Promise.resolve()
  /** Told when no call is under way any more. */
  #drained: (() => void) | undefined

  constructor(cryptoki: Cryptoki) {
    this.cryptoki = cryptoki
  }

  /** A change has spoiled it: see `fresh`. */
  get isStale(): boolean {
    return this.#isStale
  }

  initialize(): void {
    if (this.#isInitialized) return
    try {
      this.cryptoki.initialize()
    } catch (error) {
      const isDone =
        error instanceof CryptokiError && error.returnValue === returnValue.alreadyInitialized
      if (!isDone) throw error
    }
    this.#isInitialized = true
    const { manufacturer, description } = this.cryptoki.library()
    this.#isSpoiledByWrites = spoiledByWrites.has(`${manufacturer}: ${description}`)
  }

  join(live: Live): void {
    this.#live.add(live)
  }

  leave(live: Live): void {
    this.#live.delete(live)
  }

  /** While a call runs in another thread the library must not be taken away below it. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#calls++
    try {
      return await work()
    } finally {
      this.#calls--
      if (this.#calls === 0) this.#drained?.()
    }
  }

  /** One change at a time in all tokens of the library. */
  async writing<T>(work: () => Promise<T>): Promise<T> {
    const written = this.#writing.then(work)
    this.#writing = written.catch(() => undefined)
    try {
      return await written
    } finally {
      this.#isStale ||= this.#isSpoiledByWrites ?? false
    }
  }

  /**
   * Before each use: a library that a change has spoiled begins anew. Its tokens open again by
   * themselves. Those who come meanwhile wait for it, so calls do end.
   */
  async fresh(): Promise<void> {
    if (!this.#isStale) return
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    await this.#renewing
  }

  async #renew(): Promise<void> {
    if (this.#calls > 0) await new Promise<void>((resolve) => (this.#drained = resolve))
    this.#drained = undefined
    for (const live of this.#live) live.drop()
    this.restart()
    this.#isStale = false
  }

  /** False when somebody still uses it. */
  restart(): boolean {
    if ([...this.#live].some((live) => live.isAlive()) || this.#calls > 0) return false
    try {
      this.cryptoki.finalize()
    } catch (error) {
      const isEnded =
        error instanceof CryptokiError && error.returnValue === returnValue.notInitialized
      if (!isEnded) throw error
    }
    this.#isInitialized = false
    this.initialize()
    return true
  }
}

/** By CK_INFO: manufacturer and description. */
const spoiledByWrites: ReadonlySet<string> = new Set(['tpm2-software.github.io: TPM2.0 Cryptoki'])

const loaded: Map<string, Promise<Pkcs11Module>> = new Map()

/** `load` is given by tests only: what it opens is theirs and not shared. */
export async function moduleOf(path: string, load?: LoadCryptoki): Promise<Pkcs11Module> {
  if (load !== undefined) return new Pkcs11Module(await load(path))
  // Two names of one file are one library in this process.
  const file = await realpath(path).catch(() => path)
  const known = loaded.get(file)
  if (known !== undefined) return await known
  const loading = loadCryptoki(path).then((cryptoki) => new Pkcs11Module(cryptoki))
  loaded.set(file, loading)
  try {
    return await loading
  } catch (error) {
    // The file may come later.
    loaded.delete(file)
    throw error
  }
}
