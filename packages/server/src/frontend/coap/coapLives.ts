/**
 * Which replay windows in the store can be believed. Each life of the process has a number, and a
 * window bears the number of the life that wrote it. A life that ended without saying so may have
 * accepted more than it wrote down: windows of it and of those before are lost, and each context
 * shows by Echo that it is alive (RFC 8613 Appendix B.1.2).
 */
import type { Store } from '../../ports.ts'

const name = 'coap.lives'
/** More than a life can have; two million lives fit before numbers are not exact any more. */
const handshakesPerLife = 2 ** 32

interface Kept {
  readonly life: number
  readonly trustedFrom: number
  readonly isOpen: boolean
}

export class CoapLives {
  /** Of this process. */
  readonly life: number
  readonly #trustedFrom: number
  readonly #store: Pick<Store, 'apply'>
  #handshakes = 0

  private constructor(store: Pick<Store, 'apply'>, { life, trustedFrom }: Kept) {
    this.#store = store
    this.life = life
    this.#trustedFrom = trustedFrom
  }

  static async begin(store: Pick<Store, 'get' | 'apply'>): Promise<CoapLives> {
    const row = await store.get('setting', name)
    const before = row === undefined ? undefined : parse(row.value)
    const life = (before?.life ?? 0) + 1
    const wasClean = before?.isOpen !== true
    const trustedFrom = wasClean ? (before?.trustedFrom ?? 1) : life
    const kept = { life, trustedFrom, isOpen: true }
    const value = JSON.stringify(kept)
    await store.apply({
      writes: [
        row === undefined
          ? { kind: 'insert', table: 'setting', row: { name, value } }
          : { kind: 'update', table: 'setting', key: name, set: { value } },
      ],
    })
    return new CoapLives(store, kept)
  }

  isTrusted(life: number): boolean {
    return life >= this.#trustedFrom
  }

  /**
   * A place for a handshake that begins: higher than that of every one before, in this life and in
   * earlier ones. A clock would have equal times, and can be set back.
   */
  placeOfHandshake(): number {
    return this.life * handshakesPerLife + this.#handshakes++
  }

  /** After every window has been written down. */
  async end(): Promise<void> {
    const kept: Kept = { life: this.life, trustedFrom: this.#trustedFrom, isOpen: false }
    const set = { value: JSON.stringify(kept) }
    await this.#store.apply({ writes: [{ kind: 'update', table: 'setting', key: name, set }] })
  }
}

/** Written by `begin` and `end` alone. */
function parse(value: string): Kept {
  const kept: Kept = JSON.parse(value)
  return kept
}
