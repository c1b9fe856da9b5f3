/**
 * The cipher suites of EDHOC (RFC 9528 §3.6, §10.2) as a table, and how two ends settle on one
 * (§5.2.3, §6.3). Suites of private use (-24 to -21) are not in the table.
 */
import type { AeadName, ChannelCrypto, GroupName, HashName } from '../ports.ts'
import { edhocError } from './edhocError.ts'

export type SuiteNumber = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 24 | 25

export type CurveName = 'X25519' | 'P-256' | 'P-384' | 'X448'

export type SignatureName = 'EdDSA' | 'ES256' | 'ES384'

interface AeadShape {
  readonly name: AeadName
  readonly keyLength: number
  readonly ivLength: number
  readonly tagLength: number
}

interface HashShape {
  readonly name: HashName | 'shake256'
  readonly length: number
}

interface CurveShape {
  readonly name: CurveName
  /** Of the port of crypto; undefined for a curve that it does not know. */
  readonly group: GroupName | undefined
  /** Bytes of G_X and G_Y: the x coordinate alone on the NIST curves (§3.7). */
  readonly length: number
}

export interface Suite {
  readonly number: SuiteNumber
  readonly aead: AeadShape
  readonly hash: HashShape
  /** Bytes of MAC_2 and MAC_3 of a side with a static Diffie-Hellman key. */
  readonly macLength: number
  readonly curve: CurveShape
  readonly signature: SignatureName
  /** Bytes of a signature in its COSE form. */
  readonly signatureLength: number
  /** What OSCORE goes on with; the tag is short there in suites 1 and 3 too. */
  readonly application: { readonly aead: AeadShape; readonly hash: HashShape }
}

const ccm64: AeadShape = { name: 'aes-ccm-16-64-128', keyLength: 16, ivLength: 13, tagLength: 8 }
const ccm128: AeadShape = { name: 'aes-ccm-16-128-128', keyLength: 16, ivLength: 13, tagLength: 16 }
const chacha: AeadShape = { name: 'chacha20-poly1305', keyLength: 32, ivLength: 12, tagLength: 16 }
const gcm128: AeadShape = { name: 'aes-128-gcm', keyLength: 16, ivLength: 12, tagLength: 16 }
const gcm256: AeadShape = { name: 'aes-256-gcm', keyLength: 32, ivLength: 12, tagLength: 16 }

const sha256: HashShape = { name: 'sha256', length: 32 }
const sha384: HashShape = { name: 'sha384', length: 48 }
/** RFC 9054 §3.3: as COSE has it, 64 bytes come out. */
const shake256: HashShape = { name: 'shake256', length: 64 }

const x25519: CurveShape = { name: 'X25519', group: 'x25519', length: 32 }
const p256: CurveShape = { name: 'P-256', group: 'secp256r1', length: 32 }
const p384: CurveShape = { name: 'P-384', group: undefined, length: 48 }
const x448: CurveShape = { name: 'X448', group: undefined, length: 56 }

const edDsa = { signature: 'EdDSA', signatureLength: 64 } as const
const es256 = { signature: 'ES256', signatureLength: 64 } as const
const es384 = { signature: 'ES384', signatureLength: 96 } as const
/** With X448 goes Ed448 (RFC 9528 §3.6). */
const ed448 = { signature: 'EdDSA', signatureLength: 114 } as const

const ccmApplication = { aead: ccm64, hash: sha256 } as const
const chachaApplication = { aead: chacha, hash: sha256 } as const

/** One row for each, in the order of the registry. */
const rows: readonly Suite[] = [
  suite(0, ccm64, sha256, 8, x25519, edDsa, ccmApplication),
  suite(1, ccm128, sha256, 16, x25519, edDsa, ccmApplication),
  suite(2, ccm64, sha256, 8, p256, es256, ccmApplication),
  suite(3, ccm128, sha256, 16, p256, es256, ccmApplication),
  suite(4, chacha, sha256, 16, x25519, edDsa, chachaApplication),
  suite(5, chacha, sha256, 16, p256, es256, chachaApplication),
  suite(6, gcm128, sha256, 16, x25519, es256, { aead: gcm128, hash: sha256 }),
  suite(24, gcm256, sha384, 16, p384, es384, { aead: gcm256, hash: sha384 }),
  suite(25, chacha, shake256, 16, x448, ed448, { aead: chacha, hash: shake256 }),
]

