/** What goes out, as records (RFC 8446 §5.1), none longer than the peer takes (RFC 8449). */
import { concat } from '../codec/index.ts'
import { InvariantError } from '../errors.ts'
import { plaintextBytesMax } from './limits.ts'
import { type RecordProtection, recordHeader } from './recordProtection.ts'
import { contentType } from './registry.ts'

const tls10 = 0x0301

export class RecordWriter {
  #protection: RecordProtection | undefined
  /** Of content, without the type that encryption puts behind it. */
  #contentMax: number = plaintextBytesMax
  #hasWritten = false
  #isClosed = false

  get hasWritten(): boolean {
    return this.#hasWritten
  }

  /** Records under the present key so far (RFC 8446 §5.5). */
  get count(): number {
    return this.#protection?.count ?? 0
  }

  protect(protection: RecordProtection): void {
    this.#protection = protection
  }

  /** Our own KeyUpdate has gone out. */
  update(): void {
    this.#protection = this.#protection?.next()
  }

  limitTo(contentMax: number): void {
    this.#contentMax = contentMax
  }

  /** The key is forgotten, and nothing goes out any more: least of all without one. */
  close(): void {
    this.#protection = undefined
    this.#isClosed = true
  }

  /** As many records as it takes; none for no bytes. */
  write(type: number, content: Uint8Array): Uint8Array {
    return concat(...this.pieces(type, content))
  }

  /** The same in pieces that follow each other. */
  pieces(type: number, content: Uint8Array): readonly Uint8Array[] {
    if (content.length === 0) return []
    if (content.length <= this.#contentMax) return this.#record(type, content)
    const records: Uint8Array[] = []
    for (let at = 0; at < content.length; at += this.#contentMax) {
      records.push(...this.#record(type, content.subarray(at, at + this.#contentMax)))
    }
    return records
  }

  #record(type: number, content: Uint8Array): readonly Uint8Array[] {
    if (this.#isClosed) throw new InvariantError('ERR_TLS_CLOSED', 'a record after the last one')
    const isFirst = !this.#hasWritten
    this.#hasWritten = true
    if (this.#protection !== undefined && type !== contentType.changeCipherSpec) {
      return this.#protection.sealPieces(type, content)
    }
    // RFC 8446 §5.1: the first ClientHello may say 0x0301, for servers that are older than the rule.
    const version = isFirst && type === contentType.handshake ? tls10 : undefined
    return [recordHeader(type, content.length, version), content]
  }
}
