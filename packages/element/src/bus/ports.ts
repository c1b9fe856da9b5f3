/**
 * What chips hang on. A driver takes one of these and never opens a device itself: Linux buses,
 * emulators in this process and relays over a socket look the same to it. SPI and 1-Wire parts bring
 * an interface of their own beside these.
 */

/** An I2C bus. One transfer is one start, one address, its bytes, one stop. */
export interface I2cBus {
  /** For errors: where this bus is. */
  readonly where: string
  /**
   * To a 7-bit address; 0 is the general call, by which an ATECC608 is woken. False when nobody
   * acknowledged. Throws ERR_ELEMENT_BUS or ERR_ELEMENT_GONE when the bus itself fails.
   */
  write(address: number, bytes: Uint8Array): Promise<boolean>
  /** Exactly `length` bytes; undefined when nobody acknowledged. */
  read(address: number, length: number): Promise<Uint8Array | undefined>
  close(): Promise<void>
}

/** A UART, 7 data bits and no parity where it is a real one: single-wire chips hang on it. */
export interface Uart {
  readonly where: string
  setBaudRate(bitsPerSecond: number): Promise<void>
  write(bytes: Uint8Array): Promise<void>
  /** What came within the time, at most `length` bytes. */
  read(length: number, timeoutMs: number): Promise<Uint8Array>
  /** Forgets what was received and not read. */
  discard(): Promise<void>
  close(): Promise<void>
}

/** Time as a driver needs it; injected, so that tests and emulators hold it in their hand. */
export interface BusTime {
  /** Milliseconds, never going back. */
  now(): number
  wait(milliseconds: number): Promise<void>
}
