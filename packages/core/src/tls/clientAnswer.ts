/** The client's own messages: Certificate, CertificateVerify, Finished, KeyUpdate (RFC 8446 §4.4, §4.6.3). */
import { concat } from '../codec/index.ts'
import { parseSpki } from '../credential/index.ts'
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
}

function schemeOf({ scheme, spki }: Signer): number {
  const { algorithm } = parseSpki(spki)
  const number = algorithm === undefined ? undefined : schemeNumber(scheme, algorithm)
  if (number !== undefined) return number
  throw useError(
    'ERR_TLS_CREDENTIAL',
    'TLS 1.3 has no signature scheme for what this signer makes',
    'Use ECDSA P-256 with SHA-256 as DER, or Ed25519.',
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
  if (signature.length > 0 && signature.length <= signatureBytesMax) return signature
  throw signerError(new Error(`it answered ${signature.length} bytes`))
}
