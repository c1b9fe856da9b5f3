/**
 * The decision about an initiator (RFC 9528 §3.5, Appendix D): its certificate judged, its key
 * shown, then the registry asked, in this order. What the registry accepts and notes is of a device
 * that has shown its key.
 */
import type { VerifiedPeer } from '@countersign/core/credential'
import {
  type Authenticated,
  type JudgeInitiator,
  type Method,
  type TrustedCredential,
  trustedCertificate,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { InvariantError, PeerError } from '@countersign/core/errors'
import type { Crypto } from '@countersign/core/ports'
import type { Admitted, Gatekeeper } from '../../ports.ts'
import { reasonOf } from '../roleJudge.ts'
import type { RefusalReason } from '../session.ts'
import type { Candidate, DeviceJudge } from './deviceJudge.ts'

export interface AuthenticateParts {
  readonly crypto: Crypto
  readonly devices: DeviceJudge
  readonly registry: Pick<Gatekeeper, 'admit'>
}

/** What message_1 has settled. */
export interface Agreed {
  readonly method: Method
  readonly suite: UsableSuite
  /** It did not ask for the server's certificate by value. */
  readonly knowsServer: boolean
}

export interface Proven {
  readonly authenticated: Authenticated
  readonly peer: VerifiedPeer
  readonly admitted: Admitted
}

/** Of a peer that was turned away: whose certificate it was. */
export class TurnedOut extends Error {
  readonly refusal: RefusalReason
  readonly fingerprint: string | undefined
  /**
   * It was judged before its key was shown (RFC 9528 §3.5), so anybody may have named it. No proof
   * is looked at with a key that was refused: no such key is a way in.
   */
  readonly isNamedOnly: boolean
  readonly isUnknown: boolean

  constructor(cause: PeerError, fingerprint: string | undefined, isNamedOnly: boolean) {
    super(cause.message, { cause })
    this.name = 'TurnedOut'
    this.refusal = reasonOf(cause)
    this.fingerprint = fingerprint
    this.isNamedOnly = isNamedOnly
    this.isUnknown = cause.code === 'ERR_CREDENTIAL_UNKNOWN'
  }
}

/** Throws TurnedOut, or what the store throws. */
export async function authenticate(
  parts: AuthenticateParts,
  agreed: Agreed,
  initiator: JudgeInitiator,
): Promise<Proven> {
  const candidates = await attributed(undefined, () =>
    parts.devices.candidates(initiator.reference),
  )
  const trusted = judged(parts, agreed, candidates)
  // Whoever has not shown the key may have named anybody's certificate.
  const authenticated = await attributed(undefined, () =>
    initiator.accept(...trusted.map(({ credential }) => credential)),
  )
  const found = trusted.find(({ credential }) => credential === authenticated.session.peer)
  if (found === undefined)
    throw new InvariantError('ERR_EDHOC_CREDENTIAL', 'proven is none of them')
  const { peer } = found
  const admitted = await attributed(peer.fingerprint, () =>
    parts.registry.admit(peer, 'coap', agreed.suite.number),
  )
  return { authenticated, peer, admitted }
}

interface Trusted {
  readonly peer: VerifiedPeer
  readonly credential: TrustedCredential
}

/** Those that pass; when none does, why the first did not. */
function judged(
  { devices, crypto }: AuthenticateParts,
  { suite, method }: Agreed,
  candidates: readonly Candidate[],
): readonly Trusted[] {
  const trusted: Trusted[] = []
  let first: TurnedOut | undefined
  for (const { chain, fingerprint } of candidates) {
    try {
      const peer = devices.judge(chain)
      const credential = trustedCertificate(crypto, suite, method.initiator, peer)
      trusted.push({ peer, credential })
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      first ??= new TurnedOut(error, fingerprint, true)
    }
  }
  if (trusted.length === 0 && first !== undefined) throw first
  return trusted
}

async function attributed<Result>(
  fingerprint: string | undefined,
  work: () => Promise<Result> | Result,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof PeerError ? new TurnedOut(error, fingerprint, false) : error
  }
}
