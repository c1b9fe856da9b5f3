/**
 * How often a device may renew, or enrol again by its maker's certificate. Each new key costs a
 * signature and a row for ever, so a device in a loop must not fill the registry. The same
 * certificate and the same key again are a retry and free. Kept in memory: a restart forgives.
 */
import { createHash } from 'node:crypto'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import { refuse } from './estWire.ts'

const windowMs = 24 * 3_600_000
/**
 * Inside the renewal window of its product; before it, a new key is for a reason, and there are
 * few.
 */
export const renewalsPerDayMax = 12
export const earlyRenewalsPerDayMax = 6
/** Devices remembered; beyond that those whose renewals are oldest are forgotten. */
const devicesMax = 100_000

interface Renewal {
  readonly at: Milliseconds
  readonly key: string
}

export class EnrolmentRate {
  readonly #clock: Clock
  /** In the order of their last renewal. */
  readonly #devices = new Map<string, readonly Renewal[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one renewal of this certificate by this key, or refuses it. */
  take(device: string, certificate: string, spki: Uint8Array, isDue: boolean): void {
    const now = this.#clock.now()
    const key = createHash('sha256').update(certificate).update(spki).digest('base64')
    const recent = (this.#devices.get(device) ?? []).filter((one) => one.at > now - windowMs)
    if (recent.some((one) => one.key === key)) return
    if (recent.length >= (isDue ? renewalsPerDayMax : earlyRenewalsPerDayMax)) {
      throw refuse(
        'ERR_EST_RATE',
        `this device has renewed ${recent.length} times within a day`,
        'Wait for the renewal window, and find out why the device renews so often.',
      )
    }
    this.#devices.delete(device)
    this.#devices.set(device, [...recent, { at: now, key }])
    if (this.#devices.size <= devicesMax) return
    const [oldest] = this.#devices.keys()
    if (oldest !== undefined) this.#devices.delete(oldest)
  }
}
