/**
 * Tells the operator of peers that were turned away at one door: the audit log by the registry, and
 * the log. The peer learned the minimum.
 */
import type { Clock } from '@countersign/core/ports'
import type { Gatekeeper, Log, LogFields, Road } from '../ports.ts'
import { TokenBuckets } from '../rates.ts'
import type { RefusalReason } from './session.ts'

export interface RefusalsParts {
  readonly registry: Pick<Gatekeeper, 'refused'>
  readonly log: Log
  readonly clock: Clock
}

/** What is known of who was turned away. */
export interface TurnedAway {
  readonly address: string
  readonly fingerprint?: string | undefined
  /** Named, and no key shown: anybody can have. */
  readonly isNamedOnly?: boolean
  /** Of a device that has shown who it is. */
  readonly device?: string | undefined
}

/**
 * Log lines about peers, of all addresses together: a flood must not fill the disk. The audit log
 * counts what is dropped.
 */
const lines = { perSecond: 10, burst: 100 }

export class Refusals {
  readonly #parts: RefusalsParts
  readonly #road: Road
  readonly #lines: TokenBuckets

  constructor(parts: RefusalsParts, road: Road) {
    this.#parts = parts
    this.#road = road
    this.#lines = new TokenBuckets(parts.clock, 1)
  }

  tell(
    { address, fingerprint, isNamedOnly = false, device }: TurnedAway,
    reason: RefusalReason,
  ): void {
    this.#parts.registry.refused({
      road: this.#road,
      address,
      ...reason,
      ...(fingerprint === undefined ? {} : { fingerprint, isNamedOnly }),
      ...(device === undefined ? {} : { device }),
    })
    if (this.#lines.take('', lines) > 0) return
    const { code, message, where, hint } = reason
    const shown = isNamedOnly ? { named: fingerprint } : { fingerprint }
    this.#parts.log.warn(
      { code, where, hint, ...shown, road: this.#road, address },
      `refused: ${message}`,
    )
  }

  /** Something of a peer that is in. */
  note(fields: LogFields, message: string): void {
    if (this.#lines.take('', lines) > 0) return
    this.#parts.log.info(fields, message)
  }
}
