/**
 * The record in memory and in the storage. Changes are written one after another, each made of what
 * the one before left; what is in memory is what has been stored.
 */
import type { ChannelCrypto } from '@countersign/core/ports'
import { storageFailed } from './errors.ts'
import type { NarrowStorage } from './parts.ts'
import { decodeRecord, emptyRecord, encodeRecord, type NarrowRecord } from './record.ts'

export class RecordKeeper {
  readonly #crypto: ChannelCrypto
  readonly #storage: NarrowStorage
  #record: NarrowRecord
  #turn: Promise<unknown> = Promise.resolve()

  static async open(crypto: ChannelCrypto, storage: NarrowStorage): Promise<RecordKeeper> {
    const bytes = await storage.load()
    const record = bytes === undefined ? emptyRecord : decodeRecord(crypto, bytes)
    return new RecordKeeper(crypto, storage, record)
  }

  private constructor(crypto: ChannelCrypto, storage: NarrowStorage, record: NarrowRecord) {
    this.#crypto = crypto
    this.#storage = storage
    this.#record = record
  }

  /** As stored. */
  get record(): NarrowRecord {
    return this.#record
  }

  /**
   * Resolves when it is stored. `make` runs in its turn, so that a snapshot taken in it holds all
   * that was accepted before; undefined: there is nothing to change any more.
   */
  change(make: (record: NarrowRecord) => NarrowRecord | undefined): Promise<void> {
    const mine = this.#turn.then(() => this.#write(make(this.#record)))
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  /** Nothing is being written any more. */
  async settled(): Promise<void> {
    await this.#turn
  }

  async #write(next: NarrowRecord | undefined): Promise<void> {
    if (next === undefined) return
    try {
      await this.#storage.save(encodeRecord(this.#crypto, next))
    } catch (error) {
      throw storageFailed(error)
    }
    this.#record = next
  }
}