export const suites: ReadonlyMap<number, Suite> = new Map(rows.map((row) => [row.number, row]))

function suite(
  number: SuiteNumber,
  aead: AeadShape,
  hash: HashShape,
  macLength: number,
  curve: CurveShape,
  signature: Pick<Suite, 'signature' | 'signatureLength'>,
  application: Suite['application'],
): Suite {
  return { number, aead, hash, macLength, curve, ...signature, application }
}

/** A suite whose hash and curve the port of crypto can name. */
export interface UsableSuite extends Suite {
  readonly hash: HashShape & { readonly name: HashName }
  readonly curve: CurveShape & { readonly group: GroupName }
  readonly application: Suite['application'] & { readonly hash: { readonly name: HashName } }
}

/** Those that a provider has all of, in the order of the registry. */
export function suitesOf(crypto: Pick<ChannelCrypto, 'aeads' | 'groups'>): readonly UsableSuite[] {
  return rows.filter(
    (row): row is UsableSuite =>
      row.hash.name !== 'shake256' &&
      row.curve.group !== undefined &&
      crypto.groups.includes(row.curve.group) &&
      [row.aead, row.application.aead].every(({ name }) => crypto.aeads.includes(name)),
  )
}

/**
 * The suite that the initiator selected, the last of SUITES_I, when it is the first of them that
 * this responder supports: otherwise someone may have taken better ones away (RFC 9528 §5.2.3).
 * Throws PeerError ERR_EDHOC_SUITE; the answer is then `suitesInError`.
 */
export function acceptSelected(
  suitesI: readonly number[],
  supported: readonly UsableSuite[],
): UsableSuite {
  const selected = suitesI.at(-1)
  const first = preferred(suitesI, supported)
  if (first !== undefined && first.number === selected) return first
  throw edhocError(
    'ERR_EDHOC_SUITE',
    first === undefined
      ? 'the initiator offers no suite that is supported here'
      : 'the initiator selected a suite, but prefers another that is supported here',
    { selected, preferred: first?.number },
  )
}

/**
 * SUITES_R for an initiator whose selection was not accepted (RFC 9528 §6.3): the one that it
 * prefers of those supported here, or all of them when it offered none.
 */
export function suitesInError(
  suitesI: readonly number[],
  supported: readonly UsableSuite[],
): readonly number[] {
  const first = preferred(suitesI, supported)
  return first === undefined ? supported.map(({ number }) => number) : [first.number]
}

function preferred(
  suitesI: readonly number[],
  supported: readonly UsableSuite[],
): UsableSuite | undefined {
  for (const number of suitesI) {
    const found = supported.find((one) => one.number === number)
    if (found !== undefined) return found
  }
  return undefined
}

export interface Offer {
  /** Best first, the selected one last. */
  readonly suitesI: readonly number[]
  /** The selected one. */
  readonly suite: UsableSuite
}

/**
 * SUITES_I of an initiator that supports these, best first: up to the first one that the responder
 * is not known to lack. The order never changes by what an error said (RFC 9528 §5.2.2). Throws
 * PeerError ERR_EDHOC_SUITE when SUITES_R has none of them.
 */
export function offer(supported: readonly UsableSuite[], suitesR?: readonly number[]): Offer {
  const selected = supported.find(({ number }) => suitesR === undefined || suitesR.includes(number))
  if (selected !== undefined) {
    const upTo = supported.slice(0, supported.indexOf(selected) + 1)
    return { suitesI: upTo.map(({ number }) => number), suite: selected }
  }
  throw edhocError('ERR_EDHOC_SUITE', 'the responder has no suite that is supported here', {
    suitesR: suitesR?.join(', '),
  })
}
