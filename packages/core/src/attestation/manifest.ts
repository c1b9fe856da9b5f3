/**
 * Manifests of the Trust Platform, versions 1 to 3: a JSON array of JWS, or one alone, each about one
 * secure element and signed by its maker. Who may sign is configured: `kid` and `x5t#S256` must name
 * one of those certificates, and the JWS decides nothing about whom to believe.
 */
import { hex, isNestedTooDeep, jsonElements, utf8 } from '../codec/index.ts'
import type { Certificate } from '../credential/index.ts'
import { type ErrorOptions, PeerError } from '../errors.ts'
import type { Crypto } from '../ports.ts'
import { isEmulators } from './attestationKey.ts'
import { ecdsaP256Verifies, pointOfP256 } from './ecdsaP256.ts'
import { base64UrlBytes, type Jws, parseJws, stringOf } from './jws.ts'
import { type ManifestPayload, parsePayload } from './manifestPayload.ts'

export type { ManifestKey, ManifestPayload } from './manifestPayload.ts'

export type ManifestErrorCode =
  | 'ERR_MANIFEST_MALFORMED'
  | 'ERR_MANIFEST_LIMIT'
  /** Nobody who is configured. */
  | 'ERR_MANIFEST_SIGNER'
  | 'ERR_MANIFEST_SIGNATURE'
  /** The header names another element than the payload. */
  | 'ERR_MANIFEST_SUBJECT'
  /** One element stands twice in the file. */
  | 'ERR_MANIFEST_TWICE'

export interface ManifestElement extends ManifestPayload {
  /** SHA-256 of the certificate of who signed, hex. */
  readonly signer: string
  /** That certificate has the purpose of an emulator's works. */
  readonly isEmulated: boolean
  /** The JWS as it was written: the evidence. */
  readonly jws: string
  /** SHA-256 of the payload, hex: the same element signed again is the same word. */
  readonly digest: string
}

export interface ManifestLimits {
  readonly charactersMax: number
  readonly entriesMax: number
  readonly entryCharactersMax: number
}

export const manifestLimits: ManifestLimits = {
  /** 10,000 elements of the usual 4 KiB, with room. */
  charactersMax: 64 * 1024 * 1024,
  /** A reel has a few thousand. */
  entriesMax: 10_000,
  /** Sixteen keys with their chains, in base64 of base64. */
  entryCharactersMax: 128 * 1024,
}

const depthMax = 8

/**
 * Every entry of the file, or the PeerError of the first that is not right, named by its place.
 *
 * @example const elements = parseManifest(text, signers, nodeCrypto)
 */
export function parseManifest(
  text: string,
  signers: readonly Certificate[],
  crypto: Crypto,
): readonly ManifestElement[] {
  const { charactersMax, entriesMax } = manifestLimits
  if (text.length > charactersMax)
    throw tooMuch(`more than ${charactersMax} characters`, 'manifest')
  if (isNestedTooDeep(text, depthMax)) throw malformed('it is nested too deep', 'manifest')
  const trusted = signers.map((certificate) => signerOf(certificate, crypto))
  const entries = jsonElements(text) ?? [text.trim()]
  if (entries.length > entriesMax) throw tooMuch(`more than ${entriesMax} entries`, 'manifest')
  if (entries.length === 0) throw malformed('it has no entry', 'manifest')
  const seen = new Set<string>()
  return entries.map((entry, index) => {
    const element = readEntry(entry, `entry ${index}`, trusted, crypto)
    if (seen.has(element.serial)) {
      const what = `${element.serial} stands twice`
      throw manifestError('ERR_MANIFEST_TWICE', what, `entry ${index}`, 'Give each element once.')
    }
    seen.add(element.serial)
    return element
  })
}

interface Signer {
  readonly certificate: Certificate
  readonly point: Uint8Array | undefined
  /** SHA-256, hex. */
  readonly fingerprint: string
}

function signerOf(certificate: Certificate, crypto: Crypto): Signer {
  const fingerprint = hex(crypto.hash('sha256', certificate.der))
  return { certificate, point: pointOfP256(certificate.spki), fingerprint }
}

