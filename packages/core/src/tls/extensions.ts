/**
 * Lists of extensions (RFC 8446 §4.2). One reader for every message: each at most once, none that
 * was not asked for, none where it does not belong.
 */
import { concat } from '../codec/index.ts'
import { extensionsMax } from './limits.ts'
import { extensionType } from './registry.ts'
import { tlsError } from './tlsError.ts'
import { lengthOf, u16, type WireReader } from './wire.ts'

export type Extensions = ReadonlyMap<number, Uint8Array>

export interface ExtensionRules {
  readonly message: string
  /** Which have a meaning in this message (RFC 8446 §4.2, the table). */
  readonly here: readonly number[]
  /** What our ClientHello asked for; undefined where a server may tell unasked. */
  readonly asked: ReadonlySet<number> | undefined
}

const known: ReadonlySet<number> = new Set(Object.values(extensionType))

/** Takes one extension list from the reader. */
export function readExtensions(reader: WireReader, rules: ExtensionRules): Extensions {
  const list = reader.list(2)
  const found = new Map<number, Uint8Array>()
  while (list.left > 0) {
    const type = list.u16()
    const body = list.vector(2)
    if (found.has(type)) throw illegal(rules, type, 'stands twice')
    if (found.size >= extensionsMax) {
      throw tlsError(
        'ERR_TLS_LIMIT',
        `a ${rules.message} with more than ${extensionsMax} extensions`,
      )
    }
    requireAllowed(type, rules)
    found.set(type, body)
  }
  return found
}

function requireAllowed(type: number, rules: ExtensionRules): void {
  // RFC 8446 §4.2: first whether it was asked for, then whether this is its message.
  if (rules.asked !== undefined && !rules.asked.has(type)) {
    throw tlsError(
      'ERR_TLS_UNSUPPORTED_EXTENSION',
      `a ${rules.message} answers extension ${type}, which was not offered`,
      { extension: type },
    )
  }
  if (known.has(type) && !rules.here.includes(type))
    throw illegal(rules, type, 'has no place there')
}

function illegal({ message }: ExtensionRules, type: number, why: string): Error {
  return tlsError('ERR_TLS_ILLEGAL_PARAMETER', `extension ${type} in a ${message} ${why}`, {
    extension: type,
  })
}

export function missing(message: string, type: number): Error {
  return tlsError('ERR_TLS_MISSING_EXTENSION', `a ${message} lacks extension ${type}`, {
    extension: type,
  })
}

export function extension(type: number, ...body: readonly Uint8Array[]): Uint8Array {
  return concat(u16(type, lengthOf(body)), ...body)
}
