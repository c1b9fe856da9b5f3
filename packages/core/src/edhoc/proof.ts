/**
 * Signature_or_MAC_2 and _3 (RFC 9528 §5.3.2, §5.4.2): made with this side's own credential,
 * checked with the one of the peer that the application trusts.
 */
import { cbor, concat, equalBytes, equalSecretBytes } from '../codec/index.ts'
import {
  type CredentialReference,
  encodeCredentialReference,
  isKeyFor,
  signatureAlgorithm,
  sigStructure,
} from '../cose/index.ts'
import { AdapterError, PeerError } from '../errors.ts'
import type { Crypto, PublicKey, SecretKey, Signer } from '../ports.ts'
import { isYes, sameScheme } from '../verdict.ts'
import { encodeEad } from './ead.ts'
import { edhocError, useError } from './edhocError.ts'
import type { MacFields } from './keySchedule.ts'
import { edhocLimits } from './limits.ts'
import { type Authentication, proofLength } from './methods.ts'
import type { Plaintext3 } from './plaintexts.ts'
import type { SignatureName, Suite } from './suites.ts'

/** A static Diffie-Hellman key that is never seen. */
export interface StaticKey {
  /**
   * The secret with an ephemeral share of the peer, in the form that `EphemeralKey.agree` takes.
   */
  agree(peerShare: Uint8Array): Promise<SecretKey>
}

interface Named {
  /** ID_CRED_x. */
  readonly reference: CredentialReference
  /** CRED_x, the encoded item: of a certificate a byte string. */
  readonly credential: Uint8Array
}

/** How this side shows who it is. Its signer answers in the form of COSE: r || s. */
export type OwnCredential = Named &
  (
    | { readonly kind: 'signature'; readonly signer: Signer }
    | { readonly kind: 'static key'; readonly key: StaticKey }
  )

/** What the application found for ID_CRED_x and trusts (RFC 9528 §3.5). */
export type TrustedCredential = Pick<Named, 'credential'> &
  (
    | { readonly kind: 'signature'; readonly key: PublicKey }
    /** The public key as G_X travels: on P-256 its x. */
    | { readonly kind: 'static key'; readonly g: Uint8Array }
  )

const algorithmIds: Readonly<Record<SignatureName, number>> = { ES256: -7, EdDSA: -8, ES384: -35 }

/** Before anything is sent: the credential is one for this method and suite. */
export function requireOwn(own: OwnCredential, suite: Suite, by: Authentication): void {
  if (own.kind !== by) {
    throw useError(
      'ERR_EDHOC_CREDENTIAL',
      `the method asks this side for a ${by}, its credential has a ${own.kind}`,
      'Choose the method by what the credential can do.',
    )
  }
  if (own.kind === 'static key') return
  const { name, scheme } = signatureAlgorithm(algorithmIds[suite.signature], 'own credential')
  if (sameScheme(scheme, own.signer.scheme)) return
  throw useError(
    'ERR_EDHOC_CREDENTIAL',
    `the suite takes ${name} as COSE has it, which this signer does not make`,
    'Choose a suite for the curve of the key, and a signer that answers r || s for ECDSA.',
  )
}

/** What MAC_2 and MAC_3 cover of a side: what its plaintext says, and the credential it names. */
export function macFields(
  { reference, ead }: Pick<Plaintext3, 'reference' | 'ead'>,
  transcriptHash: Uint8Array,
  credential: Uint8Array,
): MacFields {
  const idCred = encodeCredentialReference(reference)
  return { idCred, transcriptHash, credential, ead: encodeEad(ead) }
}

/** Signature_or_MAC: the MAC, or what signs it. */
export async function makeProof(
  suite: Suite,
  own: OwnCredential,
  fields: MacFields,
  mac: Uint8Array,
): Promise<Uint8Array> {
  if (own.kind === 'static key') return mac
  let signature: Uint8Array
  try {
    signature = await own.signer.sign(toBeSigned(fields, mac))
  } catch (cause) {
    throw signerError('the element did not sign the handshake', cause)
  }
  if (signature.length === proofLength(suite, 'signature')) return signature
  throw signerError(`the signer answered ${signature.length} bytes`)
}

