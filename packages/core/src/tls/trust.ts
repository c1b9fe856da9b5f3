/**
 * Is this the server? The one judge says it, of what the handshake showed: path, role, explicit
 * serverAuth, the name (RFC 9525), a stapled OCSP response where there is one. An anchor is known
 * beforehand, or is that CA of the handshake whose key was pinned.
 */
import { equalBytes, hex } from '../codec/index.ts'
import {
  type Certificate,
  type ChainErrorCode,
  type Expectation,
  ipAddress,
  Judge,
  parseCertificate,
  type VerifiedPeer,
} from '../credential/index.ts'
import { CallerError, PeerError } from '../errors.ts'
import type { Clock, Crypto } from '../ports.ts'
import { useError } from './tlsError.ts'

export type TrustErrorCode = 'ERR_ANCHOR_MISMATCH'

/** What a server showed: DER, leaf first; and the OCSP response beside the leaf. */
export interface PresentedChain {
  readonly chain: readonly Uint8Array[]
  readonly staple: Uint8Array | undefined
  /** Whether we asked for one: a server whose certificate promises it then has no excuse. */
  readonly isStapleAsked: boolean
}

/** Returns the proof, or throws the reason. Asked in each handshake, resumed ones too. */
export type ServerTrust = (presented: PresentedChain) => VerifiedPeer

/** A server of this name below the judge's anchors of role `server`. */
export function trustAnchors(judge: Judge, host: string): ServerTrust {
  const kind = ipAddress(host) === undefined ? 'DNS' : 'IP'
  const expectation: Expectation = {
    role: 'server',
    purpose: 'serverAuth',
    name: { kind, value: host },
  }
  return ({ chain: [leaf, ...others], staple, isStapleAsked }) => {
    const asked = { ...expectation, stapleExpected: isStapleAsked }
    return judge.judge(leaf ?? none, others, asked, staple)
  }
}

export interface Pin {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly host: string
  /** SHA-256 of the SubjectPublicKeyInfo of the server's issuing CA, 64 hex digits. */
  readonly anchor: string
}

/**
 * A server of this name below the CA whose key was pinned, which the server sends with its leaf.
 *
 * @example
 * trustPinned({ crypto: nodeCrypto, clock, host: 'gate.example', anchor: invitation.anchor })
 */
export function trustPinned(given: Pin): ServerTrust {
  const pin = { ...given, anchor: digestOf(given.anchor) }
  let known: { readonly anchor: Certificate; readonly trust: ServerTrust } | undefined
  return (presented) => {
    // A CA that got a new certificate for its key is the same anchor in other bytes.
    if (known === undefined || !shows(presented, known.anchor)) {
      const anchor = pinned(presented, pin)
      known = { anchor, trust: trustAnchors(judgeUnder(anchor, pin), pin.host) }
    }
    return known.trust(beside(known.anchor, presented))
  }
}

function digestOf(anchor: string): string {
  if (/^[0-9a-f]{64}$/i.test(anchor)) return anchor.toLowerCase()
  throw useError(
    'ERR_TLS_POLICY',
    'the anchor is a SHA-256 digest: 64 hex digits',
    'Take it from the invitation of the server.',
  )
}

/** The judge has its anchor: it is not parsed again as something that the server says. */
function beside({ der: anchor }: Certificate, presented: PresentedChain): PresentedChain {
  const [leaf = none, ...others] = presented.chain
  return { ...presented, chain: [leaf, ...others.filter((der) => !equalBytes(der, anchor))] }
}

function shows({ chain }: PresentedChain, anchor: Certificate): boolean {
  return chain.slice(1).some((der) => equalBytes(der, anchor.der))
}

function judgeUnder(certificate: Certificate, { crypto, clock }: Pin): Judge {
  const anchor = { role: 'server', certificate, origin: 'house', scope: {} } as const
  try {
    return new Judge({ crypto, clock, anchors: [anchor] })
  } catch (cause) {
    if (!(cause instanceof CallerError)) throw cause
    // Only its key was pinned: what stands around it is the server's word, not our caller's.
    throw new PeerError<ChainErrorCode>(
      'ERR_CHAIN_NOT_A_CA',
      `the certificate of the pinned key anchors nothing: ${cause.message}`,
      {},
      { where: 'anchor', hint: 'Have the server send the certificate of its issuing CA.', cause },
    )
  }
}

function pinned({ chain }: PresentedChain, { crypto, anchor, host }: Pin): Certificate {
  for (const [index, der] of chain.slice(1).entries()) {
    const ca = parsed(der, index + 1)
    if (hex(crypto.hash('sha256', ca.spki.der)) === anchor) return ca
  }
  throw new PeerError<TrustErrorCode>(
    'ERR_ANCHOR_MISMATCH',
    'the server is not the one of the anchor; nothing was sent to it',
    { chainLength: chain.length },
    {
      where: host,
      hint: 'Compare the anchor with the invitation of the right server; if it is right, somebody stands in between.',
    },
  )
}

/** As the judge words it, who has not seen this one yet. */
function parsed(der: Uint8Array, index: number): Certificate {
  try {
    return parseCertificate(der)
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause
    throw new PeerError<ChainErrorCode>(
      'ERR_CERT_MALFORMED',
      `certificate ${index} cannot be read: ${cause.message}`,
      {},
      {
        where: `link ${index}: ${cause.where ?? 'DER'}`,
        hint: 'Send X.509 version 3 certificates in DER.',
        cause,
      },
    )
  }
}

const none = new Uint8Array()
