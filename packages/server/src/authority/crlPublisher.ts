/**
 * The current CRL of every issuing CA. The registry says what is revoked; here it is kept encoded
 * and sorted, a revocation is inserted when its notice comes, and signing happens behind: at most
 * once a second, and daily when nothing changes. Also an empty CRL is issued, so that a stock
 * client can ask for one (`openssl verify -crl_check`).
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCertificateList } from '@countersign/core/credential'
import { isCountersignError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import { writeDurably } from '@countersign/element/durable'
import type { CertificateRow, Log, Notice, Notices, Store, Timers } from '../ports.ts'
import { signCrl } from './crl.ts'
import type { HouseCa } from './hierarchy.ts'
import { RevokedList } from './revokedList.ts'

/** Revocations of this long go into one signature. */
export const coalesceMs = 1000
/** A CRL is renewed daily, and believed for a week: a publisher may be down over a long weekend. */
export const refreshMs: number = 24 * 3_600_000
export const validityMs: number = 7 * 24 * 3_600_000
/**
 * After a failure (a full disk, say): often enough that freshness lasts, seldom enough for the log.
 */
const retryMs = 60_000
/** Rows read at a time when the list is built, with a turn of the event loop between. */
const pageRows = 500

export interface PublisherParts {
  readonly store: Store
  readonly notices: Notices
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  /** Where the last CRL of each CA is kept: a restart does not wait for a signature. */
  readonly directory: string
}

interface Published {
  readonly der: Uint8Array
  readonly number: number
  readonly thisUpdate: Milliseconds
}

interface Shelf {
  readonly ca: HouseCa
  readonly revoked: RevokedList
  published: Published | undefined
  /** Something was revoked since. */
  stale: boolean
  running: Promise<Published> | undefined
  timer: { cancel(): void } | undefined
}

export class CrlPublisher {
  readonly #parts: PublisherParts
  readonly #shelves = new Map<string, Shelf>()
  readonly #unlisten: () => void
  /** Notices are worked off one behind the other. */
  #heard: Promise<void> = Promise.resolve()
  /**
   * Building the lists: begun by the first who asks, so that a short command pays for it only when
   * it needs it.
   */
  #loading: Promise<void> | undefined
  /** Publishes by itself; otherwise only when asked. */
  #started = false

  private constructor(parts: PublisherParts) {
    this.#parts = parts
    this.#unlisten = parts.notices.listen((notice) => this.#hear(notice))
  }

  static async open(parts: PublisherParts, cas: readonly HouseCa[]): Promise<CrlPublisher> {
    await mkdir(parts.directory, { recursive: true, mode: 0o700 })
    const publisher = new CrlPublisher(parts)
    for (const ca of cas) await publisher.add(ca)
    return publisher
  }

