/** What of the configuration zone concerns the wires. */
import { longWatchdogMs, watchdogMs } from './times.ts'

export interface Wiring {
  /** I2C_Enable: without it the part is one for the single wire. */
  readonly framing: 'i2c' | 'swi'
  /** 7 bits. */
  readonly address: number
  readonly watchdogMs: number
}

const i2cEnable = 14
const i2cAddress = 16
const chipMode = 19
const userExtraAdd = 85

export function wiringOf(config: Uint8Array): Wiring {
  const mode = config[chipMode] ?? 0
  const extra = config[userExtraAdd] ?? 0
  const address = (mode & 0x01) !== 0 && extra !== 0 ? extra : (config[i2cAddress] ?? 0)
  return {
    framing: ((config[i2cEnable] ?? 0) & 0x01) === 0 ? 'swi' : 'i2c',
    // The zone holds the eight-bit form, in which the lowest bit is read or write.
    address: address >> 1,
    watchdogMs: (mode & 0x04) === 0 ? watchdogMs : longWatchdogMs,
  }
}
