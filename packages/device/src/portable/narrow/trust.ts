/**
 * Is this the server? By the one judge of core: a leaf below the CA whose key was pinned, of role
 * `server`, with the purpose of EDHOC that the method asks for and no other.
 *
 * @example trustPinnedIssuer(crypto, fromHex(invitation.anchor))
 */
import { equalBytes, hex } from '@countersign/core/codec'
import { type Certificate, Judge, parseCertificate } from '@countersign/core/credential'
import { CallerError, PeerError } from '@countersign/core/errors'
import type { Crypto, Milliseconds } from '@countersign/core/ports'
import { misuse } from './errors.ts'
import type { ShownCertificate, TrustInServer } from './parts.ts'

export type NarrowTrustErrorCode = 'ERR_ANCHOR_MISMATCH' | 'ERR_CHAIN_NOT_A_CA'

const digestBytes = 32

/** `anchor`: SHA-256 of the SubjectPublicKeyInfo of the server's issuing CA. */
export function trustPinnedIssuer(crypto: Crypto, anchor: Uint8Array): TrustInServer {
  if (anchor.length !== digestBytes) {
    throw misuse('the anchor is a SHA-256 digest', 'Take it from the invitation of the server.')
  }
  let at: Milliseconds = 0
  let known: { readonly issuer: Uint8Array; readonly judge: Judge } | undefined
  return (shown) => {
    const { leaf, issuer, purpose } = shown
    if (known === undefined || issuer === undefined || !equalBytes(known.issuer, issuer)) {
      const certificate = pinned(crypto, anchor, shown)
      known = { issuer: certificate.der, judge: judgeUnder(certificate, crypto, () => at) }
    }
    at = shown.at
    return known.judge.judge(leaf, [], { role: 'server', purpose })
  }
}

function pinned(crypto: Crypto, anchor: Uint8Array, { issuer }: ShownCertificate): Certificate {
  if (issuer === undefined) throw mismatch('the server did not show who issued its certificate')
  const certificate = parseCertificate(issuer)
  const digest = crypto.hash('sha256', certificate.spki.der)
  if (equalBytes(digest, anchor)) return certificate
  throw mismatch(`its issuer has the key ${hex(digest)}`)
}

function judgeUnder(certificate: Certificate, crypto: Crypto, now: () => Milliseconds): Judge {
  const anchor = { role: 'server', certificate, origin: 'house', scope: {} } as const
  try {
    return new Judge({ crypto, clock: { now }, anchors: [anchor], cachedLeavesMax: 8 })
  } catch (cause) {
    if (!(cause instanceof CallerError)) throw cause
    // Only its key was pinned: what stands around it is the server's word, not our caller's.
    throw new PeerError<NarrowTrustErrorCode>(
      'ERR_CHAIN_NOT_A_CA',
      `the certificate of the pinned key anchors nothing: ${cause.message}`,
      {},
      { where: 'anchor', hint: 'Have the server send the certificate of its issuing CA.', cause },
    )
  }
}

function mismatch(what: string): PeerError<NarrowTrustErrorCode> {
  return new PeerError(
    'ERR_ANCHOR_MISMATCH',
    `the server is not the one of the anchor: ${what}`,
    {},
    {
      hint: 'Compare the anchor with the invitation of the right server; if it is right, somebody stands in between.',
    },
  )
}
