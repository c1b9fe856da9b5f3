/**
 * What a manifest says of one secure element: the payload of its JWS, versions 1 to 3. Members that we
 * have no use for are carried in the evidence and not read.
 */
import {
  fromBase64,
  fromUtf8,
  hex,
  isNestedTooDeep,
  jsonElements,
  jsonMembers,
} from '../codec/index.ts'
import { type Certificate, parseCertificate } from '../credential/index.ts'
import { PeerError } from '../errors.ts'
import type { Crypto } from '../ports.ts'
import { isYes } from '../verdict.ts'
import { pointOfP256, spkiOfP256 } from './ecdsaP256.ts'
import { base64UrlBytes, stringOf } from './jws.ts'

export interface ManifestKey {
  readonly slot: number
  /** X || Y. */
  readonly point: Uint8Array
  /** Certificates of this key, DER, leaf first; empty when the manifest has none. */
  readonly chain: readonly Uint8Array[]
}

export interface ManifestPayload {
  /** Of the element, lower-case hex: its `uniqueId`. */
  readonly serial: string
  readonly version: number
  readonly model: string
  readonly partNumber: string
  readonly manufacturer: string
  readonly provisioner: string
  /** Milliseconds; undefined when it is not told. */
  readonly provisionedAt: number | undefined
  readonly keys: readonly ManifestKey[]
}

type Members = ReadonlyMap<string, string>
type Fail = (what: string) => Error

/** Keys have the slots 0 to 15. */
const keysMax = 16
/** A leaf and its signer; one to spare. */
const chainMax = 3
const depthMax = 16
const textLengthMax = 256
/** base64 of the longest certificate that is read anywhere here is longer: manifests have small ones. */
const certificateTextLengthMax = 8192

export function parsePayload(bytes: Uint8Array, crypto: Crypto, fail: Fail): ManifestPayload {
  const text = textOf(bytes, fail)
  const members = isNestedTooDeep(text, depthMax) ? undefined : jsonMembers(text)
  if (members === undefined) throw fail('payload is no JSON object, or names a member twice')
  const version = numberOf(members.get('version'))
  if (version === undefined || version < 1 || version > 3) throw fail('version is not 1, 2 or 3')
  const serial = shortText(members, 'uniqueId', fail)
  if (!/^[0-9a-f]{18}$/.test(serial)) throw fail('uniqueId is not nine bytes in lower-case hex')
  return {
    serial,
    version,
    model: shortText(members, 'model', fail),
    partNumber: shortText(members, 'partNumber', fail),
    manufacturer: organization(members, 'manufacturer', fail),
    provisioner: organization(members, 'provisioner', fail),
    provisionedAt: timeOf(members, fail),
    // Version 2 may carry an identity alone.
    keys: members.has('publicKeySet') ? keysOf(members, crypto, fail) : [],
  }
}

function textOf(bytes: Uint8Array, fail: Fail): string {
  try {
    return fromUtf8(bytes)
  } catch (error) {
    if (error instanceof PeerError) throw fail('payload is no UTF-8')
    throw error
  }
}

function numberOf(json: string | undefined): number | undefined {
  return json !== undefined && /^[0-9]{1,3}$/.test(json) ? Number(json) : undefined
}

function shortText(members: Members, name: string, fail: Fail): string {
  const value = stringOf(members.get(name))
  if (value === undefined || value === '' || value.length > textLengthMax) {
    throw fail(`${name} is missing, or no short text`)
  }
  return value
}

/** An object with organizationName; empty when it is not told. */
function organization(members: Members, name: string, fail: Fail): string {
  const json = members.get(name)
  if (json === undefined) return ''
  const parts = jsonMembers(json)
  const value = stringOf(parts?.get('organizationName'))
  if (value === undefined || value.length > textLengthMax) throw fail(`${name} is no organization`)
  return value
}

/** ISO 8601 in UTC, with or without a fraction. */
function timeOf(members: Members, fail: Fail): number | undefined {
  const json = members.get('provisioningTimestamp')
  if (json === undefined) return undefined
  const text = stringOf(json) ?? ''
  const isUtc = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text)
  const time = isUtc ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw fail('provisioningTimestamp is no time in UTC')
  return time
}