  /** From now on CRLs are renewed daily and soon after a revocation, asked for or not. */
  async start(): Promise<void> {
    this.#started = true
    await this.#ready()
    for (const shelf of this.#shelves.values()) this.#scheduleNext(shelf)
  }

  async add(ca: HouseCa): Promise<void> {
    const published = await this.#readLast(ca)
    const revoked = new RevokedList()
    const shelf = { ca, revoked, published, stale: false, running: undefined, timer: undefined }
    this.#shelves.set(ca.row.name, shelf)
    if (this.#started) this.#scheduleNext(shelf)
  }

  /**
   * The CRL as of now, DER; undefined when there is no such CA. What was revoked before the call is
   * in it.
   */
  async crl(name: string): Promise<Uint8Array | undefined> {
    const shelf = this.#shelves.get(name)
    if (shelf === undefined) return undefined
    await this.#ready()
    // One that is being signed may be what is asked for. Should it fail, whoever began it says so,
    // and the next line tries again.
    await shelf.running?.catch(() => undefined)
    const { published, stale } = shelf
    const now = this.#parts.clock.now()
    const isFresh =
      published !== undefined &&
      published.thisUpdate <= now &&
      now < published.thisUpdate + refreshMs
    return isFresh && !stale ? published.der : (await this.#publish(shelf)).der
  }

  /** Waits for what is being signed. */
  async close(): Promise<void> {
    this.#started = false
    this.#unlisten()
    const running = [...this.#shelves.values()].flatMap((shelf) => shelf.running ?? [])
    for (const shelf of this.#shelves.values()) shelf.timer?.cancel()
    await Promise.allSettled([this.#heard, this.#loading ?? Promise.resolve(), ...running])
  }

  async #ready(): Promise<void> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined
      throw error
    })
    await this.#loading
    await this.#heard
  }

  #hear(notice: Notice): void {
    // A device that is revoked is told certificate by certificate.
    if (notice.kind !== 'certificate') return
    // Nothing was read yet: the reading will find it.
    if (this.#loading === undefined) return
    this.#heard = this.#heard
      .then(() => this.#take(notice.serial))
      .catch((error: unknown) => this.#failed('a revocation could not be read', error))
  }

  async #take(serial: string): Promise<void> {
    const row = await this.#parts.store.get('certificate', serial)
    if (row !== undefined) this.#list(row)
  }

  #list(row: CertificateRow): void {
    const shelf = this.#shelves.get(row.ca)
    if (shelf === undefined || row.status !== 'revoked' || row.der === null) return
    const { serial, reason, notAfter } = row
    const revokedAt = row.revokedAt ?? this.#parts.clock.now()
    if (!shelf.revoked.add({ serial, reason, notAfter, revokedAt })) return
    // A notice more of the same device must not put the signing off.
    if (!shelf.stale && shelf.running === undefined) this.#schedule(shelf, coalesceMs)
    shelf.stale = true
  }

  /** Everything revoked, in order of serial numbers: the order that the list is kept in. */
  async #load(): Promise<void> {
    await this.#listAll()
    for (const shelf of this.#shelves.values()) {
      // The file is what was published last: a list as long as it holds nothing new.
      const listed = shelf.published?.der
      shelf.stale =
        listed === undefined || parseCertificateList(listed).entryCount !== shelf.revoked.size
    }
  }

  async #listAll(): Promise<void> {
    let after: string | undefined
    for (;;) {
      const rows = await this.#parts.store.find('certificate', 'status', 'revoked', {
        limit: pageRows,
        ...(after === undefined ? {} : { after }),
      })
      for (const row of rows) if (!this.#hasLeft(row)) this.#list(row)
      after = rows.at(-1)?.serial
      if (rows.length < pageRows) return
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /**
   * RFC 5280 §3.3: an expired certificate stays on one CRL issued after it expired, then leaves.
   */
  #hasLeft(row: CertificateRow): boolean {
    const published = this.#shelves.get(row.ca)?.published
    return published !== undefined && row.notAfter < published.thisUpdate
  }

  /**
   * What lies in the folder, when it is whole, of this CA, the newest number, and not of a clock
   * that was ahead.
   */
  async #readLast(ca: HouseCa): Promise<Published | undefined> {
    try {
      const der = await readFile(this.#fileOf(ca))
      const list = parseCertificateList(der)
      const row = await this.#parts.store.get('ca', ca.row.name)
      const number = Number(list.crlNumber ?? 0n)
      const sameIssuer = Buffer.from(list.issuer.der).equals(ca.certificate.subject.der)
      const { thisUpdate } = list
      const isAhead = thisUpdate > this.#parts.clock.now()
      if (!sameIssuer || isAhead || number !== row?.crlNumber) return undefined
      return { der, number, thisUpdate }
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!isMissing && !isCountersignError(error)) throw error
      return undefined
    }
  }

  /** One at a time for each CA. */
  #publish(shelf: Shelf): Promise<Published> {
    shelf.running ??= this.#sign(shelf).then(
      (published) => {
        shelf.running = undefined
        this.#scheduleNext(shelf)
        return published
      },
      (error: unknown) => {
        shelf.running = undefined
        this.#schedule(shelf, retryMs)
        throw error
      },
    )
    return shelf.running
  }

  async #sign(shelf: Shelf): Promise<Published> {
    const { ca, revoked } = shelf
    const { clock } = this.#parts
    // What was told before the signing began belongs on this list.
    await this.#heard
    if (shelf.published !== undefined && shelf.published.thisUpdate > clock.now()) {
      // Signed by a clock that was ahead: what seemed to have expired belongs on the list again.
      shelf.published = undefined
      await this.#listAll()
    }
    if (shelf.published !== undefined) revoked.dropExpired(shelf.published.thisUpdate)
    const number = await this.#nextNumber(ca.row.name)
    const thisUpdate = Math.floor(clock.now() / 1000) * 1000
    shelf.stale = false
    try {
      const der = await signCrl(
        {
          issuer: ca.certificate.subject.der,
          keyId: ca.keyId,
          number,
          thisUpdate,
          nextUpdate: thisUpdate + validityMs,
          revoked,
        },
        ca.signer,
      )
      await writeDurably(this.#fileOf(ca), der)
      shelf.published = { der, number, thisUpdate }
      return shelf.published
    } catch (error) {
      shelf.stale = true
      throw error
    }
  }

  /** Durable before it is used: a number never stands on two lists (RFC 5280 §5.2.3). */
  async #nextNumber(name: string): Promise<number> {
    await this.#parts.store.apply({
      writes: [{ kind: 'add', table: 'ca', key: name, column: 'crlNumber', by: 1 }],
    })
    return (await this.#parts.store.get('ca', name))?.crlNumber ?? 0
  }

  #schedule(shelf: Shelf, milliseconds: number): void {
    shelf.timer?.cancel()
    if (!this.#started) return
    shelf.timer = this.#parts.timers.after(milliseconds, () => {
      this.#publish(shelf).catch((error: unknown) =>
        this.#failed(`the CRL of ${shelf.ca.row.name} could not be signed`, error),
      )
    })
  }

  /**
   * Soon, when something was revoked meanwhile or nothing is published; else when the day is over.
   */
  #scheduleNext(shelf: Shelf): void {
    const { published, stale } = shelf
    const now = this.#parts.clock.now()
    const due = published === undefined || stale ? now : published.thisUpdate + refreshMs
    this.#schedule(shelf, Math.max(coalesceMs, due - now))
  }

  #fileOf(ca: HouseCa): string {
    return join(this.#parts.directory, `${ca.row.name}.crl`)
  }

  #failed(what: string, error: unknown): void {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `${what}: ${String(error)}`)
  }
}
