/** The status byte of a reply of four bytes, and the one way in which a command refuses. */

export const status = {
  ok: 0x00,
  /** A MAC, a response or a signature that was given does not fit. */
  mismatch: 0x01,
  parse: 0x03,
  ecc: 0x05,
  selfTest: 0x07,
  rngHealth: 0x08,
  /** Policy, state or lock. */
  execution: 0x0f,
  woke: 0x11,
  /** Less time before the watchdog than the command may need: it was not carried out. */
  watchdog: 0xee,
  /** Count or CRC of the packet. */
  communication: 0xff,
} as const

export type Status = (typeof status)[keyof typeof status]

/** Thrown by commands; `Chip.execute` answers its status. */
export class Refusal extends Error {
  readonly status: Status

  constructor(code: Status) {
    super(`status ${code}`)
    this.status = code
  }
}

/** What the command says makes no sense: a mode, a length, an address that does not exist. */
export function requireParse(condition: boolean): asserts condition {
  if (!condition) throw new Refusal(status.parse)
}

/** What it says makes sense and is not allowed, or not now. */
export function requireExecution(condition: boolean): asserts condition {
  if (!condition) throw new Refusal(status.execution)
}
