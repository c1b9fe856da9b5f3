/**
 * The bus of an ATECC608 as its session sees it. I2C and the single wire differ in how a chip is
 * woken, addressed and read; what they carry is the same.
 */
export interface ChipWire {
  /** For errors: where this chip is. */
  readonly where: string
  /**
   * Wakes the chip and reads the four bytes that it then has to say. Empty when nobody answered;
   * other bytes when it was awake already.
   */
  wake(): Promise<Uint8Array>
  /** False when nobody acknowledged, or the wire carried something else. */
  send(packet: Uint8Array): Promise<boolean>
  /**
   * The bytes of an answer from its begin, as they came; whether they are a packet is for the
   * caller to judge. Asking again gives the same bytes again. Undefined while the chip is busy.
   * `isDue`: it has had its time. A wire on which a busy chip and a late answer look alike then
   * waits longer.
   */
  receive(isDue: boolean): Promise<Uint8Array | undefined>
  /** The chip keeps its volatile memory, and its watchdog stops. */
  idle(): Promise<void>
  /** The chip forgets its volatile memory. */
  sleep(): Promise<void>
  close(): Promise<void>
}
