/** A security context in memory: whose it is, what stands in its row, and what was judged of it. */
import type { EdhocContextParameters } from '@countersign/core/channel'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Authentication } from '@countersign/core/edhoc'
import type { SecurityContext, WindowState } from '@countersign/core/oscore'
import type { Milliseconds } from '@countersign/core/ports'
import type { Admitted } from '../../ports.ts'
import type { RefusalReason } from '../session.ts'

export type ContextState =
  /** It has carried no message yet, and has no row. */
  | 'fresh'
  | 'live'
  | 'tombstone'
  /** Its row is gone: replaced by a newer context, or forgotten. */
  | 'gone'

export type ContextStanding =
  | { readonly kind: 'admitted'; readonly peer: VerifiedPeer; readonly admitted: Admitted }
  | { readonly kind: 'refused'; readonly refusal: RefusalReason }
  /** We could not tell: the store failed. */
  | { readonly kind: 'unavailable' }

export interface Verdict {
  readonly standing: ContextStanding
  readonly at: Milliseconds
  /** It says nothing beyond it. */
  readonly until: Milliseconds
}

/** Forged messages that a context forgets with the memory it had: each write costs so many. */
const failedUnwrittenMax = 256

export class LiveContext {
  /** C_R, hex. */
  readonly id: string
  readonly device: string
  readonly fingerprint: string
  readonly createdAt: Milliseconds
  /** As in its row. */
  readonly begun: number
  readonly security: SecurityContext
  /** Which of its certificates the server has shown. */
  readonly serverKind: Authentication
  /** Number of the suite of EDHOC that its keys came from. */
  readonly suite: number
  /** The newest successor of it that the device has. */
  confirmed: string | null
  /** What its device has confirmed on the context before, it has still. */
  keepsWord = false
  state: ContextState
  /** Where the newest verified message came from. */
  address: string
  /** What its row is to be made of; undefined once it is there. */
  parameters: EdhocContextParameters | undefined
  verdict: Verdict | undefined
  /** A notice came after the verdict. */
  isStale = false
  /** Whoever works with it holds it in memory. */
  holders = 0
  judging: Promise<ContextStanding> | undefined
  /**
   * Commands may wait for its device: nobody has looked, or what was found could not be brought.
   */
  mayHaveCommands = true
  /** Its row is being made. */
  birth: Promise<void> | undefined
  reserving: Promise<void> | undefined

  #written: WindowState
  #failedWritten: number

  constructor(made: {
    readonly id: string
    readonly device: string
    readonly fingerprint: string
    readonly createdAt: Milliseconds
    readonly begun: number
    readonly security: SecurityContext
    readonly serverKind: Authentication
    readonly suite: number
    readonly confirmed: string | null
    readonly state: ContextState
    readonly address: string
    readonly parameters?: EdhocContextParameters
    readonly verdict?: Verdict
  }) {
    this.id = made.id
    this.device = made.device
    this.fingerprint = made.fingerprint
    this.createdAt = made.createdAt
    this.begun = made.begun
    this.security = made.security
    this.serverKind = made.serverKind
    this.suite = made.suite
    this.confirmed = made.confirmed
    this.state = made.state
    this.address = made.address
    this.parameters = made.parameters
    this.verdict = made.verdict
    this.#written = made.security.recipient.window.snapshot()
    this.#failedWritten = made.security.usage.failed
  }

  /** It has accepted what its row does not say yet, or refused so much that it counts. */
  get isDirty(): boolean {
    if (this.security.usage.failed - this.#failedWritten >= failedUnwrittenMax) return true
    const now = this.security.recipient.window.snapshot()
    const then = this.#written
    if (now === 'lost') return false
    return then === 'lost' || now.highest !== then.highest || now.accepted !== then.accepted
  }

  /** A snapshot is in the store. Writes keep their order, so the last one says the most. */
  wrote(snapshot: WindowState): void {
    this.security.recipient.window.stored(snapshot)
    this.#written = snapshot
    this.#failedWritten = this.security.usage.failed
  }

  /** A request was verified. The newest one says where the device is. */
  heard(partialIv: number, from: string): void {
    const snapshot = this.security.recipient.window.snapshot()
    if (snapshot !== 'lost' && snapshot.highest === partialIv) this.address = from
  }
}
