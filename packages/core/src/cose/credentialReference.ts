/**
 * How a message names the credential of its sender: kid (RFC 9052 §3.1), x5chain, x5t, x5u
 * (RFC 9360 §2), one or several of them, as headers of a message or as ID_CRED_x of EDHOC (RFC 9528
 * §3.5.3). Certificates are not parsed here, and URIs are not fetched. What is read throws
 * PeerError ERR_COSE_CREDENTIAL, ERR_COSE_ALGORITHM or ERR_CBOR_*. Leaves out: x5bag, CWT claims
 * sets by value, C509.
 */
import { CborReader, cbor, concat, equalBytes } from '../codec/index.ts'
import type { Crypto } from '../ports.ts'
import { type AlgorithmId, coseHash, type HashAlgorithm, hashAlgorithm } from './algorithms.ts'
import { encodeByteIdentifier, readByteIdentifier } from './byteIdentifier.ts'
import { coseError, coseLimits } from './errors.ts'
import { encodeMap, type HeaderEntry, type HeaderLabel, headerLabel, readMap } from './headers.ts'

/** RFC 9360 §2. */
const x5Label = { x5chain: 33, x5t: 34, x5u: 35 } as const

/** The head of tag 32, a URI (RFC 8949 §3.4.5.3). */
const uriTag: Uint8Array = Uint8Array.of(0xd8, 0x20)

/** The hash of a certificate's DER, or the first bytes of one. */
export interface Thumbprint {
  readonly algorithm: HashAlgorithm
  readonly value: Uint8Array
}

/** At least one of them. */
export interface CredentialReference {
  readonly kid?: Uint8Array
  readonly x5t?: Thumbprint
  /** DER, the leaf first. */
  readonly x5chain?: readonly Uint8Array[]
  readonly x5u?: string
}

/** The map of all of them, as ID_CRED_x is. */
export function encodeCredentialReference(reference: CredentialReference): Uint8Array {
  return encodeMap(credentialHeaders(reference))
}

/** The same as headers of a message. */
export function credentialHeaders({
  kid,
  x5t,
  x5chain,
  x5u,
}: CredentialReference): readonly HeaderEntry[] {
  const entries: HeaderEntry[] = []
  if (kid !== undefined) entries.push([headerLabel.kid, cbor.byteString(kid)])
  if (x5chain !== undefined) entries.push([x5Label.x5chain, encodeChain(x5chain)])
  if (x5t !== undefined) {
    const pair = cbor.array(cbor.int(x5t.algorithm.id), cbor.byteString(x5t.value))
    entries.push([x5Label.x5t, pair])
  }
  if (x5u !== undefined) entries.push([x5Label.x5u, concat(uriTag, cbor.textString(x5u))])
  return entries
}

/** The next item of the reader: a map of references and nothing else, as ID_CRED_x is. */
export function readCredentialReference(
  reader: CborReader,
  field: string,
  where: string,
): CredentialReference {
  const path = `${where}.${field}`
  const entries = readMap(reader, field, where)
  for (const label of entries.keys()) {
    if (!labels.has(label)) throw unnamed(`header ${label} names no credential here`, path)
  }
  if (entries.size === 0) throw unnamed('it names nothing', path)
  return referenceOf(entries, path)
}

/** As a plaintext of EDHOC carries it: a kid alone travels without its map (RFC 9528 §3.5.3.2). */
export function encodeCompactReference(reference: CredentialReference): Uint8Array {
  const { kid, ...others } = reference
  const alone = kid !== undefined && Object.values(others).every((value) => value === undefined)
  return alone ? encodeByteIdentifier(kid) : encodeCredentialReference(reference)
}

/**
 * What `encodeCompactReference` makes; a map with a kid alone is its other encoding, and refused.
 */
export function readCompactReference(
  reader: CborReader,
  field: string,
  where: string,
): CredentialReference {
  if (reader.peek() !== 'map') return { kid: readByteIdentifier(reader, field) }
  const reference = readCredentialReference(reader, field, where)
  const names = Object.keys(reference)
  if (names.length > 1 || names[0] !== 'kid') return reference
  throw unnamed('a kid alone goes without its map', `${where}.${field}`)
}