function readEntry(
  text: string,
  where: string,
  signers: readonly Signer[],
  crypto: Crypto,
): ManifestElement {
  const fail = (what: string): Error => malformed(what, where)
  const { entryCharactersMax } = manifestLimits
  if (text.length > entryCharactersMax) {
    throw tooMuch(`it has more than ${entryCharactersMax} characters`, where)
  }
  const jws = parseJws(text, fail)
  const signer = findSigner(jws, signers, where, fail)
  requireSignature(jws, signer, where, crypto)
  // Signed from here on.
  const payload = parsePayload(jws.payload, crypto, fail)
  requireSubject(jws, payload.serial, where)
  requireTime(payload, signer, where)
  return {
    ...payload,
    signer: signer.fingerprint,
    isEmulated: isEmulators(signer.certificate),
    jws: text,
    digest: hex(crypto.hash('sha256', jws.payload)),
  }
}

/** Both names must be of the same configured certificate (RFC 7515 §4.1.4, §4.1.8). */
function findSigner(
  { protectedHeader }: Jws,
  signers: readonly Signer[],
  where: string,
  fail: (what: string) => Error,
): Signer {
  const kid = base64UrlBytes(stringOf(protectedHeader.get('kid')) ?? '')
  const thumbprint = base64UrlBytes(stringOf(protectedHeader.get('x5t#S256')) ?? '')
  if (kid === undefined || kid.length === 0 || thumbprint?.length !== 32) {
    throw fail('the protected header has no kid, or no x5t#S256')
  }
  const signer = signers.find(({ fingerprint }) => fingerprint === hex(thumbprint))
  const keyId = signer?.certificate.extensions.subjectKeyId
  if (signer !== undefined && keyId !== undefined && hex(keyId) === hex(kid)) return signer
  throw manifestError(
    'ERR_MANIFEST_SIGNER',
    `nobody who may sign manifests has the certificate ${hex(thumbprint)} with the key id ${hex(kid).slice(0, 64)}`,
    where,
    'Add the certificate of who signs: "countersign ca anchor add --role manifest FILE".',
  )
}

function requireSignature(jws: Jws, signer: Signer, where: string, crypto: Crypto): void {
  const { point } = signer
  const data = utf8(jws.signingInput)
  if (point !== undefined && ecdsaP256Verifies(point, data, jws.signature, crypto)) return
  throw manifestError(
    'ERR_MANIFEST_SIGNATURE',
    'the signature does not verify',
    where,
    'It was changed, or is a forgery: fetch the manifest again from the maker.',
  )
}

/** The unprotected header serves to find an entry; what counts is signed. */
function requireSubject({ header }: Jws, serial: string, where: string): void {
  const named = stringOf(header.get('uniqueId'))
  if (named === serial) return
  throw manifestError(
    'ERR_MANIFEST_SUBJECT',
    `the header names the element ${named?.slice(0, 64) ?? 'nowhere'}, the payload ${serial}`,
    where,
    'Fetch the manifest again from the maker.',
  )
}

/** A signer's certificate may have ended since; when it signed, it had not. */
function requireTime({ provisionedAt }: ManifestPayload, signer: Signer, where: string): void {
  const { notBefore, notAfter } = signer.certificate
  if (provisionedAt === undefined) return
  if (provisionedAt >= notBefore && provisionedAt < notAfter + 1000) return
  throw manifestError(
    'ERR_MANIFEST_SIGNER',
    'it was provisioned outside the dates of the certificate that signed',
    where,
    'Fetch the manifest again from the maker.',
  )
}

function malformed(what: string, where: string): PeerError<ManifestErrorCode> {
  const hint = 'Give a manifest of the Trust Platform: a JSON array of JWS, or one JWS.'
  return manifestError(
    'ERR_MANIFEST_MALFORMED',
    `the manifest cannot be read: ${what}`,
    where,
    hint,
  )
}

function tooMuch(what: string, where: string): PeerError<ManifestErrorCode> {
  return manifestError('ERR_MANIFEST_LIMIT', what, where, 'Cut the file into smaller ones.')
}

function manifestError(
  code: ManifestErrorCode,
  message: string,
  where: string,
  hint: string,
): PeerError<ManifestErrorCode> {
  const options: ErrorOptions = { where, hint }
  return new PeerError(code, message, {}, options)
}
