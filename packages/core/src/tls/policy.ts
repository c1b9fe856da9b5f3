/** What a client offers, in its order of preference. A policy chooses among what the provider has. */
import type { ChannelCrypto, GroupName } from '../ports.ts'
import { plaintextBytesMax, recordSizeLimitMin, recordsPerKeyMax } from './limits.ts'
import { type Suite, type SuiteName, suites } from './registry.ts'
import { useError } from './tlsError.ts'

export interface PolicyOptions {
  /** Default: AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305. CCM-8 by its name only. */
  readonly suites?: readonly SuiteName[]
  /** Default: X25519MLKEM768 where the provider has it, x25519, secp256r1. */
  readonly groups?: readonly GroupName[]
  /** Groups with a share in the first flight. Default: the first two of `groups`. */
  readonly shares?: readonly GroupName[]
  /** Names of protocols (RFC 7301), best first. Default: none offered. */
  readonly alpn?: readonly string[]
  /**
   * Most bytes of content in a record that comes (RFC 8449), 64 to 16384: a device with little
   * memory says less. Default: 16384.
   */
  readonly recordContentMax?: number
  /** Ask for a stapled OCSP response (RFC 8446 §4.4.2.1). Default: true. */
  readonly staple?: boolean
  /**
   * Look like TLS 1.2 to middleboxes (RFC 8446 §D.4): 38 bytes. Default: true; false on links
   * that have none.
   */
  readonly compatibility?: boolean
  /** Ask for tickets. Default: true. */
  readonly resumption?: boolean
  /** Records of ours under one key, 1 to the default of 2^22, before it is changed. */
  readonly recordsPerKeyMax?: number
}

export interface Policy {
  readonly suites: readonly Suite[]
  readonly groups: readonly GroupName[]
  readonly shares: readonly GroupName[]
  readonly alpn: readonly string[]
  readonly recordContentMax: number
  readonly staple: boolean
  readonly compatibility: boolean
  readonly resumption: boolean
  readonly recordsPerKeyMax: number
}

const defaultSuites: readonly SuiteName[] = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]
const defaultGroups: readonly GroupName[] = ['X25519MLKEM768', 'x25519', 'secp256r1']

/** Throws CallerError ERR_TLS_POLICY for what cannot work, before a byte goes out. */
export function policyOf(crypto: ChannelCrypto, options: PolicyOptions = {}): Policy {
  const groups = options.groups ?? defaultGroups.filter((name) => crypto.groups.includes(name))
  const shares = options.shares ?? groups.slice(0, 2)
  const names = options.suites ?? defaultSuites
  const usable = names.map((name) => suites[name])
  const chosen =
    options.suites === undefined ? usable.filter(({ aead }) => crypto.aeads.includes(aead)) : usable
  const policy: Policy = {
    suites: chosen,
    groups,
    shares,
    alpn: options.alpn ?? [],
    recordContentMax: options.recordContentMax ?? plaintextBytesMax,
    staple: options.staple ?? true,
    compatibility: options.compatibility ?? true,
    resumption: options.resumption ?? true,
    recordsPerKeyMax: options.recordsPerKeyMax ?? recordsPerKeyMax,
  }
  requireUsable(crypto, policy)
  return policy
}

function requireUsable(crypto: ChannelCrypto, policy: Policy): void {
  const { groups, shares, recordContentMax, alpn } = policy
  if (policy.suites.length === 0 || groups.length === 0) throw bad('no cipher suite or no group')
  // Two shares of one group would follow (RFC 8446 §4.2.8).
  if (hasTwice(policy.suites) || hasTwice(groups) || hasTwice(alpn)) throw bad('something twice')
  const suite = policy.suites.find(({ aead }) => !crypto.aeads.includes(aead))
  if (suite !== undefined) throw bad(`${suite.name}, which the crypto provider lacks`)
  const group = groups.find((name) => !crypto.groups.includes(name))
  if (group !== undefined) throw bad(`${group}, which the crypto provider lacks`)
  // RFC 8446 §4.2.8: shares are of offered groups, in their order.
  if (!isSubsequence(shares, groups)) throw bad('shares that are not of its groups in their order')
  const isLength = Number.isInteger(recordContentMax)
  if (!isLength || recordContentMax < recordSizeLimitMin || recordContentMax > plaintextBytesMax) {
    throw bad(`records of ${recordContentMax} bytes`)
  }
  const perKey = policy.recordsPerKeyMax
  if (!Number.isInteger(perKey) || perKey < 1 || perKey > recordsPerKeyMax) {
    throw bad(`${perKey} records under one key`)
  }
  if (alpn.length > alpnNamesMax) throw bad(`more than ${alpnNamesMax} ALPN names`)
  const name = alpn.find((each) => each.length === 0 || each.length > 255 || /[^ -~]/.test(each))
  if (name !== undefined) throw bad('an ALPN name that is not 1 to 255 printable characters')
}

/** Enough for every protocol of a device; each may cost 256 bytes of the hello. */
const alpnNamesMax = 16

function hasTwice(list: readonly unknown[]): boolean {
  return new Set(list).size < list.length
}

function isSubsequence(part: readonly GroupName[], whole: readonly GroupName[]): boolean {
  let at = 0
  for (const name of whole) if (part[at] === name) at++
  return at === part.length
}

function bad(what: string): Error {
  return useError(
    'ERR_TLS_POLICY',
    `the policy asks for ${what}`,
    'Mend the options of the client.',
  )
}
