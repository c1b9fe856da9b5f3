/** The serial number of a token, a text of up to 16 characters, as the port has serials. */
import { hex, utf8 } from '@countersign/core/codec'

/**
 * Lower-case hex. Many tokens give hex digits, and those stay readable; another text becomes the hex
 * of its bytes.
 */
export function serialOf(text: string): string {
  return /^(?:[0-9A-Fa-f]{2})+$/.test(text) ? text.toLowerCase() : hex(utf8(text))
}
