/**
 * Control packets out of a stream of bytes: the fixed header (MQTT 5 §2.1, 3.1.1 §2.2) and as many
 * bytes as it announces. A packet that is too large is refused by its header, before a byte of its
 * body is kept. What a body means is `parse.ts`.
 *
 * A packet that lies whole in one chunk is a view of it. One that is cut is gathered in a buffer of
 * its own that grows with what has come, not with what was announced: announcing is free, and
 * thousands may do it. At rest nothing is held but numbers.
 */
import type { PeerError } from '@countersign/core/errors'
import type { Frame, MqttErrorCode } from './packets.ts'
import { refusal } from './refusals.ts'

/** MQTT 5 §1.5.5, 3.1.1 §2.2.3. */
const lengthBytesMax = 4
/** The first buffer for a packet that is cut; it doubles from there. */
const gatheredBytesMin = 64

/** A list of links: an array would move all that wait, for each that is taken from its front. */
interface Waiting {
  readonly chunk: Buffer
  next: Waiting | undefined
}

export class Framer {
  /**
   * Of a whole packet with its fixed header, which is how MQTT 5 §3.1.2.11.4 counts Maximum Packet
   * Size. Counts from the next header on.
   */
  bytesMax: number
  private chunk: Buffer | undefined
  private at = 0
  /** Chunks behind `chunk`, when there are any: who pushes need not have read all. */
  private waiting: Waiting | undefined
  private lastWaiting: Waiting | undefined
  private bytesPending = 0

  /** The fixed header being read; it may be cut at any byte. -1: its first byte has not come. */
  private first = -1
  private lengthBytes = 0
  private length = 0
  private lengthKnown = false
  private gathered: Buffer | undefined
  private gatheredBytes = 0

  private failure: PeerError<MqttErrorCode> | undefined

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Bytes that have come and of which no packet was made yet. */
  get pending(): number {
    return this.bytesPending
  }

  /** The chunk is kept until it is read, and must not change. After a refusal nothing is taken. */
  push(chunk: Buffer): void {
    if (chunk.length === 0 || this.failure !== undefined) return
    this.bytesPending += chunk.length
    if (this.chunk === undefined) {
      this.chunk = chunk
      return
    }
    const link: Waiting = { chunk, next: undefined }
    if (this.lastWaiting === undefined) this.waiting = link
    else this.lastWaiting.next = link
    this.lastWaiting = link
  }

  /** The next whole packet. A refusal is final: where the next packet begins is not known. */
  next(): Frame | undefined {
    if (this.failure !== undefined) throw this.failure
    for (let { chunk } = this; chunk !== undefined; chunk = this.nextChunk()) {
      if (!this.lengthKnown && !this.readHeader(chunk)) continue
      const body = this.takeBody(chunk)
      if (body !== undefined) return this.finish(body)
    }
    return undefined
  }

  /** Drops the chunk, which was read to its end. */
  private nextChunk(): Buffer | undefined {
    this.chunk = this.waiting?.chunk
    this.at = 0
    this.waiting = this.waiting?.next
    if (this.waiting === undefined) this.lastWaiting = undefined
    return this.chunk
  }

  /** False when the chunk ends within the header. */
  private readHeader(chunk: Buffer): boolean {
    if (this.first < 0) this.first = chunk[this.at++] ?? 0
    while (this.at < chunk.length) {
      const byte = chunk[this.at++] ?? 0
      this.length |= (byte & 0x7f) << (7 * this.lengthBytes++)
      if (byte < 0x80) {
        this.checkLength(byte)
        this.lengthKnown = true
        return true
      }
      if (this.lengthBytes === lengthBytesMax) {
        throw this.fail('ERR_MQTT_MALFORMED', 'the remaining length has more than four bytes')
      }
    }
    return false
  }

  /**
   * [MQTT-1.5.5-1]: the fewest bytes. 3.1.1 §2.2.3 gives an encoder that makes no others, and does
   * not say what to do with them. They are refused there too: the version is not known before the
   * first header is read, and two readers of one stream (we and what stands before us) must not be
   * able to see different packets in it.
   */
  private checkLength(last: number): void {
    if (last === 0 && this.lengthBytes > 1) {
      throw this.fail('ERR_MQTT_MALFORMED', 'the remaining length is not in its shortest form')
    }
    const bytes = 1 + this.lengthBytes + this.length
    if (bytes > this.bytesMax) {
      const { bytesMax } = this
      throw this.fail('ERR_MQTT_TOO_LARGE', `a packet of ${bytes} bytes; ${bytesMax} are taken`)
    }
  }

  /** The body, or undefined when the chunk ends before it does. */
  private takeBody(chunk: Buffer): Buffer | undefined {
    const missing = this.length - this.gatheredBytes
    const end = Math.min(this.at + missing, chunk.length)
    const { at } = this
    this.at = end
    if (this.gathered === undefined && end - at === missing) return chunk.subarray(at, end)
    if (end > at) this.gather(chunk, at, end)
    return end - at === missing ? this.gathered : undefined
  }

  private gather(chunk: Buffer, start: number, end: number): void {
    const needed = this.gatheredBytes + end - start
    const old = this.gathered
    if (old === undefined || old.length < needed) {
      // Doubling: each byte is copied a bounded number of times, however small the chunks are.
      const size = Math.min(this.length, Math.max(2 * needed, gatheredBytesMin))
      this.gathered = Buffer.allocUnsafeSlow(size)
      old?.copy(this.gathered, 0, 0, this.gatheredBytes)
    }
    if (this.gathered !== undefined) chunk.copy(this.gathered, this.gatheredBytes, start, end)
    this.gatheredBytes = needed
  }

  private finish(body: Buffer): Frame {
    const frame = { type: this.first >> 4, flags: this.first & 0x0f, body }
    this.bytesPending -= 1 + this.lengthBytes + this.length
    this.reset()
    // A chunk is let go with its last packet, not when the next one comes: that may take hours.
    if (this.at === this.chunk?.length) this.nextChunk()
    return frame
  }

  private reset(): void {
    this.first = -1
    this.lengthBytes = 0
    this.length = 0
    this.lengthKnown = false
    this.gathered = undefined
    this.gatheredBytes = 0
  }

  private fail(code: MqttErrorCode, message: string): PeerError<MqttErrorCode> {
    const { first, length } = this
    const details = { type: first >> 4, remainingLength: length }
    this.failure = refusal(code, message, 'fixed header.remaining length', details)
    this.reset()
    this.chunk = undefined
    this.waiting = undefined
    this.lastWaiting = undefined
    this.bytesPending = 0
    return this.failure
  }
}
