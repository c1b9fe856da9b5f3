/**
 * Base64 (RFC 4648 §4): no white space, no missing padding, one text for each value. In a file of
 * its own, because its tables are of no use to a device that speaks DER alone.
 */
import { PeerError } from '../errors.ts'
import { ascii } from './bytes.ts'

const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const base64Values: Int8Array = new Int8Array(128).fill(-1)
for (let value = 0; value < 64; value++) base64Values[base64Digits.charCodeAt(value)] = value

const base64Codes: Uint8Array = Uint8Array.from(base64Digits, (digit) => digit.charCodeAt(0))
const paddingCode = 0x3d

/** Base64 with padding, without line breaks. */
export function base64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(paddingCode)
  let at = 0
  for (let index = 0; index < bytes.length; index += 3) {
    const first = bytes[index] ?? 0
    const second = bytes[index + 1] ?? 0
    const third = bytes[index + 2] ?? 0
    codes[at] = base64Codes[first >> 2] ?? 0
    codes[at + 1] = base64Codes[((first & 3) << 4) | (second >> 4)] ?? 0
    if (index + 1 < bytes.length) {
      codes[at + 2] = base64Codes[((second & 15) << 2) | (third >> 6)] ?? 0
    }
    if (index + 2 < bytes.length) codes[at + 3] = base64Codes[third & 63] ?? 0
    at += 4
  }
  return ascii(codes)
}

/**
 * The bytes of padded Base64 without white space. Throws PeerError ERR_BASE64, also where bits
 * behind the last byte are not zero (RFC 4648 §3.5): one text for each value.
 */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw new PeerError('ERR_BASE64', 'length is no multiple of four')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const digits = text.length - padding
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let held = 0
  let bits = 0
  let length = 0
  for (let index = 0; index < digits; index++) {
    const code = text.charCodeAt(index)
    const value = code < 128 ? (base64Values[code] ?? -1) : -1
    if (value < 0) throw new PeerError('ERR_BASE64', 'not a Base64 character', { offset: index })
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[length++] = (held >> bits) & 255
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw new PeerError('ERR_BASE64', 'stray bits at the end')
  return bytes
}
