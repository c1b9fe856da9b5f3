/**
 * What a certification request (PKCS#10) may ask of this authority. Possession of the key is proved
 * before anything else is looked at; then each thing that we would not certify is refused with its
 * reason, rather than left out silently. The subject and the extensions of the certificate come
 * from its profile, never from here: a request gives a key and, for a device, its serial number and
 * perhaps its EUI-64.
 */
import { hex } from '@countersign/core/codec'
import {
  attributeOf,
  attributeOid,
  type CertificateRequest,
  extensionOid,
  type GeneralName,
  macAddressesOf,
  otherNameOid,
  parseCertificateRequest,
  purposes,
} from '@countersign/core/credential'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Crypto } from '@countersign/core/ports'
import { commonNameLengthMax, serialNumberLengthMax } from './profiles.ts'

export type RequestErrorCode =
  | 'ERR_CSR_MALFORMED'
  | 'ERR_CSR_KEY'
  | 'ERR_CSR_ALGORITHM'
  | 'ERR_CSR_SIGNATURE'
  | 'ERR_CSR_CA'
  | 'ERR_CSR_KEY_USAGE'
  | 'ERR_CSR_PURPOSE'
  | 'ERR_CSR_EXTENSION'
  | 'ERR_CSR_SUBJECT'
  | 'ERR_CSR_NAME'

export interface DeviceRequest {
  readonly spki: Uint8Array
  /** X520SerialNumber of the subject. */
  readonly serial: string
  /** 16 hex digits, or undefined: the product's block gives one. */
  readonly eui64: string | undefined
  /** The AttestationBundle, DER: what the key's element says of it. */
  readonly attestation: Uint8Array | undefined
}

/** A device asks for its identity. */
export function judgeDeviceRequest(der: Uint8Array, crypto: Crypto): DeviceRequest {
  const request = parseProved(der, crypto)
  refuseAuthority(request, [purposes.clientAuth])
  return {
    spki: request.spki.der,
    serial: subjectSerial(request),
    eui64: requestedEui(request.requested.subjectAltName ?? []),
    attestation: request.attestation,
  }
}

export interface KeyRequest {
  readonly spki: Uint8Array
  /** What the request calls itself; the operator who hands it in answers for it. */
  readonly commonName: string | undefined
}

/**
 * A server, an application or a person asks, through the operator: the key is taken, and its
 * possession proved.
 */
export function judgeKeyRequest(der: Uint8Array, crypto: Crypto): KeyRequest {
  const request = parseProved(der, crypto)
  refuseAuthority(request, [
    purposes.serverAuth,
    purposes.clientAuth,
    purposes.application,
    purposes.operator,
  ])
  return {
    spki: request.spki.der,
    commonName: attributeOf(request.subject, attributeOid.commonName),
  }
}

/** The common name of a certificate for a person, a server or an application. */
export function requireName(commonName: string | undefined): string {
  const length = commonName?.length ?? 0
  if (commonName !== undefined && length > 0 && length <= commonNameLengthMax) return commonName
  throw refuse(
    'ERR_CSR_SUBJECT',
    `the subject has no common name of 1 to ${commonNameLengthMax} characters`,
    { where: 'subject', hint: 'Name the holder in the subject: -subj "/CN=alice".' },
  )
}

/** RFC 2986 §4.2: the signature over the request proves possession of the private key. */
function parseProved(der: Uint8Array, crypto: Crypto): CertificateRequest {
  const request = parse(der)
  requireKey(request)
  requireScheme(request)
  if (!verifies(request, crypto)) {
    throw refuse('ERR_CSR_SIGNATURE', 'the request is not signed by the key it carries', {
      where: 'signature',
      hint: 'Make the request again and sign it with the private key whose public key it carries.',
    })
  }
  return request
}

function parse(der: Uint8Array): CertificateRequest {
  try {
    return parseCertificateRequest(der)
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause
    throw refuse('ERR_CSR_MALFORMED', `not a certification request: ${cause.message}`, {
      ...(cause.where === undefined ? {} : { where: cause.where }),
      hint: 'Send one PKCS#10 request in DER, as "openssl req -new -outform DER" writes it.',
      cause,
    })
  }
}

