/**
 * The server's encrypted messages: EncryptedExtensions (RFC 8446 §4.3.1), CertificateRequest
 * (§4.3.2), Certificate (§4.4.2), CertificateVerify (§4.4.3), NewSessionTicket (§4.6.1), KeyUpdate
 * (§4.6.3). Bytes to typed values; whether they fit the handshake is the states' to say.
 */
import { ascii } from '../codec/index.ts'
import { type Extensions, missing, readExtensions } from './extensions.ts'
import { chainLengthMax, plaintextBytesMax, recordSizeLimitMin } from './limits.ts'
import { extensionType } from './registry.ts'
import { tlsError } from './tlsError.ts'
import type { PresentedChain } from './trust.ts'
import { WireReader } from './wire.ts'

export interface EncryptedExtensions {
  readonly alpn: string | undefined
  /** Most bytes of content in a record that we send. */
  readonly contentMax: number
}

export function parseEncryptedExtensions(
  body: Uint8Array,
  asked: ReadonlySet<number>,
  offeredAlpn: readonly string[],
): EncryptedExtensions {
  const reader = new WireReader(body, 'EncryptedExtensions')
  const { serverName, supportedGroups, alpn, recordSizeLimit } = extensionType
  const here = [serverName, supportedGroups, alpn, recordSizeLimit]
  const extensions = readExtensions(reader, { message: 'EncryptedExtensions', here, asked })
  reader.end()
  const name = extensions.get(serverName)
  // RFC 6066 §3: an empty acknowledgement.
  if (name !== undefined && name.length > 0) throw decode('server_name is not empty')
  // What groups the server would like is good to know for a later connection, and no more.
  return {
    alpn: chosenProtocol(extensions.get(alpn), offeredAlpn),
    contentMax: sendLimit(extensions.get(recordSizeLimit)),
  }
}

/** RFC 7301 §3.1: exactly one name, of ours. */
function chosenProtocol(
  body: Uint8Array | undefined,
  offered: readonly string[],
): string | undefined {
  if (body === undefined) return undefined
  const reader = new WireReader(body, 'ALPN answer')
  const list = reader.list(2, 2)
  const chosen = list.vector(1, 1)
  list.end()
  reader.end()
  const name = offered.find((each) => each === ascii(chosen))
  if (name === undefined) throw illegal('a protocol that was not offered')
  return name
}

/** RFC 8449 §4: with the byte of the content type; less than 64 is an error. */
function sendLimit(body: Uint8Array | undefined): number {
  if (body === undefined) return plaintextBytesMax
  const reader = new WireReader(body, 'record_size_limit')
  const limit = reader.u16()
  reader.end()
  if (limit < recordSizeLimitMin) throw illegal(`a record size limit of ${limit}`)
  return Math.min(limit - 1, plaintextBytesMax)
}

export interface CertificateRequestMessage {
  /** SignatureScheme numbers that the server verifies. */
  readonly schemes: readonly number[]
}

export function parseCertificateRequest(body: Uint8Array): CertificateRequestMessage {
  const reader = new WireReader(body, 'CertificateRequest')
  requireNoContext(reader)
  // Unknown extensions are to be ignored here (RFC 8446 §4.3.2), hence nothing is held against ours.
  const here = [
    extensionType.statusRequest,
    extensionType.signatureAlgorithms,
    extensionType.certificateAuthorities,
  ]
  const extensions = readExtensions(reader, {
    message: 'CertificateRequest',
    here,
    asked: undefined,
  })
  reader.end()
  const algorithms = extensions.get(extensionType.signatureAlgorithms)
  if (algorithms === undefined) {
    throw missing('CertificateRequest', extensionType.signatureAlgorithms)
  }
  const outer = new WireReader(algorithms, 'signature_algorithms')
  const list = outer.list(2, 2)
  outer.end()
  const schemes: number[] = []
  while (list.left > 0) schemes.push(list.u16())
  return { schemes }
}

/** RFC 8446 §4.4.2: not empty in a handshake only after it, which we never offer. */
function requireNoContext(reader: WireReader): void {
  if (reader.vector(1).length > 0) throw illegal('a request context within the handshake')
}

/** Kept as long as the connection and its tickets: copied out of the record that it came in. */
export function parseCertificate(body: Uint8Array, asked: ReadonlySet<number>): PresentedChain {
  const reader = new WireReader(body, 'Certificate')
  requireNoContext(reader)
  const list = reader.list(3)
  reader.end()
  const chain: Uint8Array[] = []
  let staple: Uint8Array | undefined
  while (list.left > 0) {
    if (chain.length >= chainLengthMax) {
      throw tlsError('ERR_TLS_LIMIT', `a chain of more than ${chainLengthMax} certificates`)
    }
    const der = list.vector(3, 1)
    const here = [extensionType.statusRequest]
    const extensions = readExtensions(list, { message: 'Certificate', here, asked })
    // A staple for a CA is allowed and says nothing that we judge by.
    if (chain.length === 0) staple = stapleIn(extensions)
    chain.push(new Uint8Array(der))
  }
  if (chain.length === 0) {
    throw tlsError('ERR_TLS_NO_CERTIFICATE', 'the server shows no certificate')
  }
  return { chain, staple, isStapleAsked: asked.has(extensionType.statusRequest) }
}

function stapleIn(extensions: Extensions): Uint8Array | undefined {
  const body = extensions.get(extensionType.statusRequest)
  if (body === undefined) return undefined
  const reader = new WireReader(body, 'CertificateStatus')
  const type = reader.u8()
  if (type !== 1) throw illegal(`a certificate status of type ${type}`)
  const response = reader.vector(3, 1)
  reader.end()
  return new Uint8Array(response)
}

export interface CertificateVerifyMessage {
  readonly scheme: number
  readonly signature: Uint8Array
}

export function parseCertificateVerify(body: Uint8Array): CertificateVerifyMessage {
  const reader = new WireReader(body, 'CertificateVerify')
  const scheme = reader.u16()
  const signature = reader.vector(2)
  reader.end()
  return { scheme, signature }
}

export interface NewSessionTicket {
  readonly lifetimeSeconds: number
  readonly ageAdd: number
  readonly nonce: Uint8Array
  readonly ticket: Uint8Array
}

export function parseNewSessionTicket(body: Uint8Array): NewSessionTicket {
  const reader = new WireReader(body, 'NewSessionTicket')
  const lifetimeSeconds = reader.u32()
  const ageAdd = reader.u32()
  const nonce = reader.vector(1)
  const ticket = reader.vector(2, 1)
  // early_data may stand here unasked; what is unknown is to be ignored (RFC 8446 §4.6.1).
  const here = [extensionType.earlyData]
  readExtensions(reader, { message: 'NewSessionTicket', here, asked: undefined })
  reader.end()
  return { lifetimeSeconds, ageAdd, nonce, ticket }
}

/** True: the peer wants one of us too. */
export function parseKeyUpdate(body: Uint8Array): boolean {
  const reader = new WireReader(body, 'KeyUpdate')
  const request = reader.u8()
  reader.end()
  if (request > 1) throw illegal(`a KeyUpdate of kind ${request}`)
  return request === 1
}

function illegal(what: string): Error {
  return tlsError('ERR_TLS_ILLEGAL_PARAMETER', `the server sent ${what}`)
}

function decode(reason: string): Error {
  return tlsError('ERR_TLS_DECODE', `malformed EncryptedExtensions: ${reason}`)
}
