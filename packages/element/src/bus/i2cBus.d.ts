/** As much of `i2c-bus` as bus/linuxI2c.ts uses; it brings no types of its own. */
declare module 'i2c-bus' {
  interface PromisifiedBus {
    i2cRead(
      address: number,
      length: number,
      buffer: Uint8Array,
    ): Promise<{ bytesRead: number; buffer: Uint8Array }>
    i2cWrite(
      address: number,
      length: number,
      buffer: Uint8Array,
    ): Promise<{ bytesWritten: number; buffer: Uint8Array }>
    close(): Promise<void>
  }

  function openPromisified(busNumber: number): Promise<PromisifiedBus>
}
