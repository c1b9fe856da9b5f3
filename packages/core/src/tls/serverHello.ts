/**
 * ServerHello and HelloRetryRequest (RFC 8446 §4.1.3, §4.1.4): parsed and held against what was
 * offered. What comes out is a choice among our own offers.
 */
import { equalBytes, fromHex } from '../codec/index.ts'
import type { GroupName } from '../ports.ts'
import { type ExtensionRules, type Extensions, missing, readExtensions } from './extensions.ts'
import { extensionType, groupNumbers, type Suite, tls12, tls13 } from './registry.ts'
import { tlsError } from './tlsError.ts'
import { WireReader } from './wire.ts'

/** SHA-256 of "HelloRetryRequest": the random that makes a ServerHello one (RFC 8446 §4.1.3). */
const retryRandom = fromHex('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c')
/** How a server of TLS 1.3 marks that it was made to speak an older version: "DOWNGRD", 1 or 0. */
const downgradeMark = fromHex('444f574e475244')

/** What stands in our last ClientHello, as far as this answer must fit it. */
export interface Offer {
  readonly suites: readonly Suite[]
  readonly groups: readonly GroupName[]
  readonly shares: readonly GroupName[]
  readonly sessionId: Uint8Array
  readonly asked: ReadonlySet<number>
  /** The suite that a HelloRetryRequest has chosen, when one came. */
  readonly retried: Suite | undefined
}

export interface RetryRequest {
  readonly kind: 'retry'
  readonly suite: Suite
  /** undefined: the shares stay, only the cookie is new. */
  readonly group: GroupName | undefined
  readonly cookie: Uint8Array | undefined
}

export interface ServerChoice {
  readonly kind: 'hello'
  readonly suite: Suite
  readonly group: GroupName
  readonly share: Uint8Array
  readonly isResumed: boolean
}

export function parseServerHello(body: Uint8Array, offer: Offer): RetryRequest | ServerChoice {
  const reader = new WireReader(body, 'ServerHello')
  const version = reader.u16()
  const random = reader.bytes(32)
  const sessionId = reader.vector(1)
  const suiteId = reader.u16()
  const compression = reader.u8()
  const isRetry = equalBytes(random, retryRandom)
  if (version !== tls12) throw oldVersion(version, random)
  const rest = reader.bytes(reader.left)
  // First which version it is: an older one has other extensions, or none.
  if (!hasSupportedVersions(rest)) throw oldVersion(version, random)
  const extensions = readHelloExtensions(rest, offer, isRetry)
  requireVersion(extensions)
  // RFC 8446 §4.1.3: it says ours back, whatever came of it.
  if (!equalBytes(sessionId, offer.sessionId)) throw illegal('another session id than was sent')
  if (compression !== 0) throw illegal(`compression ${compression}`)
  const suite = chosenSuite(suiteId, offer)
  return isRetry ? retry(suite, extensions, offer) : choice(suite, extensions, offer)
}

/** TLS 1.2 and below may also end without a list. */
function hasSupportedVersions(rest: Uint8Array): boolean {
  if (rest.length === 0) return false
  const list = new WireReader(rest, 'ServerHello').list(2)
  while (list.left > 0) {
    const type = list.u16()
    list.vector(2)
    if (type === extensionType.supportedVersions) return true
  }
  return false
}

function readHelloExtensions(rest: Uint8Array, offer: Offer, isRetry: boolean): Extensions {
  const reader = new WireReader(rest, 'ServerHello')
  const extensions = readExtensions(reader, isRetry ? retryRules(offer) : helloRules(offer))
  reader.end()
  return extensions
}

function helloRules({ asked }: Offer): ExtensionRules {
  const { supportedVersions, keyShare, preSharedKey } = extensionType
  return { message: 'ServerHello', here: [supportedVersions, keyShare, preSharedKey], asked }
}

function retryRules(offer: Offer): ExtensionRules {
  const { supportedVersions, keyShare, cookie } = extensionType
  // RFC 8446 §4.2: a cookie is the one extension that comes unasked.
  const asked = new Set([...offer.asked, cookie])
  return { message: 'HelloRetryRequest', here: [supportedVersions, keyShare, cookie], asked }
}

