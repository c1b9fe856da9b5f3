/**
 * The certificates that came with evidence: which of them is of the key that signed, whether it
 * names the element, and which configured root it stands under. Path validation is RFC 5280's, with
 * a purpose of our own that must be stated.
 */
import { PeerError } from '../errors.ts'
import {
  type Certificate,
  parseCertificate,
  purposes,
  serialNumberOf,
  validatePath,
} from '../credential/index.ts'
import type { Crypto, Milliseconds } from '../ports.ts'
import { attestationError } from './attestationError.ts'
import { pointOfP256 } from './ecdsaP256.ts'

/** The attestation key's and two above it; one to spare. */
export const chainCertificatesMax = 4
const signatureChecksMax = 8

export interface ChainQuestion {
  readonly certificates: readonly Uint8Array[]
  readonly roots: readonly Certificate[]
  /** Of the element, lower-case hex: what the leaf must name. */
  readonly serial: string
  readonly at: Milliseconds
  readonly crypto: Crypto
}

export interface ChainVerdict {
  readonly leaf: Certificate
  /** undefined: under no root that is known here. */
  readonly root: Certificate | undefined
  /** One of the path says that it is an emulator's. */
  readonly isEmulated: boolean
}

export function judgeChain(question: ChainQuestion): ChainVerdict {
  const { certificates, serial } = question
  if (certificates.length > chainCertificatesMax) {
    throw bad(`more than ${chainCertificatesMax} certificates`, 'certs')
  }
  const parsed = certificates.map(parse)
  const leaf = leafOf(parsed)
  pointOf(leaf)
  const named = serialNumberOf(leaf.subject)
  if (named !== serial) {
    throw bad(`it is of the element ${named ?? 'without a serialNumber'}, not ${serial}`, 'subject')
  }
  const { keyUsage } = leaf.extensions
  if (keyUsage !== undefined && !keyUsage.has('digitalSignature')) {
    throw bad('its key may not sign', 'keyUsage')
  }
  const path = pathOf(leaf, parsed, question)
  return {
    leaf,
    root: path?.at(-1),
    isEmulated: (path ?? parsed).some(isEmulators),
  }
}

/** X || Y of the key that signs statements. */
export function pointOf(leaf: Certificate): Uint8Array {
  const point = pointOfP256(leaf.spki)
  if (point === undefined) throw bad('its key is not of P-256', 'subjectPublicKeyInfo')
  return point
}

export function isEmulators({ extensions }: Certificate): boolean {
  return extensions.extKeyUsage?.includes(purposes.emulatorAttestation) === true
}

function parse(der: Uint8Array, index: number): Certificate {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw bad(`it cannot be read: ${error.message}`, `certs[${index}]`, error)
  }
}

/** They come in any order; only one of them is no CA. */
function leafOf(certificates: readonly Certificate[]): Certificate {
  const leaves = certificates.filter(({ extensions }) => extensions.basicConstraints?.ca !== true)
  const [leaf, second] = leaves
  if (leaf !== undefined && second === undefined) return leaf
  throw bad(`${leaves.length} certificates of keys instead of one`, 'certs')
}

/** undefined: they lead to no root that is known here. Throws for what leads there and is wrong. */
function pathOf(
  leaf: Certificate,
  certificates: readonly Certificate[],
  { roots, at, crypto }: ChainQuestion,
): readonly Certificate[] | undefined {
  // An emulator's leaf has its own purpose, so that it never passes for a chip's.
  const oid = isEmulators(leaf) ? purposes.emulatorAttestation : purposes.attestation
  try {
    const { path } = validatePath(
      {
        leaf,
        intermediates: certificates.filter((one) => one !== leaf),
        anchors: roots,
        crls: [],
        at,
        extKeyUsage: { oid, explicit: true },
        signatureChecksMax,
      },
      crypto,
    )
    return path
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    if (error.code === 'ERR_CHAIN_UNKNOWN_ISSUER') return undefined
    throw bad(error.message, error.where ?? 'certs', error)
  }
}

function bad(what: string, where: string, cause?: unknown): Error {
  return attestationError(
    'ERR_ATTESTATION_CHAIN',
    `the certificate of the attestation key is refused: ${what}`,
    where,
    cause,
  )
}
