/**
 * The library of a token in this process. C_Initialize belongs to the process, not to whoever calls
 * it: there is one `Pkcs11Module` for each file. Some libraries (SoftHSM is one) notice a token that
 * went and came back only when they are initialized again, which ends every session of all their
 * tokens: that is done when none of them lives any more and no call is under way.
 */
import { realpath } from 'node:fs/promises'
import type { Cryptoki, LoadCryptoki } from './cryptoki.ts'
import { loadCryptoki } from './native.ts'
import { CryptokiError, returnValue } from './returnValues.ts'

/** A connection to a token, as its library sees it. */
export interface Live {
  /** Asks the token; drops the connection when it does not answer. */
  isAlive(): boolean
}

export class Pkcs11Module {
  readonly cryptoki: Cryptoki
  readonly #live: Set<Live> = new Set()
  #calls = 0
  #isInitialized = false

  constructor(cryptoki: Cryptoki) {
    this.cryptoki = cryptoki
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
    }
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