/**
 * Throws PeerError ERR_EDHOC_PROOF unless the owner of the credential made it for this handshake.
 */
export function checkProof(
  crypto: Crypto,
  suite: Suite,
  peer: TrustedCredential,
  fields: MacFields,
  mac: Uint8Array,
  proof: Uint8Array,
): void {
  const isProven =
    peer.kind === 'static key'
      ? equalSecretBytes(mac, proof)
      : isSignature(crypto, suite, peer.key, toBeSigned(fields, mac), proof)
  if (isProven) return
  throw edhocError('ERR_EDHOC_PROOF', notShown)
}

/**
 * Which of the credentials it is, where several have the same name (RFC 9528 §3.5.3): a kid need
 * not be the only one of its kind. `check` throws ERR_EDHOC_PROOF for those that it is not.
 */
export function firstProven<Result>(
  candidates: readonly TrustedCredential[],
  check: (peer: TrustedCredential) => Result,
): Result {
  const [peer, ...others] = requireSome(candidates)
  try {
    return check(peer)
  } catch (error) {
    requireAnother(error, others)
    return firstProven(others, check)
  }
}

/** The same where the check asks a key that may be elsewhere. */
export async function firstProvenElsewhere<Result>(
  candidates: readonly TrustedCredential[],
  check: (peer: TrustedCredential) => Promise<Result>,
): Promise<Result> {
  const [peer, ...others] = requireSome(candidates)
  try {
    return await check(peer)
  } catch (error) {
    requireAnother(error, others)
    return await firstProvenElsewhere(others, check)
  }
}

type Candidates = readonly [TrustedCredential, ...TrustedCredential[]]

function requireSome(candidates: readonly TrustedCredential[]): Candidates {
  if (candidates.length > edhocLimits.candidatesMax) {
    throw useError(
      'ERR_EDHOC_CREDENTIAL',
      `${candidates.length} credentials have this name, ${edhocLimits.candidatesMax} at most`,
      'Take longer kids, or let the address of the peer choose among them.',
    )
  }
  const [peer, ...others] = candidates
  if (peer === undefined) throw edhocError('ERR_EDHOC_PROOF', notShown)
  return [peer, ...others]
}

function requireAnother(error: unknown, others: readonly TrustedCredential[]): void {
  const isAnother = error instanceof PeerError && error.code === 'ERR_EDHOC_PROOF'
  if (!isAnother || others.length === 0) throw error
}

const notShown = 'the peer names a credential and does not prove that it has the key'

/** The trusted credential is one for this method, and not our own come back. */
export function requirePeer(
  peer: TrustedCredential,
  own: OwnCredential | undefined,
  by: Authentication,
): void {
  if (peer.kind !== by) {
    throw edhocError('ERR_EDHOC_CREDENTIAL', `the method takes a ${by} of the peer`, {
      found: peer.kind,
    })
  }
  if (own !== undefined && equalBytes(own.credential, peer.credential)) {
    throw edhocError('ERR_EDHOC_CREDENTIAL', 'the peer shows the credential of this side')
  }
}

function isSignature(
  crypto: Crypto,
  suite: Suite,
  key: PublicKey,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const algorithm = signatureAlgorithm(algorithmIds[suite.signature], 'peer')
  if (!isKeyFor(algorithm, key.algorithm)) return false
  return isYes(crypto.verify(key, algorithm.scheme, data, signature))
}

function toBeSigned(
  { idCred, transcriptHash, credential, ead }: MacFields,
  mac: Uint8Array,
): Uint8Array {
  const externalAad = concat(cbor.byteString(transcriptHash), credential, ead)
  return sigStructure({ protectedMap: idCred, externalAad, payload: mac })
}

function signerError(what: string, cause?: unknown): AdapterError<'ERR_EDHOC_SIGNER'> {
  const hint = 'Check the element that signs: it may be busy, gone, or without a key in its slot.'
  return new AdapterError('ERR_EDHOC_SIGNER', what, {}, { hint, cause })
}
