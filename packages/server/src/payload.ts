/**
 * A message's body as event data, by its Content-Type: JSON is carried as JSON, text as a string,
 * everything else in base64 (CloudEvents JSON format §3.1). What a type promises is checked: a body
 * that says JSON and is not is refused.
 */
import { isUtf8 } from 'node:buffer'
import { isNestedTooDeep } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import { type EventData, isJsonType } from './cloudEvent.ts'

const contentTypeLengthMax = 128
/**
 * Common parsers give up at 64 (.NET) or 128 (serde): an event that an application cannot read
 * would be offered to it again and again, and hold up those behind it.
 */
export const jsonDepthMax = 32
/** RFC 9110 §8.3.1: type "/" subtype, both tokens; then parameters. */
const mediaType =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;([\t\x20-\x7e]*))?$/
const otherCharset = /(?:^|;)[ \t]*charset[ \t]*=[ \t]*"?(?!utf-8|us-ascii)/i

type PayloadErrorCode = 'ERR_MESSAGE_TYPE' | 'ERR_MESSAGE_JSON'

/** Content-Type without a value is RFC 9110 §8.3's octet stream. */
export interface MediaType {
  readonly whole: string
  readonly form: 'json' | 'text' | 'binary'
}

const octets: MediaType = { whole: 'application/octet-stream', form: 'binary' }

export function parseMediaType(header: string | undefined): MediaType {
  if (header === undefined || header === '') return octets
  const match = header.length <= contentTypeLengthMax ? mediaType.exec(header) : null
  if (match === null)
    throw new PeerError<PayloadErrorCode>(
      'ERR_MESSAGE_TYPE',
      'the Content-Type is not a media type',
      {},
      {
        where: 'Content-Type',
        hint: 'send for instance application/json, text/plain or application/octet-stream',
      },
    )
  const type = (match[1] ?? '').toLowerCase()
  if (isJsonType(type)) return { whole: header, form: 'json' }
  const text = type.startsWith('text/') || type === 'application/x-www-form-urlencoded'
  return { whole: header, form: text && !otherCharset.test(match[2] ?? '') ? 'text' : 'binary' }
}

/** What JSON can begin with (RFC 8259 §2): most text is told apart by it, without an exception. */
const jsonBegin = /^[\t\n\r ]*[{["\-0-9tfn]/

/**
 * A body that came without a type (MQTT 3.1.1 has no place for one): JSON when it is JSON, else
 * text when it is UTF-8, else octets.
 */
export function untypedPayload(body: Buffer): EventData {
  if (!isUtf8(body)) return { kind: 'binary', contentType: octets.whole, bytes: body }
  const text = body.toString('utf8')
  return isJson(text)
    ? { kind: 'json', contentType: 'application/json', text }
    : { kind: 'text', contentType: 'text/plain; charset=utf-8', text }
}

function isJson(text: string): boolean {
  if (!jsonBegin.test(text)) return false
  try {
    JSON.parse(text)
  } catch {
    return false // it only looked like it
  }
  return !isNestedTooDeep(text, jsonDepthMax)
}

export function payload(type: MediaType, body: Buffer): EventData {
  const contentType = type.whole
  if (type.form === 'json') return { kind: 'json', contentType, text: jsonText(body) }
  if (type.form === 'text' && isUtf8(body))
    return { kind: 'text', contentType, text: body.toString('utf8') }
  return { kind: 'binary', contentType, bytes: body }
}

function jsonText(body: Buffer): string {
  const text = parsedText(body)
  if (isNestedTooDeep(text, jsonDepthMax))
    throw new PeerError<PayloadErrorCode>(
      'ERR_MESSAGE_JSON',
      `the body is nested deeper than ${jsonDepthMax}`,
      {},
      { where: 'body', hint: 'send a flatter document, or name its type application/octet-stream' },
    )
  return text
}

function parsedText(body: Buffer): string {
  try {
    // RFC 8259 §8.1: UTF-8, and nothing else. `toString` would mend what is broken.
    if (!isUtf8(body)) throw new SyntaxError('not UTF-8')
    const text = body.toString('utf8')
    JSON.parse(text)
    return text
  } catch (cause) {
    throw new PeerError<PayloadErrorCode>(
      'ERR_MESSAGE_JSON',
      'the Content-Type says JSON and the body is not JSON',
      {},
      {
        where: 'body',
        hint: 'correct the body, or name its true type in Content-Type',
        cause,
      },
    )
  }
}