function keysOf(members: Members, crypto: Crypto, fail: Fail): readonly ManifestKey[] {
  const set = jsonMembers(members.get('publicKeySet') ?? '')
  const listed = jsonElements(set?.get('keys') ?? '')
  if (listed === undefined) throw fail('publicKeySet has no list of keys')
  if (listed.length > keysMax) throw fail(`more than ${keysMax} keys`)
  const keys: ManifestKey[] = []
  const seen = new Set<number | string>()
  for (const json of listed) {
    const key = keyOf(json, crypto, fail)
    const point = hex(key.point)
    if (seen.has(key.slot) || seen.has(point))
      throw fail(`slot ${key.slot} or its key stands twice`)
    seen.add(key.slot).add(point)
    keys.push(key)
  }
  return keys
}

/** A JWK of P-256 (RFC 7517, RFC 7518 §6.2.1) whose kid is the slot. */
function keyOf(json: string, crypto: Crypto, fail: Fail): ManifestKey {
  const jwk = jsonMembers(json)
  if (jwk === undefined) throw fail('a key is no JSON object, or names a member twice')
  const kid = stringOf(jwk.get('kid')) ?? ''
  if (!/^(?:[0-9]|1[0-5])$/.test(kid)) throw fail('the kid of a key is no slot')
  const slot = Number(kid)
  if (stringOf(jwk.get('kty')) !== 'EC' || stringOf(jwk.get('crv')) !== 'P-256') {
    throw fail(`the key of slot ${slot} is not of P-256`)
  }
  if (jwk.has('d')) throw fail(`the key of slot ${slot} is a private one`)
  const point = new Uint8Array(64)
  for (const [index, name] of ['x', 'y'].entries()) {
    const coordinate = base64UrlBytes(stringOf(jwk.get(name)) ?? '')
    if (coordinate?.length !== 32) throw fail(`${name} of the key of slot ${slot} is not 32 bytes`)
    point.set(coordinate, index * 32)
  }
  requireOnCurve(point, crypto, () => fail(`the key of slot ${slot} is no point of P-256`))
  const chain = jwk.has('x5c') ? chainOf(jwk.get('x5c') ?? '', slot, fail) : []
  checkChain(chain, point, crypto, slot, fail)
  return { slot, point, chain: chain.map(({ der }) => der) }
}

function requireOnCurve(point: Uint8Array, crypto: Crypto, fail: () => Error): void {
  try {
    crypto.importPublicKey(spkiOfP256(point), { kind: 'ec', curve: 'P-256' })
  } catch (error) {
    if (error instanceof PeerError) throw fail()
    throw error
  }
}

/** RFC 7517 §4.7: standard base64 of DER, the key's own certificate first. */
function chainOf(json: string, slot: number, fail: Fail): readonly Certificate[] {
  const listed = jsonElements(json)
  if (listed === undefined || listed.length === 0 || listed.length > chainMax) {
    throw fail(`x5c of slot ${slot} is no list of 1 to ${chainMax} certificates`)
  }
  return listed.map((item) => {
    const text = stringOf(item) ?? ''
    try {
      if (text.length <= certificateTextLengthMax) return parseCertificate(fromBase64(text))
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
    }
    throw fail(`x5c of slot ${slot} has what is no certificate`)
  })
}

/**
 * The first is of this key, each signed by the next. Dates and the root are not looked at: the
 * manifest's signature vouches, and elements outlive the certificates of their makers.
 */
function checkChain(
  chain: readonly Certificate[],
  point: Uint8Array,
  crypto: Crypto,
  slot: number,
  fail: Fail,
): void {
  const [leaf] = chain
  if (leaf === undefined) return
  const own = pointOfP256(leaf.spki)
  if (own === undefined || hex(own) !== hex(point))
    throw fail(`x5c of slot ${slot} is of another key`)
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1]
    if (issuer === undefined) continue
    if (!isSignedBy(certificate, issuer, crypto)) throw fail(`x5c of slot ${slot} is no chain`)
  }
}

function isSignedBy(
  { scheme, tbs, signature }: Certificate,
  issuer: Certificate,
  crypto: Crypto,
): boolean {
  const { algorithm, der } = issuer.spki
  if (scheme === undefined || algorithm === undefined) return false
  try {
    const key = crypto.importPublicKey(der, algorithm)
    return isYes(crypto.verify(key, scheme, tbs, signature))
  } catch (error) {
    if (error instanceof PeerError) return false
    throw error
  }
}
