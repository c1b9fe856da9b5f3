/** What responses of devices mean for whoever has asked them something. */
import {
  type CoapMessage,
  coapCode,
  codeText,
  contentFormatIn,
  isServerError,
} from '@countersign/core/coap'

const diagnosticBytesMax = 256

/** Responses that speak of this moment, and not of what was asked. */
const passing: ReadonlySet<number> = new Set([
  /** Echo was asked for again and again. */
  coapCode.unauthorized,
  coapCode.requestEntityIncomplete,
  coapCode.tooManyRequests,
])

export function isPassing({ code }: CoapMessage): boolean {
  return isServerError(code) || passing.has(code)
}

/**
 * With its diagnostic payload (RFC 7252 §5.5.2): for logs and terminals, without control
 * characters.
 */
export function diagnosticOf(response: CoapMessage): string {
  const { code, payload } = response
  if (payload.length === 0 || contentFormatIn(response) !== undefined) return codeText(code)
  const text = new TextDecoder().decode(payload.subarray(0, diagnosticBytesMax))
  return `${codeText(code)}: ${text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()}`
}
