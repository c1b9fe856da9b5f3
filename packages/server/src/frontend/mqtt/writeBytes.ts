/** Values of MQTT 5 §1.5 into one buffer whose size was computed before. */
import { CallerError } from '@countersign/core/errors'

export type MqttWriteErrorCode = 'ERR_MQTT_UNENCODABLE'

/** MQTT 5 §1.5.4, §1.5.6: a two-byte length. */
const dataBytesMax = 0xffff
/** Table 1-1. */
const varintMax = 0x0fff_ffff

export class ByteWriter {
  readonly bytes: Buffer
  private at = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size)
  }

  u8(value: number): void {
    this.bytes[this.at++] = value
  }

  u16(value: number): void {
    this.u8(value >> 8)
    this.u8(value)
  }

  u32(value: number): void {
    this.at = this.bytes.writeUInt32BE(value, this.at)
  }

  varint(value: number): void {
    let left = value
    for (; left > 0x7f; left >>= 7) this.u8((left & 0x7f) | 0x80)
    this.u8(left)
  }

  /** The length is written behind the text, when it is known: no second count. */
  text(value: string): void {
    const written = this.bytes.write(value, this.at + 2, 'utf8')
    this.u16(written)
    this.at += written
  }

  data(value: Uint8Array): void {
    this.u16(value.length)
    this.raw(value)
  }

  raw(value: Uint8Array): void {
    this.bytes.set(value, this.at)
    this.at += value.length
  }
}

export function varintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  if (value <= varintMax) return 4
  throw unencodable('remaining length', 'it has more than four bytes')
}

/**
 * With its length. U+0000 would make the receiver close the connection [MQTT-1.5.4-2]; a lone
 * surrogate is written as U+FFFD.
 */
export function textBytes(value: string, where: string): number {
  const bytes = Buffer.byteLength(value, 'utf8')
  if (bytes > dataBytesMax) throw unencodable(where, 'it is longer than 65,535 bytes')
  if (value.includes('\0')) throw unencodable(where, 'it has the character U+0000')
  return 2 + bytes
}

export function dataBytes(value: Uint8Array, where: string): number {
  if (value.length > dataBytesMax) throw unencodable(where, 'it is longer than 65,535 bytes')
  return 2 + value.length
}

export function unencodable(where: string, why: string): CallerError<MqttWriteErrorCode> {
  const message = `MQTT cannot carry ${where}: ${why}`
  return new CallerError('ERR_MQTT_UNENCODABLE', message, {}, { where })
}
