/**
 * What a TLS client promises to whoever uses it, watched while it runs: what comes after what, how
 * often, whose fault it says it was, and what its peer is told.
 */
import { PeerError } from '@countersign/core/errors'
import { alertFor, type Outlet, type ResumableSession } from '@countersign/core/tls'
import { alertNumbers } from '../packages/core/src/tls/alerts.ts'
import { contentType } from '../packages/core/src/tls/registry.ts'

export class Witness implements Outlet {
  readonly #onSecured: () => void
  readonly #alerts: number[] = []
  #secured = 0
  #ended = 0
  #events = 0
  #error: unknown
  #hasFailed = false

  constructor(onSecured: () => void) {
    this.#onSecured = onSecured
  }

  get isSecured(): boolean {
    return this.#secured > 0
  }

  get isOver(): boolean {
    return this.#hasFailed || this.#ended > 0
  }

  /** Everything heard so far, as a number that grows. */
  get events(): number {
    return this.#events
  }

  send(bytes: Uint8Array): void {
    this.#events++
    for (let at = 0; at < bytes.length; ) {
      const length = ((bytes[at + 3] ?? 0) << 8) + (bytes[at + 4] ?? 0)
      const record = bytes.subarray(at, at + 5 + length)
      if (record.length !== 5 + length) throw new Error('it sends half a record')
      this.#note(record)
      at += record.length
    }
  }

  secured(): void {
    this.#hear('secured')
    this.#secured++
    if (this.#secured > 1) throw new Error('secured twice')
    this.#onSecured()
  }

  data(bytes: Uint8Array): void {
    this.#hear('data')
    this.#requireOpen('data')
    if (bytes.length === 0) throw new Error('data of no bytes')
  }

  resumable(session: ResumableSession): void {
    this.#hear('a ticket')
    this.#requireOpen('a ticket')
    if (session.lifetimeMs > 7 * 86_400_000) throw new Error('a ticket for more than a week')
  }

  ended(): void {
    this.#hear('the end')
    this.#requireOpen('the end')
    this.#ended++
  }

  failed(error: unknown): void {
    this.#hear('a failure')
    this.#hasFailed = true
    this.#error = error
  }

  /** After the end of the stream. Throws what the client failed with. */
  requirePromises(): void {
    if (!this.isOver) throw new Error('neither an end nor a failure: whoever waits, waits forever')
    if (!this.#hasFailed) {
      if (this.#alerts.some((number) => number !== alertNumbers.close_notify)) {
        throw new Error('an alert without a failure')
      }
      return
    }
    const error = this.#error
    if (!(error instanceof PeerError)) throw error
    const alert = alertFor(error)
    if (alert === 'handshake_failure' && error.code !== 'ERR_TLS_NO_SCHEME') {
      throw new Error(`no alert is meant for ${error.code}: ${error.stack}`)
    }
    const expected = alert === undefined ? [] : [alertNumbers[alert]]
    if (this.#alerts.join() !== expected.join()) {
      throw new Error(`${error.code} was told as alerts ${this.#alerts.join()}`)
    }
    throw error
  }

  /** Behind a failure nothing comes, behind the peer's end nothing of the peer. */
  #hear(what: string): void {
    this.#events++
    if (this.#hasFailed) throw new Error(`${what} after a failure`)
    if (this.#ended > 0) throw new Error(`${what} after the end`)
  }

  #requireOpen(what: string): void {
    if (!this.isSecured) throw new Error(`${what} before the handshake was over`)
  }

  /** Of glass: type, zeros and 16 bytes of tag stand behind the content. */
  #note(record: Uint8Array): void {
    if (record[0] === contentType.alert) this.#alerts.push(record[6] ?? -1)
    const inner = record.subarray(5, -16)
    if (record[0] === contentType.applicationData && inner.at(-1) === contentType.alert) {
      this.#alerts.push(inner[1] ?? -1)
    }
  }
}
