/**
 * An ATECC608 on a single wire, met through a UART: a byte of the UART per bit, the lowest first,
 * flags in front of what follows, and the host hears its own echo, because both talk on one line.
 *
 * As a `Uart` in this process, and behind any stream of bytes (a pseudo terminal, for a host that
 * wants to open a serial port). A stream has no baud rate: there only the byte 00 is a wake pulse,
 * and everything else counts as sent at 230400.
 */
import type { Duplex } from 'node:stream'
import type { BusTime, Uart } from '../../bus/ports.ts'
import type { EmulatedPart } from './part.ts'
import { swiTimeoutMs, wakePulseMs } from './times.ts'
import { serveUnix, type UnixServer } from './unixServer.ts'

const bitRate = 230_400
const one = 0x7f
const zero = 0x7d
const flag = { command: 0x77, transmit: 0x88, idle: 0xbb, sleep: 0xcc } as const
/** As much as a serial port of Linux keeps for a host that does not read; what is more is lost. */
const receivedBytesMax = 4_096
const nothing = new Uint8Array()

export function emulatedSwi(
  part: EmulatedPart,
  time: BusTime,
  { onClose }: { readonly onClose?: () => void } = {},
): Uart {
  const end = new SwiEnd(part, time)
  let baudRate = bitRate
  let received: number[] = []
  return {
    where: 'emulated single wire',
    setBaudRate: async (bitsPerSecond) => {
      baudRate = bitsPerSecond
    },
    write: async (bytes) => {
      for (const byte of bytes) received.push(byte, ...end.take(byte, baudRate))
      received.length = Math.min(received.length, receivedBytesMax)
    },
    read: async (length, timeoutMs) => {
      // The part answers at once or never: but a host that waits lets time go by.
      if (received.length < length) await time.wait(timeoutMs)
      return Uint8Array.from(received.splice(0, length))
    },
    discard: async () => {
      received = []
    },
    close: async () => onClose?.(),
  }
}

/** Until the stream ends; it is not ended from here. */
export function attachSwi(part: EmulatedPart, time: Pick<BusTime, 'now'>, stream: Duplex): void {
  const end = new SwiEnd(part, time)
  stream.on('data', (chunk: Buffer) => {
    const heard: number[] = []
    for (const byte of chunk) heard.push(byte, ...end.take(byte, byte === 0 ? 115_200 : bitRate))
    // A host that does not read loses what comes, as on a serial port.
    if (stream.writableLength < receivedBytesMax) stream.write(Uint8Array.from(heard))
  })
}

export interface ServeSwiOptions {
  readonly part: EmulatedPart
  readonly time: Pick<BusTime, 'now'>
  /** Of the socket. `socat PTY,link=/tmp/ttyECC,rawer UNIX-CONNECT:PATH` makes it a serial port. */
  readonly path: string
}

/** The wire behind a UNIX socket, as raw bytes of the UART, for one host at a time. */
export async function serveSwi({ part, time, path }: ServeSwiOptions): Promise<UnixServer> {
  return await serveUnix(path, 1, async (socket) => {
    attachSwi(part, time, socket)
    await new Promise<void>((resolve) => socket.once('end', resolve).once('close', resolve))
  })
}

/** The part's end of the wire. */
class SwiEnd {
  readonly #part: EmulatedPart
  readonly #time: Pick<BusTime, 'now'>
  #wakes = 0
  #heardAtMs = 0
  #bits = 0
  #byte = 0
  /** undefined: the next byte is a flag. */
  #command: number[] | undefined
  #flippedBit: number | undefined

  constructor(part: EmulatedPart, time: Pick<BusTime, 'now'>) {
    this.#part = part
    this.#time = time
  }

  /** A byte of the UART; answers what the part drives after it. */
  take(token: number, baudRate: number): Uint8Array {
    if (lowMs(token, baudRate) >= wakePulseMs) {
      if (this.#part.wiring.framing === 'swi') this.#part.wake()
      this.#forget()
      return nothing
    }
    if (!this.#listens()) return nothing
    // What is no bit is noise: the part waits for a flag again. Unconfirmed on silicon (U6).
    if (baudRate !== bitRate || (token !== one && token !== zero)) this.#forget()
    else return this.#takeBit(token === one ? 1 : 0)
    return nothing
  }

  #listens(): boolean {
    if (!this.#part.hears() || this.#part.wiring.framing !== 'swi') {
      this.#forget()
      return false
    }
    if (this.#wakes !== this.#part.wakes) this.#forget()
    this.#wakes = this.#part.wakes
    const now = this.#time.now()
    const isLate = this.#isInside() && now - this.#heardAtMs > swiTimeoutMs
    this.#heardAtMs = now
    if (!isLate) return true
    this.#part.sleep()
    this.#forget()
    return false
  }

  #isInside(): boolean {
    return this.#bits > 0 || this.#command !== undefined
  }

  #forget(): void {
    this.#bits = 0
    this.#byte = 0
    this.#command = undefined
  }

  #takeBit(bit: number): Uint8Array {
    this.#byte |= bit << this.#bits++
    if (this.#bits < 8) return nothing
    const byte = this.#byte
    this.#bits = 0
    this.#byte = 0
    if (this.#command === undefined) return this.#takeFlag(byte)
    this.#takeCommandByte(byte, this.#command)
    return nothing
  }

  #takeFlag(byte: number): Uint8Array {
    switch (byte) {
      case flag.command:
        this.#command = []
        this.#flippedBit = this.#part.faults.beginCommand()
        break
      case flag.transmit:
        return bitsOf(this.#part.reply)
      case flag.idle:
        this.#part.idle()
        break
      case flag.sleep:
        this.#part.sleep()
        break
      default:
        // No flag, no effect. Unconfirmed on silicon (U6).
        break
    }
    return nothing
  }

  /** The wire has no stop: the count alone says where a command ends. */
  #takeCommandByte(byte: number, command: number[]): void {
    const bit = (this.#flippedBit ?? -1) - 8 * command.length
    command.push(bit >= 0 && bit < 8 ? byte ^ (1 << bit) : byte)
    if (command.length < (command[0] ?? 0)) return
    this.#command = undefined
    this.#part.run(Uint8Array.from(command))
  }
}

function bitsOf(bytes: Uint8Array): Uint8Array {
  const bits = new Uint8Array(8 * bytes.length)
  return bits.map((_, at) => (((bytes[at >> 3] ?? 0) >> (at & 7)) & 1 ? one : zero))
}

/** The longest time that a byte of the UART (start bit, 7 bits, the lowest first) holds the line low. */
function lowMs(token: number, baudRate: number): number {
  let longest = 0
  let run = 1
  for (let bit = 0; bit < 7; bit++) {
    longest = Math.max(longest, run)
    run = (token >> bit) & 1 ? 0 : run + 1
  }
  return (Math.max(longest, run) * 1_000) / baudRate
}
