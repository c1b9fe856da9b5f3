/**
 * AttestationBundle (draft-ietf-lamps-csr-attestation §3): what a request carries beside the key.
 *
 *   AttestationBundle ::= SEQUENCE {
 *     attestations SEQUENCE SIZE (1..MAX) OF AttestationStatement,
 *     certs SEQUENCE SIZE (1..MAX) OF LimitedCertChoices OPTIONAL }
 *   AttestationStatement ::= SEQUENCE { type OBJECT IDENTIFIER, stmt ANY DEFINED BY type }
 *
 * Of the certificates X.509 alone is taken; `other` of the draft is refused.
 */
import { DerReader, der, tag } from '../codec/index.ts'
import type { Oid } from '../credential/index.ts'
import { PeerError } from '../errors.ts'
import { attestationError } from './attestationError.ts'
import { chainCertificatesMax } from './attestationKey.ts'

export interface AttestationStatement {
  readonly type: Oid
  /** One whole element. */
  readonly statement: Uint8Array
}

export interface AttestationBundle {
  readonly statements: readonly AttestationStatement[]
  /** Certificates, DER. */
  readonly certificates: readonly Uint8Array[]
}

/** A key has one element, and an element one way to speak of it; one to spare for another verifier. */
const statementsMax = 2
/** What a request may hold at all. */
const bundleBytesMax = 32 * 1024

export function encodeAttestationBundle(bundle: AttestationBundle): Uint8Array {
  const statements = bundle.statements.map(({ type, statement }) =>
    der.sequence(der.oid(type), statement),
  )
  const certs = bundle.certificates.length === 0 ? [] : [der.sequence(...bundle.certificates)]
  return der.sequence(der.sequence(...statements), ...certs)
}

/** Throws PeerError ERR_ATTESTATION_MALFORMED. */
export function parseAttestationBundle(bytes: Uint8Array): AttestationBundle {
  try {
    return read(new DerReader(bytes, 'attestation', bundleBytesMax))
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw attestationError(
      'ERR_ATTESTATION_MALFORMED',
      `the attestation of the request cannot be read: ${error.message}`,
      error.where ?? 'attestation',
      error,
    )
  }
}

function read(whole: DerReader): AttestationBundle {
  const bundle = whole.sequence('')
  whole.end()
  const statements = manyOf(bundle.sequence('attestations'), statementsMax, (list) => {
    const one = list.sequence('')
    const type = one.oid('type')
    const statement = one.tlv('stmt')
    one.end()
    return { type, statement }
  })
  const certs = bundle.enterOptional(tag.sequence, 'certs')
  const certificates =
    certs === undefined
      ? []
      : manyOf(certs, chainCertificatesMax, (list) => list.tlv('certificate', tag.sequence))
  bundle.end()
  return { statements, certificates }
}

/** SIZE (1..max) */
function manyOf<T>(list: DerReader, max: number, take: (list: DerReader) => T): readonly T[] {
  const items: T[] = []
  do {
    if (items.length === max) throw list.bad(`more than ${max}`)
    items.push(take(list))
  } while (!list.done)
  return items
}
