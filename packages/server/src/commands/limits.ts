/** Every bound of the commands' room, with its reason. Those of sizes are in `commandDocument.ts`. */
import type { Milliseconds } from '@countersign/core/ports'

export interface CommandLimits {
  /**
   * Commands that wait for one device: a device that stays away must not gather work for days, nor
   * drown in it when it comes back.
   */
  readonly queuedPerDeviceMax: number
  /** A command is meant for now; what shall hold for longer is configuration. */
  readonly expiryMsMax: Milliseconds
  /** What has ended, or was delivered and never answered, can be looked up for so long. */
  readonly keptMs: Milliseconds
  /** Rows read at once by the sweep, of at most 80 KiB each. */
  readonly sweepPageMax: number
  /** Pages of one round: the sweep never holds up what devices wait for. */
  readonly sweepPagesMax: number
  /** Between two rounds of one pass over the table. */
  readonly sweepMs: Milliseconds
  /** Between two passes. An expired command is given to nobody, swept or not. */
  readonly sweepRestMs: Milliseconds
}

const day: Milliseconds = 86_400_000

export const commandLimits: CommandLimits = {
  queuedPerDeviceMax: 64,
  expiryMsMax: 30 * day,
  keptMs: 30 * day,
  sweepPageMax: 100,
  sweepPagesMax: 10,
  sweepMs: 1_000,
  sweepRestMs: 15_000,
}