function requireVersion(extensions: Extensions): void {
  const body = extensions.get(extensionType.supportedVersions)
  if (body === undefined) throw missing('ServerHello', extensionType.supportedVersions)
  const reader = new WireReader(body, 'supported_versions')
  const selected = reader.u16()
  reader.end()
  // RFC 8446 §4.2.1: below 1.3 nothing is negotiated in this extension.
  if (selected !== tls13) throw illegal(`version ${selected.toString(16)}`)
}

/** TLS 1.2 or older. The mark says that the server could do better and somebody prevented it. */
function oldVersion(version: number, random: Uint8Array): Error {
  const last = random[31] ?? 0
  if (equalBytes(random.subarray(24, 31), downgradeMark) && last <= 1) {
    return tlsError(
      'ERR_TLS_DOWNGRADE',
      'the server speaks TLS 1.3, and somebody between made it answer with an older version',
    )
  }
  return tlsError(
    'ERR_TLS_VERSION',
    `the server does not speak TLS 1.3 (it answered ${version.toString(16).padStart(4, '0')})`,
    { version },
  )
}

function chosenSuite(id: number, { suites, retried }: Offer): Suite {
  const suite = suites.find((one) => one.id === id)
  if (suite === undefined) throw illegal(`cipher suite ${id.toString(16)}, which was not offered`)
  // RFC 8446 §4.1.4
  if (retried !== undefined && suite !== retried) throw illegal('another suite than before')
  return suite
}

function retry(suite: Suite, extensions: Extensions, offer: Offer): RetryRequest {
  if (offer.retried !== undefined) {
    throw tlsError('ERR_TLS_UNEXPECTED_MESSAGE', 'a second HelloRetryRequest')
  }
  const group = retryGroup(extensions.get(extensionType.keyShare), offer)
  const cookie = retryCookie(extensions.get(extensionType.cookie))
  // RFC 8446 §4.1.4: it must change something.
  if (group === undefined && cookie === undefined) {
    throw illegal('a HelloRetryRequest that asks for nothing')
  }
  return { kind: 'retry', suite, group, cookie }
}

function retryGroup(body: Uint8Array | undefined, offer: Offer): GroupName | undefined {
  if (body === undefined) return undefined
  const reader = new WireReader(body, 'HelloRetryRequest')
  const number = reader.u16()
  reader.end()
  const group = offer.groups.find((name) => groupNumbers[name] === number)
  if (group === undefined) throw illegal(`group ${number.toString(16)}, which was not offered`)
  // RFC 8446 §4.2.8
  if (offer.shares.includes(group)) throw illegal(`a share of ${group}, which it has`)
  return group
}

function retryCookie(body: Uint8Array | undefined): Uint8Array | undefined {
  if (body === undefined) return undefined
  const reader = new WireReader(body, 'cookie')
  const cookie = reader.vector(2, 1)
  reader.end()
  return cookie
}

function choice(suite: Suite, extensions: Extensions, offer: Offer): ServerChoice {
  const body = extensions.get(extensionType.keyShare)
  if (body === undefined) throw shareless(extensions)
  const reader = new WireReader(body, 'key_share')
  const number = reader.u16()
  const share = reader.vector(2, 1)
  reader.end()
  const group = offer.shares.find((name) => groupNumbers[name] === number)
  if (group === undefined)
    throw illegal(`a share of group ${number.toString(16)}, which it was not sent`)
  return { kind: 'hello', suite, group, share, isResumed: isResumed(extensions) }
}

/** RFC 8446 §4.2.11: psk_ke, a ticket without a key agreement, was not offered. */
function shareless(extensions: Extensions): Error {
  return extensions.has(extensionType.preSharedKey)
    ? illegal('a ticket and no key share')
    : missing('ServerHello', extensionType.keyShare)
}

function isResumed(extensions: Extensions): boolean {
  const body = extensions.get(extensionType.preSharedKey)
  if (body === undefined) return false
  const reader = new WireReader(body, 'pre_shared_key')
  const index = reader.u16()
  reader.end()
  if (index !== 0) throw illegal(`ticket ${index} where one was offered`)
  return true
}

function illegal(what: string): Error {
  return tlsError('ERR_TLS_ILLEGAL_PARAMETER', `the server's hello has ${what}`)
}
