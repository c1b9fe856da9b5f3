/**
 * JSON Web Signatures as makers of elements sign their manifests (RFC 7515 §7.2): JSON, flattened or
 * general with one signature, ES256 alone (RFC 7518 §3.4). Which signer is believed is the caller's.
 * Left out: compact form, detached and unencoded payloads, `crit`, every other algorithm.
 */
import { fromBase64, fromUtf8, jsonElements, jsonMembers } from '../codec/index.ts'
import { PeerError } from '../errors.ts'

export interface Jws {
  /** As it stands in the JWS: what was signed is `<protected>.<payload>` of these. */
  readonly signingInput: string
  readonly protectedHeader: ReadonlyMap<string, string>
  /** The unprotected header; nothing in it is signed. */
  readonly header: ReadonlyMap<string, string>
  readonly payload: Uint8Array
  /** r || s. */
  readonly signature: Uint8Array
}

const signatureLength = 64

/** `fail` words what is wrong with it. */
export function parseJws(text: string, fail: (what: string) => Error): Jws {
  const members = jsonMembers(text)
  if (members === undefined) throw fail('it is no JSON object, or names a member twice')
  const parts = members.has('signatures') ? generalParts(members, fail) : members
  const payload = requireString(members, 'payload', fail)
  const protectedPart = requireString(parts, 'protected', fail)
  const signature = decode(requireString(parts, 'signature', fail), 'signature', fail)
  if (signature.length !== signatureLength) throw fail('signature is not r || s of P-256')
  const headerText = parts.get('header')
  const header = headerText === undefined ? new Map<string, string>() : jsonMembers(headerText)
  if (header === undefined) throw fail('header is no JSON object, or names a member twice')
  const protectedHeader = jsonMembers(decodeText(protectedPart, 'protected', fail))
  if (protectedHeader === undefined) throw fail('protected is no JSON object')
  // RFC 7515 §7.2.1: the names of the two are disjoint; what is signed is never said twice.
  for (const name of header.keys()) {
    if (protectedHeader.has(name)) throw fail(`${name} stands in both headers`)
  }
  // RFC 7515 §4.1.11 and RFC 7797: what must be understood is not.
  for (const name of ['crit', 'b64']) {
    if (protectedHeader.has(name) || header.has(name)) throw fail(`it has the parameter ${name}`)
  }
  if (stringOf(protectedHeader.get('alg')) !== 'ES256') throw fail('it is not signed by ES256')
  return {
    signingInput: `${protectedPart}.${payload}`,
    protectedHeader,
    header,
    payload: decode(payload, 'payload', fail),
    signature,
  }
}

/** RFC 7515 §7.2.1: one signature, or it is unclear whose word it is. */
function generalParts(
  members: ReadonlyMap<string, string>,
  fail: (what: string) => Error,
): ReadonlyMap<string, string> {
  if (members.has('signature') || members.has('protected') || members.has('header')) {
    throw fail('it is flattened and general at once')
  }
  const signatures = jsonElements(members.get('signatures') ?? '') ?? []
  const [only] = signatures
  const parts = only === undefined ? undefined : jsonMembers(only)
  if (parts === undefined || signatures.length !== 1) throw fail('it has not one signature')
  return parts
}

function requireString(
  members: ReadonlyMap<string, string>,
  name: string,
  fail: (what: string) => Error,
): string {
  const value = stringOf(members.get(name))
  if (value === undefined) throw fail(`${name} is missing, or no string`)
  return value
}

/** The string that a JSON text is, or undefined. */
export function stringOf(json: string | undefined): string | undefined {
  if (json === undefined || !json.startsWith('"')) return undefined
  const value: unknown = JSON.parse(json)
  return typeof value === 'string' ? value : undefined
}

function decodeText(text: string, name: string, fail: (what: string) => Error): string {
  try {
    return fromUtf8(decode(text, name, fail))
  } catch (error) {
    if (error instanceof PeerError && error.code === 'ERR_UTF8') throw fail(`${name} is no UTF-8`)
    throw error
  }
}

function decode(text: string, name: string, fail: (what: string) => Error): Uint8Array {
  const bytes = base64UrlBytes(text)
  if (bytes === undefined) throw fail(`${name} is no base64url`)
  return bytes
}

/** Base64url without padding (RFC 7515 §2); undefined when it is none. */
export function base64UrlBytes(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined
  const padded = text.replaceAll('-', '+').replaceAll('_', '/')
  try {
    return fromBase64(padded.padEnd(Math.ceil(padded.length / 4) * 4, '='))
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}
