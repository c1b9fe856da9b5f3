/**
 * The device's side of EST (RFC 7030 §4.2): a PKCS#10 request signed by the element, with what the
 * element says of its key where it can (attestation.ts), a certs-only answer, and the checks that the answer is a certificate for this very key and these names. Trust
 * in the server comes from the connection; certificates that come along are carried, never
 * believed. `cacerts` creates no trust and is not asked.
 */
import { fromBase64, hex, pem } from '@countersign/core/codec'
import {
  attributeOid,
  type Certificate,
  createCertificateRequest,
  euiFromCertificate,
  type GeneralName,
  macAddressesOf,
  type NameAttribute,
  parseCertificate,
  parseCertsOnly,
  serialNumberOf,
} from '@countersign/core/credential'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type { SecureElement } from '@countersign/element/ports'
import { elementSigner } from '@countersign/element/signer'
import { attestationFor } from './attestation.ts'
import type { Answer, ServerConnection } from './connect.ts'
import type { DeviceErrorCode } from './errors.ts'
import { type Problem, readProblem, retryAfterMs } from './problem.ts'
import { Later } from './retry.ts'

export interface EnrollRequest {
  readonly operation: 'simpleenroll' | 'simplereenroll'
  readonly element: SecureElement
  readonly slot: number
  readonly subject: readonly NameAttribute[]
  readonly altNames: readonly GeneralName[]
  /**
   * Password of HTTP Basic, user `token`; undefined for a renewal, where the certificate of the
   * connection speaks.
   */
  readonly token: string | undefined
}

/** Certificates as PEM, leaf first. */
export async function simpleEnroll(
  connection: Pick<ServerConnection, 'ask'>,
  request: EnrollRequest,
): Promise<string> {
  const signer = await elementSigner(request.element, request.slot)
  const authorization = request.token === undefined ? undefined : basic(request.token)
  const attestation = await attestationFor(connection, { ...request, authorization }, (answer) =>
    problemOf(answer, request),
  )
  const csr = await createCertificateRequest({
    subject: request.subject,
    altNames: request.altNames,
    signer,
    ...(attestation === undefined ? {} : { attestation }),
  })
  const answer = await connection.ask({
    method: 'POST',
    path: `/.well-known/est/${request.operation}`,
    headers: {
      'content-type': 'application/pkcs10',
      'content-transfer-encoding': 'base64',
      ...(authorization === undefined ? {} : { authorization }),
    },
    body: Buffer.from(Buffer.from(csr).toString('base64')),
  })
  if (answer.status === 200) return readCertificates(answer, request, signer.spki)
  throw problemOf(answer, request)
}

function basic(token: string): string {
  return `Basic ${Buffer.from(`token:${token}`).toString('base64')}`
}

/** RFC 7030 §4.2.3: a certs-only PKCS#7 in base64 whose leaf is for our key. */
function readCertificates(answer: Answer, request: EnrollRequest, spki: Uint8Array): string {
  let parsed: readonly { readonly der: Uint8Array; readonly certificate: Certificate }[]
  try {
    const text = Buffer.from(answer.body).toString('latin1').replaceAll(/\s/g, '')
    const certificates = parseCertsOnly(fromBase64(text))
    parsed = certificates.map((der) => ({ der, certificate: parseCertificate(der) }))
  } catch (error) {
    throw mismatch('the answer is not a certs-only message', error)
  }
  const ours = Buffer.from(spki)
  const leaf = parsed.find(({ certificate }) => ours.equals(certificate.spki.der))
  if (leaf === undefined) throw mismatch('no certificate of the answer is for our key', undefined)
  const serial = request.subject.find(({ type }) => type === attributeOid.serialNumber)?.value
  if (serialNumberOf(leaf.certificate.subject) !== serial) {
    throw mismatch('the certificate names another serial number', undefined)
  }
  if (leaf.certificate.extensions.basicConstraints?.ca === true) {
    throw mismatch('the certificate is one of a CA', undefined)
  }
  requireEui(leaf.certificate, request)
  const others = parsed.filter((each) => each !== leaf)
  return [leaf, ...others].map(({ der }) => pem('CERTIFICATE', der)).join('')
}

/**
 * An identity that was not asked for is nobody's: its topics and its readings would be another
 * device's.
 */
function requireEui(certificate: Certificate, { altNames }: EnrollRequest): void {
  const [asked] = macAddressesOf(altNames).filter((address) => address.length === 8)
  let named: string | undefined
  try {
    named = euiFromCertificate(certificate)
  } catch (error) {
    throw mismatch('the certificate does not name one EUI-64', error)
  }
  if (asked === undefined || hex(asked) === named) return
  throw mismatch('the certificate names another EUI-64', undefined)
}

function mismatch(why: string, cause: unknown): PeerError<DeviceErrorCode> {
  return new PeerError(
    'ERR_CERT_MISMATCH',
    `the server issued something else than was asked for: ${why}`,
    {},
    {
      where: 'EST answer',
      hint: 'Tell the operator of the server.',
      ...(isCountersignError(cause) ? { cause } : {}),
    },
  )
}

function problemOf(answer: Answer, request: EnrollRequest): Error {
  const problem = readProblem(answer)
  if (answer.status >= 500 || answer.status === 429 || answer.status === 408) {
    return laterOf(problem, retryAfterMs(answer), request)
  }
  const details = { status: problem.status, code: problem.code }
  if (request.operation === 'simplereenroll') {
    return new PeerError<DeviceErrorCode>(
      'ERR_RENEW_REFUSED',
      `the server did not renew the certificate: ${problem.message}`,
      details,
      {
        hint:
          problem.hint ??
          'The operator finds the reason with "countersign identity why"; the present certificate is kept.',
      },
    )
  }
  return new PeerError<DeviceErrorCode>(
    'ERR_ENROLL_REFUSED',
    `the server did not enrol this device: ${problem.message}`,
    details,
    { hint: problem.hint ?? enrollHint(problem) },
  )
}

function laterOf(
  problem: Problem,
  afterMs: Milliseconds | undefined,
  { operation }: EnrollRequest,
): Later {
  const what =
    operation === 'simpleenroll'
      ? 'the server cannot enrol this device now'
      : 'the server cannot renew the certificate now'
  const when = afterMs === undefined ? 'later' : `in ${Math.ceil(afterMs / 1000)} seconds`
  return new Later(what, problem, afterMs, problem.hint ?? `Try again ${when}; the key is kept.`)
}

function enrollHint(problem: Problem): string {
  if (problem.status === 401) {
    return 'The token is wrong, expired or used up: ask for a new one ("countersign identity invite").'
  }
  return 'Compare --serial and --eui64 with what the invitation allows.'
}
