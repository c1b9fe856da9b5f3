/** Signatures over the handshake (RFC 8446 §4.4.3): what is signed, and the server's one checked. */
import { concat, utf8 } from '../codec/index.ts'
import type { VerifiedPeer } from '../credential/index.ts'
import type { Crypto, PublicKey } from '../ports.ts'
import { isYes } from '../verdict.ts'
import { signatureSchemes } from './registry.ts'
import type { CertificateVerifyMessage } from './serverMessages.ts'
import { tlsError } from './tlsError.ts'

/** 64 spaces, so that no signature of an older protocol can pass for one of these. */
const prefix = utf8(' '.repeat(64))

export function signedContent(side: 'client' | 'server', transcriptHash: Uint8Array): Uint8Array {
  const context = utf8(`TLS 1.3, ${side} CertificateVerify`)
  return concat(prefix, context, Uint8Array.of(0), transcriptHash)
}

/** Throws unless the key of the judged certificate signed this handshake. */
export function verifyServerSignature(
  crypto: Crypto,
  peer: VerifiedPeer,
  { scheme: number, signature }: CertificateVerifyMessage,
  transcriptHash: Uint8Array,
): void {
  const row = signatureSchemes.find(({ id, inHandshake }) => id === number && inHandshake)
  // One that was not offered, or PKCS#1 v1.5, which TLS 1.3 keeps out of handshakes.
  if (row === undefined) throw illegal(`signature scheme ${number.toString(16).padStart(4, '0')}`)
  const key = keyOf(peer, crypto)
  if (!row.fits(key.algorithm)) throw illegal('a signature scheme that its key cannot have made')
  const content = signedContent('server', transcriptHash)
  if (isYes(crypto.verify(key, row.scheme, content, signature))) return
  throw tlsError(
    'ERR_TLS_SIGNATURE',
    'the server showed a certificate and does not hold its key: the signature does not verify',
  )
}

/**
 * Keys of servers, as long as a judge remembers them: to parse a leaf again and import its key costs
 * more than the verification.
 */
const keys = new WeakMap<Crypto, WeakMap<VerifiedPeer, PublicKey>>()

function keyOf(peer: VerifiedPeer, crypto: Crypto): PublicKey {
  const imported = keys.get(crypto) ?? new WeakMap<VerifiedPeer, PublicKey>()
  keys.set(crypto, imported)
  const known = imported.get(peer)
  if (known !== undefined) return known
  const { der, algorithm } = peer.leaf.spki
  if (algorithm === undefined) {
    throw tlsError('ERR_TLS_SERVER_KEY', "the server's key is of an algorithm that is not known")
  }
  const key = crypto.importPublicKey(der, algorithm)
  imported.set(peer, key)
  return key
}

function illegal(what: string): Error {
  return tlsError('ERR_TLS_ILLEGAL_PARAMETER', `the server signs with ${what}`)
}
