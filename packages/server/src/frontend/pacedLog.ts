/**
 * The log of a door at which anybody may knock: while the store fails, each datagram would write an error
 * line and fill the disk that is in trouble already. What is left out is counted in the next line.
 */
import type { Clock } from '@countersign/core/ports'
import type { Log, LogFields } from '../ports.ts'
import { TokenBuckets } from '../rates.ts'

/** As of refusals: enough to see what is going on. */
const lines = { perSecond: 10, burst: 100 }

export class PacedLog implements Log {
  readonly #log: Log
  readonly #lines: TokenBuckets
  #leftOut = 0

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#lines = new TokenBuckets(clock, 1)
  }

  debug(fields: LogFields, message: string): void {
    this.#log.debug(fields, message)
  }

  info(fields: LogFields, message: string): void {
    this.#log.info(fields, message)
  }

  warn(fields: LogFields, message: string): void {
    this.#log.warn(fields, message)
  }

  error(fields: LogFields, message: string): void {
    if (this.#lines.take('', lines) > 0) return void this.#leftOut++
    const leftOut = this.#leftOut
    this.#leftOut = 0
    this.#log.error(leftOut === 0 ? fields : { ...fields, leftOut }, message)
  }
}
