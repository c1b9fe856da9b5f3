/** What passes between a firmware's engine and the board around it: numbers, strings and bytes. */

/** What the board does. */
export interface Board {
  now(): number
  random(length: number): Uint8Array
  /** `ring` of the program is called when the time has come. */
  after(timer: number, milliseconds: number): void
  cancel(timer: number): void
  send(datagram: Uint8Array): void
  load(): Uint8Array | undefined
  /** Answered with `saved`. */
  save(record: Uint8Array, write: number): void
  /** The element's work, answered with `signed`. */
  sign(message: Uint8Array, work: number): void
  /** What came of a request. */
  answered(request: number, code: number): void
  failed(request: number, code: string, message: string): void
  served(payload: Uint8Array): void
  fault(words: string): void
}

/** What the board may call inside. */
export interface Firmware {
  open(leaf: Uint8Array, spki: Uint8Array, anchor: Uint8Array): void
  receive(datagram: Uint8Array): void
  ring(timer: number): void
  saved(write: number): void
  signed(work: number, signature: Uint8Array): void
  send(request: number, topic: string, number: number, payload: Uint8Array): void
  sleep(): void
  wake(): void
}

declare global {
  var board: Board
  var firmware: Firmware | undefined
}
