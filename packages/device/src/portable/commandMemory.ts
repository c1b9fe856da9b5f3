/**
 * The ids of commands that were begun, so that none is begun twice. What may come twice is what was
 * on its way to the device when a connection broke, or when the device did.
 */
export interface CommandMemory {
  has(id: string): boolean
  /** Resolves when it is kept: before that the command is not begun. */
  add(id: string): Promise<void>
}

/** Four times what may wait for one device. */
const rememberedMax = 256

/** The last of them, for as long as this object lives. */
export class RecentCommands implements CommandMemory {
  /** The oldest first. */
  readonly #ids: Set<string>

  constructor(ids: readonly string[] = []) {
    this.#ids = new Set(ids.slice(-rememberedMax))
  }

  get ids(): readonly string[] {
    return [...this.#ids]
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  async add(id: string): Promise<void> {
    this.#ids.add(id)
    if (this.#ids.size <= rememberedMax) return
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest)
      return
    }
  }
}