/** P-256 and Ed25519: what every road of this product and every element can verify. */
function requireKey(request: CertificateRequest): void {
  const { algorithm, keyBytes } = request.spki
  const where = 'subjectPKInfo'
  const hint = 'Use an EC key of the curve P-256 (prime256v1), or Ed25519.'
  if (algorithm?.kind === 'ed25519') return
  if (algorithm?.kind !== 'ec' || algorithm.curve !== 'P-256') {
    const kind = algorithm === undefined ? 'of an unknown algorithm' : described(algorithm)
    throw refuse('ERR_CSR_KEY', `the key is ${kind}; P-256 or Ed25519 is wanted`, { where, hint })
  }
  // One key has one encoding: a compressed point would be a second name for a key that is unique in
  // the registry.
  if (keyBytes[0] === 4) return
  throw refuse('ERR_CSR_KEY', 'the point is compressed', {
    where,
    hint: 'Write the public key as an uncompressed point (RFC 5480 §2.2).',
  })
}

function described(algorithm: NonNullable<CertificateRequest['spki']['algorithm']>): string {
  switch (algorithm.kind) {
    case 'rsa':
      return `RSA of ${algorithm.modulusBits} bits`
    case 'ec':
      return `of the curve ${algorithm.curve}`
    case 'ed25519':
      return 'Ed25519'
    case 'x25519':
      return 'X25519'
  }
}

function requireScheme(request: CertificateRequest): void {
  const { scheme } = request
  const isEd25519 = request.spki.algorithm?.kind === 'ed25519'
  if (isEd25519 && scheme?.kind === 'ed25519') return
  if (!isEd25519 && scheme?.kind === 'ecdsa' && scheme.hash !== 'sha1') return
  throw refuse('ERR_CSR_ALGORITHM', `signed with ${request.signatureOid}, which is not accepted`, {
    where: 'signatureAlgorithm',
    hint: 'Sign the request with ecdsa-with-SHA256 ("openssl req -sha256"), or with Ed25519.',
  })
}

function verifies(request: CertificateRequest, crypto: Crypto): boolean {
  const { algorithm, der } = request.spki
  if (algorithm === undefined || request.scheme === undefined) return false
  try {
    const key = crypto.importPublicKey(der, algorithm)
    return crypto.verify(key, request.scheme, request.tbs, request.signature)
  } catch (cause) {
    if (!isCountersignError(cause) || cause.code !== 'ERR_KEY_INVALID') throw cause
    throw refuse('ERR_CSR_KEY', 'the public key is not valid', {
      where: 'subjectPKInfo',
      hint: 'Make a new key: this one is no point of its curve.',
      cause,
    })
  }
}

/** Refuses what would make an authority, a server or something unknown of the holder. */
function refuseAuthority(request: CertificateRequest, allowed: readonly string[]): void {
  const { requested } = request
  if (requested.basicConstraints?.ca === true) {
    throw refuse('ERR_CSR_CA', 'the request asks for a CA certificate', {
      where: 'basicConstraints',
      hint: 'Leave basicConstraints out, or ask for CA:FALSE.',
    })
  }
  for (const bit of ['keyCertSign', 'cRLSign'] as const) {
    if (requested.keyUsage?.has(bit) !== true) continue
    throw refuse('ERR_CSR_KEY_USAGE', `the request asks for ${bit}, which only a CA has`, {
      where: 'keyUsage',
      hint: 'Ask for digitalSignature alone, or leave keyUsage out.',
    })
  }
  const purpose = requested.extKeyUsage?.find((oid) => !allowed.includes(oid))
  if (purpose !== undefined) {
    throw refuse('ERR_CSR_PURPOSE', `the request asks for the purpose ${purpose}`, {
      where: 'extKeyUsage',
      hint: 'Ask for clientAuth alone, or leave extKeyUsage out.',
    })
  }
  // RFC 5280 §4.2: what is critical and not understood must not be passed over.
  const unknown = requested.all.find((one) => one.critical && !understood.has(one.oid))
  if (unknown !== undefined) {
    throw refuse('ERR_CSR_EXTENSION', `the critical extension ${unknown.oid} is not known here`, {
      where: 'extensionRequest',
      hint: 'Leave the extension out, or make it not critical: it will then be ignored.',
    })
  }
}

