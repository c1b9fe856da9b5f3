/**
 * Files that a command hands over: PEM or DER, in base64. The parsers behind judge what is inside.
 */
import { parsePemOne } from '@countersign/core/codec'
import { parameterError } from './operation.ts'

/** First octet of every DER object that is handed over: a SEQUENCE. */
const sequenceTag = 0x30

export function fileDer(base64: string, what: string, ...labels: readonly string[]): Uint8Array {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes[0] === sequenceTag) return bytes
  const text = bytes.toString('latin1')
  if (text.includes('-----BEGIN ')) return parsePemOne(text, ...labels)
  throw parameterError(
    what,
    `this is no ${labels[0]?.toLowerCase() ?? 'object'}, neither PEM nor DER`,
    `A PEM file begins with -----BEGIN ${labels[0] ?? ''}-----.`,
  )
}

export function certificateDer(base64: string, what: string): Uint8Array {
  return fileDer(base64, what, 'CERTIFICATE')
}

export function requestDer(base64: string, what: string): Uint8Array {
  return fileDer(base64, what, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
}
