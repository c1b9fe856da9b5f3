/** The client's own messages: Certificate, CertificateVerify, Finished, KeyUpdate (RFC 8446 §4.4, §4.6.3). */
import { concat, equalBytes, tag } from '../codec/index.ts'
import { parseCertificate, parseSpki } from '../credential/index.ts'
import type { Signer } from '../ports.ts'
import { signedContent } from './certificateVerify.ts'
import { chainLengthMax } from './limits.ts'
import type { HandshakeOptions } from './negotiation.ts'
import { handshakeType, schemeNumber } from './registry.ts'
import type { CertificateRequestMessage } from './serverMessages.ts'
import { signerError, tlsError, useError } from './tlsError.ts'
import type { Transcript } from './transcript.ts'
import { u8, u16, vector } from './wire.ts'

function message(type: keyof typeof handshakeType, ...body: readonly Uint8Array[]): Uint8Array {
  return concat(u8(handshakeType[type]), vector(3, ...body))
}

export function encodeFinished(verifyData: Uint8Array): Uint8Array {
  return message('finished', verifyData)
}

export function encodeKeyUpdate(isRequest: boolean): Uint8Array {
  return message('keyUpdate', u8(isRequest ? 1 : 0))
}

/** Who cannot answer the request says so with an empty list (RFC 8446 §4.4.2). */
function encodeCertificate(chain: readonly Uint8Array[]): Uint8Array {
  const entries = chain.map((der) => concat(vector(3, der), u16(0)))
  return message('certificate', u8(0), vector(3, ...entries))
}

/** Certificate, and CertificateVerify where there is one. Both are in the transcript afterwards. */
export async function proveSelf(
  { credential }: HandshakeOptions,
  { schemes }: CertificateRequestMessage,
  transcript: Transcript,
): Promise<readonly Uint8Array[]> {
  if (credential === undefined) {
    const nobody = encodeCertificate([])
    transcript.add(nobody)
    return [nobody]
  }
  const { chain, signer } = credential
  const scheme = schemeOf(signer)
  // Before the element works for it.
  if (!schemes.includes(scheme)) {
    throw tlsError(
      'ERR_TLS_NO_SCHEME',
      'the server takes no signature that this element can make',
      {
        scheme,
      },
    )
  }
  const certificate = encodeCertificate(chain)
  transcript.add(certificate)
  const signature = await signed(signer, signedContent('client', transcript.digest()))
  const verify = message('certificateVerify', u16(scheme), vector(2, signature))
  transcript.add(verify)
  return [certificate, verify]
}

/** Found when a client is made, not in the middle of its handshake. */
export function requireCredential({ credential }: Pick<HandshakeOptions, 'credential'>): void {
  if (credential === undefined) return
  if (credential.chain.length === 0 || credential.chain.length > chainLengthMax) {
    throw useError(
      'ERR_TLS_CREDENTIAL',
      `a credential has 1 to ${chainLengthMax} certificates, not ${credential.chain.length}`,
      'Give the leaf first, then the CA certificates that the server lacks.',
    )
  }
  schemeOf(credential.signer)
  const [leaf] = credential.chain
  if (leaf === undefined) return
  if (equalBytes(keyOf(leaf), credential.signer.spki)) return
  throw useError(
    'ERR_TLS_CREDENTIAL',
    "the signer's key is not the one of the certificate",
    'Name the slot for whose key the certificate was issued.',
  )
}

function keyOf(leaf: Uint8Array): Uint8Array {
  try {
    return parseCertificate(leaf).spki.der
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : ''
    throw useError(
      'ERR_TLS_CREDENTIAL',
      `the leaf of the credential is no certificate: ${said}`,
      'Give X.509 version 3 certificates in DER.',
    )
  }
}

function schemeOf({ scheme, spki }: Signer): number {
  const { algorithm } = parseSpki(spki)
  const number = algorithm === undefined ? undefined : schemeNumber(scheme, algorithm)
  if (number !== undefined) return number
  throw useError(
    'ERR_TLS_CREDENTIAL',
    'TLS 1.3 has no signature scheme for what this signer makes',
    "Its scheme is { kind: 'ecdsa', hash: 'sha256', encoding: 'der' } for P-256, or { kind: 'ed25519' }.",
  )
}

/** Of RSA with 8192 bits; the longest that a signer here could mean. */
const signatureBytesMax = 1024

async function signed(signer: Signer, content: Uint8Array): Promise<Uint8Array> {
  let signature: Uint8Array
  try {
    signature = await signer.sign(content)
  } catch (cause) {
    throw signerError(cause)
  }
  const flaw = flawOf(signature, signer)
  if (flaw === undefined) return signature
  throw signerError(new Error(flaw))
}

/** What can be seen without a verification, which is the server's. */
function flawOf(signature: unknown, { scheme }: Signer): string | undefined {
  if (!(signature instanceof Uint8Array)) return 'it answered no bytes'
  const { length } = signature
  if (length === 0 || length > signatureBytesMax) return `it answered ${length} bytes`
  if (scheme.kind === 'ed25519' && length !== 64)
    return `it answered ${length} bytes for Ed25519's 64`
  if (scheme.kind !== 'ecdsa') return undefined
  // RFC 8446 §4.2.3: a DER SEQUENCE of r and s; with P-521 its length takes two bytes.
  const [first, second, third] = signature
  const isWhole = second === length - 2 || (second === 0x81 && third === length - 3)
  if (first === tag.sequence && isWhole) return undefined
  return 'it did not answer r and s as DER; what a chip gives as r || s is made that by ecdsaToDer'
}