/** Looked at above, or harmless. */
const understood: ReadonlySet<string> = new Set([
  extensionOid.subjectKeyIdentifier,
  extensionOid.keyUsage,
  extensionOid.subjectAltName,
  extensionOid.basicConstraints,
  extensionOid.extKeyUsage,
])

const printableStringTag = 0x13

function subjectSerial(request: CertificateRequest): string {
  const found = request.subject.rdns.flat().filter((one) => one.type === attributeOid.serialNumber)
  const [first] = found
  const hint = 'Name the device in the subject: -subj "/serialNumber=SN-0001".'
  if (first === undefined || found.length > 1) {
    const count = first === undefined ? 'no' : 'more than one'
    throw refuse('ERR_CSR_SUBJECT', `the subject has ${count} serialNumber`, {
      where: 'subject',
      hint,
    })
  }
  // RFC 5280 appendix A: X520SerialNumber ::= PrintableString (SIZE (1..ub-serial-number)).
  if (first.tag !== printableStringTag || first.text === undefined) {
    throw refuse('ERR_CSR_SUBJECT', 'serialNumber is no PrintableString', {
      where: 'subject',
      hint: "Use letters, digits, space and ' ( ) + , - . / : = ? alone.",
    })
  }
  if (first.text.length > serialNumberLengthMax || first.text.trim() !== first.text) {
    throw refuse(
      'ERR_CSR_SUBJECT',
      `serialNumber is longer than ${serialNumberLengthMax} characters, or has spaces around it`,
      { where: 'subject', hint },
    )
  }
  return first.text
}

const urnPrefix = 'urn:dev:mac:'

/**
 * The EUI-64 that the names give: the MACAddress of an otherName, or the URI of RFC 9039. Two
 * different ones are refused.
 */
export function requestedEui(names: readonly GeneralName[]): string | undefined {
  let eui64: string | undefined
  for (const name of names) {
    const next = euiOf(name)
    if (next === undefined) continue
    if (eui64 !== undefined && eui64 !== next) {
      throw refuse('ERR_CSR_NAME', `the request names two EUI-64: ${eui64} and ${next}`, {
        where: 'subjectAltName',
        hint: 'Name one device.',
      })
    }
    eui64 = next
  }
  return eui64
}

function euiOf(name: GeneralName): string | undefined {
  if (name.kind === 'other' && name.type === otherNameOid.macAddress) {
    const [address] = macAddress(name)
    // An EUI-48 is no device id here.
    if (address?.length === 8) return hex(address)
    throw badName('the MACAddress is no OCTET STRING of 8 octets')
  }
  // Ours to write from the profile; harmless in a request.
  if (name.kind === 'other' && name.type === otherNameOid.hardwareModuleName) return undefined
  if (name.kind === 'uri' && name.value.toLowerCase().startsWith(urnPrefix)) {
    const digits = name.value.slice(urnPrefix.length).toLowerCase()
    if (/^[0-9a-f]{16}$/.test(digits)) return digits
    throw badName('the URI is not urn:dev:mac: and 16 hex digits')
  }
  throw badName(`a device does not get a name of the kind ${name.kind}`)
}

function macAddress(name: GeneralName): readonly Uint8Array[] {
  try {
    return macAddressesOf([name])
  } catch (cause) {
    if (cause instanceof PeerError) return []
    throw cause
  }
}

function badName(message: string): PeerError<RequestErrorCode> {
  return refuse('ERR_CSR_NAME', message, {
    where: 'subjectAltName',
    hint: 'Name the device by a MACAddress otherName or "URI:urn:dev:mac:<eui64>", or leave subjectAltName out.',
  })
}

function refuse(
  code: RequestErrorCode,
  message: string,
  options: { readonly where?: string; readonly hint: string; readonly cause?: unknown },
): PeerError<RequestErrorCode> {
  return new PeerError(code, message, {}, options)
}
