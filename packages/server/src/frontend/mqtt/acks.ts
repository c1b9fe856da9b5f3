/**
 * Acknowledgements leave in the order in which their messages came (MQTT 5 §4.6), also when what
 * they wait for is done in another order.
 */

interface Slot {
  packet: Buffer | undefined
}

export class Acks {
  readonly #send: (packet: Buffer) => void
  #slots: Slot[] = []

  constructor(send: (packet: Buffer) => void) {
    this.#send = send
  }

  /** Known at once; it waits only for those before it. */
  now(packet: Buffer): void {
    if (this.#slots.length === 0) this.#send(packet)
    else this.#slots.push({ packet })
  }

  /** Keeps a place; the answer fills it. */
  later(): (packet: Buffer) => void {
    const slot: Slot = { packet: undefined }
    this.#slots.push(slot)
    return (packet) => {
      slot.packet = packet
      this.#drain()
    }
  }

  #drain(): void {
    let done = 0
    for (const { packet } of this.#slots) {
      if (packet === undefined) break
      this.#send(packet)
      done += 1
    }
    if (done > 0) this.#slots = this.#slots.slice(done)
  }
}
