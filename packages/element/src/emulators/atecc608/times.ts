/** The times of the wires, in milliseconds. How long a command takes is the chip's. */

/** tWHI: from the wake pulse to the first answer. */
export const wakeDelayMs = 1.5

/** From the wake to the sleep that nothing stops. */
export const watchdogMs = 1_300

/** The same with bit 2 of ChipMode. */
export const longWatchdogMs = 13_000

/**
 * A line that is low for so long wakes the part. Unconfirmed on silicon (U1): no public text says
 * it.
 */
export const wakePulseMs = 0.06

/**
 * On the single wire, a byte or a command whose next bit comes later than this puts the part to
 * sleep. Both are unconfirmed on silicon (U7).
 */
export const swiTimeoutMs = 85
