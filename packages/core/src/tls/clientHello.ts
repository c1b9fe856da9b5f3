/**
 * ClientHello (RFC 8446 §4.1.2) and the binder that its last extension ends with (§4.2.11.2). The
 * same function makes the first and, after a HelloRetryRequest, the second.
 */
import { concat, utf8 } from '../codec/index.ts'
import type { EphemeralKey, Milliseconds } from '../ports.ts'
import { extension } from './extensions.ts'
import type { Policy } from './policy.ts'
import {
  extensionType,
  groupNumbers,
  handshakeType,
  signatureSchemes,
  suites,
  tls12,
  tls13,
} from './registry.ts'
import { obfuscatedAge, type ResumableSession } from './resumable.ts'
import { u8, u16, u32, vector } from './wire.ts'

export interface HelloParts {
  readonly policy: Policy
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  /** DNS name for SNI; undefined for an address (RFC 6066 §3) and where there is no name. */
  readonly serverName: string | undefined
  readonly shares: readonly EphemeralKey[]
  /** Echoed after a HelloRetryRequest. */
  readonly cookie: Uint8Array | undefined
  readonly resuming: { readonly session: ResumableSession; readonly now: Milliseconds } | undefined
}

/** Makes the binder's value of the message up to the binders. */
export type Binder = (truncated: Uint8Array) => Uint8Array

/** psk_dhe_ke: a resumed session has its own key agreement, always (RFC 8446 §4.2.9). */
const pskDheKe = 1
const ocsp = 1
const hostName = 0

export function encodeClientHello(parts: HelloParts, binder: Binder): Uint8Array {
  const { policy, random, sessionId, resuming } = parts
  const fixed = concat(
    u16(tls12),
    random,
    vector(1, sessionId),
    vector(2, u16(...policy.suites.map(({ id }) => id))),
    vector(1, u8(0)),
  )
  const extensions = extensionsOf(parts)
  if (resuming === undefined) return handshake(concat(fixed, vector(2, ...extensions)))
  return bound(fixed, extensions, resuming, binder)
}

/** The whole message with its header. */
function handshake(body: Uint8Array): Uint8Array {
  return concat(u8(handshakeType.clientHello), vector(3, body))
}

function bound(
  fixed: Uint8Array,
  extensions: readonly Uint8Array[],
  { session, now }: NonNullable<HelloParts['resuming']>,
  binder: Binder,
): Uint8Array {
  const { hashLength } = suites[session.suite]
  const identity = concat(vector(2, session.ticket), u32(obfuscatedAge(session, now)))
  const withValue = (value: Uint8Array): Uint8Array => {
    const psk = extension(
      extensionType.preSharedKey,
      vector(2, identity),
      vector(2, vector(1, value)),
    )
    // RFC 8446 §4.2.11: the last one.
    return handshake(concat(fixed, vector(2, ...extensions, psk)))
  }
  const blank = withValue(new Uint8Array(hashLength))
  // The list of binders: two bytes of length, one of the only binder's.
  const truncated = blank.subarray(0, blank.length - hashLength - 3)
  return withValue(binder(truncated))
}

function extensionsOf(parts: HelloParts): readonly Uint8Array[] {
  const { policy, shares, cookie, serverName } = parts
  const type = extensionType
  const list = [
    extension(type.supportedVersions, vector(1, u16(tls13))),
    extension(
      type.supportedGroups,
      vector(2, u16(...policy.groups.map((name) => groupNumbers[name]))),
    ),
    extension(type.signatureAlgorithms, vector(2, u16(...signatureSchemes.map(({ id }) => id)))),
    extension(type.keyShare, vector(2, ...shares.map(keyShareEntry))),
    // RFC 8449 §4: with the byte of the content type.
    extension(type.recordSizeLimit, u16(policy.recordContentMax + 1)),
  ]
  if (serverName !== undefined) {
    const entry = concat(u8(hostName), vector(2, utf8(serverName)))
    list.push(extension(type.serverName, vector(2, entry)))
  }
  if (policy.alpn.length > 0) {
    list.push(extension(type.alpn, vector(2, ...policy.alpn.map((name) => vector(1, utf8(name))))))
  }
  if (policy.staple) {
    // RFC 6066 §8: any responder, no extensions.
    list.push(extension(type.statusRequest, u8(ocsp), u16(0, 0)))
  }
  if (policy.resumption) list.push(extension(type.pskKeyExchangeModes, vector(1, u8(pskDheKe))))
  if (cookie !== undefined) list.push(extension(type.cookie, vector(2, cookie)))
  return list
}

function keyShareEntry({ group, share }: EphemeralKey): Uint8Array {
  return concat(u16(groupNumbers[group], share.length), share)
}

/** The extensions of a ClientHello of this policy: what a server may answer. */
export function askedExtensions(parts: HelloParts): ReadonlySet<number> {
  const { policy, serverName, resuming } = parts
  const asked = new Set<number>([
    extensionType.supportedVersions,
    extensionType.supportedGroups,
    extensionType.signatureAlgorithms,
    extensionType.keyShare,
    extensionType.recordSizeLimit,
  ])
  if (serverName !== undefined) asked.add(extensionType.serverName)
  if (policy.alpn.length > 0) asked.add(extensionType.alpn)
  if (policy.staple) asked.add(extensionType.statusRequest)
  if (policy.resumption) asked.add(extensionType.pskKeyExchangeModes)
  if (resuming !== undefined) asked.add(extensionType.preSharedKey)
  return asked
}
