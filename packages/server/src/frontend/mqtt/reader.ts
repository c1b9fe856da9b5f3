/**
 * A cursor over the body of one control packet: integers, strings and binary data of MQTT 5 §1.5
 * (3.1.1 §1.5), zero copy. Nothing is read beyond the body, or beyond the part of it that `narrow`
 * has set; whoever reads a body ends it with `end()`, so that nothing trails.
 */
import { isUtf8 } from 'node:buffer'
import type { ErrorDetails, PeerError } from '@countersign/core/errors'
import type { MqttErrorCode } from './packets.ts'
import { refusal } from './refusals.ts'

export class Reader {
  readonly bytes: Buffer
  /** Of the packet, in errors. */
  readonly name: string
  position = 0
  private limit: number

  constructor(bytes: Buffer, name: string) {
    this.bytes = bytes
    this.name = name
    this.limit = bytes.length
  }

  get done(): boolean {
    return this.position >= this.limit
  }

  /** Bytes that are left. */
  get left(): number {
    return this.limit - this.position
  }

  u8(field: string): number {
    return this.bytes[this.step(1, field)] ?? 0
  }

  u16(field: string): number {
    const { bytes } = this
    const at = this.step(2, field)
    return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  }

  u32(field: string): number {
    return this.bytes.readUInt32BE(this.step(4, field))
  }

  /** Variable Byte Integer (MQTT 5 §1.5.5): at most four bytes, and as few as can be. */
  varint(field: string): number {
    let value = 0
    for (let scale = 1; scale <= 128 ** 3; scale *= 128) {
      const byte = this.u8(field)
      value += (byte & 0x7f) * scale
      if (byte >= 0x80) continue
      if (byte === 0 && scale > 1) throw this.malformed(field, 'is not in its shortest form')
      return value
    }
    throw this.malformed(field, 'has more than four bytes')
  }

  /**
   * UTF-8 Encoded String (MQTT 5 §1.5.4): well-formed, which leaves no room for surrogates
   * [MQTT-1.5.4-1], and without U+0000 [MQTT-1.5.4-2]. A leading U+FEFF stays [MQTT-1.5.4-3]. Other
   * control characters and non-characters may be refused and are not.
   */
  utf8(field: string): string {
    const { bytes } = this
    const start = this.dataStart(field)
    const end = this.position
    // Topics are ASCII nearly always: one look at each byte, and the cheapest decoding.
    for (let at = start; at < end; at++) {
      const byte = bytes[at] ?? 0
      if (byte === 0 || byte >= 0x80) return this.wideText(start, end, field)
    }
    return bytes.toString('latin1', start, end)
  }

  private wideText(start: number, end: number, field: string): string {
    const view = this.bytes.subarray(start, end)
    if (view.includes(0)) throw this.malformed(field, 'has the character U+0000')
    if (!isUtf8(view)) throw this.malformed(field, 'is not UTF-8')
    return view.toString('utf8')
  }

  /** Binary Data (MQTT 5 §1.5.6), as a view. */
  binary(field: string): Buffer {
    const start = this.dataStart(field)
    return this.bytes.subarray(start, this.position)
  }

  /** As `binary`, without a view of what nobody will look at. */
  skipBinary(field: string): void {
    this.dataStart(field)
  }

  /** All that is left, as a view. */
  rest(): Buffer {
    const start = this.position
    this.position = this.limit
    return this.bytes.subarray(start, this.limit)
  }

  /** Nothing may be left. */
  end(): void {
    if (!this.done) throw this.malformed('end', `has ${this.left} bytes too many`)
  }

  /** Reads see the next `length` bytes only, until `widen` is given what this returns. */
  narrow(length: number, field: string): number {
    if (length > this.left) throw this.malformed(field, 'runs over the end')
    const outer = this.limit
    this.limit = this.position + length
    return outer
  }

  widen(outer: number): void {
    this.limit = outer
  }

  malformed(field: string, what: string): PeerError<MqttErrorCode> {
    return this.refuse('ERR_MQTT_MALFORMED', field, what)
  }

  protocolError(field: string, what: string): PeerError<MqttErrorCode> {
    return this.refuse('ERR_MQTT_PROTOCOL', field, what)
  }

  /** Details carry the offset in the body behind what was read, and what else is public. */
  refuse(
    code: MqttErrorCode,
    field: string,
    what: string,
    details: ErrorDetails = {},
  ): PeerError<MqttErrorCode> {
    const { name, position: offset } = this
    return refusal(code, `${name}: ${field} ${what}`, `${name}.${field}`, { offset, ...details })
  }

  /** Steps over a two-byte length and as many bytes, and says where these begin. */
  private dataStart(field: string): number {
    return this.step(this.u16(field), field)
  }

  private step(length: number, field: string): number {
    const at = this.position
    if (length > this.limit - at) throw this.malformed(field, 'is missing or cut')
    this.position = at + length
    return at
  }
}