/** The references among the headers of a message; empty when there is none. */
export function referenceOf(
  entries: ReadonlyMap<HeaderLabel, Uint8Array>,
  where: string,
): CredentialReference {
  const read = <Value>(
    label: number,
    name: string,
    parse: (reader: CborReader, path: string) => Value,
  ): Value | undefined => {
    const value = entries.get(label)
    if (value === undefined) return undefined
    const path = `${where}.${name}`
    return parse(new CborReader(value, path), path)
  }
  const kid = read(headerLabel.kid, 'kid', readKid)
  const x5chain = read(x5Label.x5chain, 'x5chain', readChain)
  const x5t = read(x5Label.x5t, 'x5t', readThumbprint)
  const x5u = read(x5Label.x5u, 'x5u', readUri)
  return {
    ...(kid === undefined ? {} : { kid }),
    ...(x5chain === undefined ? {} : { x5chain }),
    ...(x5t === undefined ? {} : { x5t }),
    ...(x5u === undefined ? {} : { x5u }),
  }
}

/** x5t of a certificate's DER. */
export function thumbprint(
  crypto: Pick<Crypto, 'hash'>,
  algorithm: HashAlgorithm,
  certificate: Uint8Array,
): Thumbprint {
  return { algorithm, value: coseHash(crypto, algorithm, certificate) }
}

/** A thumbprint of eight bytes finds a credential and proves nothing (RFC 9360 §2). */
export function isThumbprintOf(
  crypto: Pick<Crypto, 'hash'>,
  { algorithm, value }: Thumbprint,
  certificate: Uint8Array,
): boolean {
  return equalBytes(coseHash(crypto, algorithm, certificate), value)
}

const labels: ReadonlySet<HeaderLabel> = new Set<HeaderLabel>([
  headerLabel.kid,
  ...Object.values(x5Label),
])

function encodeChain(chain: readonly Uint8Array[]): Uint8Array {
  const [leaf] = chain
  // RFC 9360 §2: one certificate is a byte string, two or more are an array of them.
  if (chain.length === 1 && leaf !== undefined) return cbor.byteString(leaf)
  return cbor.array(...chain.map((certificate) => cbor.byteString(certificate)))
}

function readKid(reader: CborReader): Uint8Array {
  return reader.byteString('value', coseLimits.identifierBytesMax)
}

function readChain(reader: CborReader, path: string): readonly Uint8Array[] {
  if (reader.peek() !== 'array') return [readCertificate(reader, path)]
  const count = reader.array('certificates')
  if (count < 2) throw unnamed('an array has two certificates at least', path)
  if (count > coseLimits.chainLengthMax) {
    throw unnamed(`more than ${coseLimits.chainLengthMax} certificates`, path)
  }
  return Array.from({ length: count }, () => readCertificate(reader, path))
}

function readCertificate(reader: CborReader, path: string): Uint8Array {
  const certificate = reader.byteString('certificate', coseLimits.certificateBytesMax)
  if (certificate.length === 0) throw unnamed('a certificate without bytes', path)
  return certificate
}

function readThumbprint(reader: CborReader, path: string): Thumbprint {
  if (reader.array('pair') !== 2) throw unnamed('a thumbprint is an algorithm and a value', path)
  const id: AlgorithmId =
    reader.peek() === 'text'
      ? reader.textString('algorithm', coseLimits.identifierBytesMax)
      : reader.int('algorithm')
  const algorithm = hashAlgorithm(id, path)
  const value = reader.byteString('value', coseLimits.identifierBytesMax)
  if (value.length !== algorithm.length) {
    throw unnamed(`${value.length} bytes, the hash has ${algorithm.length}`, path)
  }
  return { algorithm, value }
}

/** RFC 9360 §2: a URI is text under tag 32. RFC 3986 §2: it is ASCII without spaces. */
function readUri(reader: CborReader, path: string): string {
  const tagged = reader.raw('uri')
  if (!equalBytes(tagged.subarray(0, uriTag.length), uriTag)) throw unnamed('it is no URI', path)
  const text = new CborReader(tagged.subarray(uriTag.length), path)
  const uri = text.textString('uri', coseLimits.uriBytesMax)
  if (!/^[!-~]+$/.test(uri)) throw unnamed('a URI is printable ASCII without spaces', path)
  return uri
}

function unnamed(what: string, where: string): ReturnType<typeof coseError> {
  return coseError('ERR_COSE_CREDENTIAL', what, where)
}
