/**
 * As what a peer's certificate is good: an owner's, or else a maker's, or an application's. Each is
 * asked of the one judge; what a road does not let in is not asked for.
 */
import type { Expectation, VerifiedPeer } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import { Recent } from '../recent.ts'
import { fingerprintOf, type PeerChain } from './peerChain.ts'
import type { RefusalReason } from './session.ts'

/** The judge of chains, as the front end sees it. Throws PeerError<ChainErrorCode>. */
export interface ChainJudge {
  judge(leaf: Uint8Array, intermediates: readonly Uint8Array[], expect: Expectation): VerifiedPeer
}

export type Candidate = 'owner' | 'maker' | 'application'

const expectations: Readonly<Record<Candidate, Expectation>> = {
  owner: { role: 'owner', purpose: 'clientAuth' },
  maker: { role: 'maker', purpose: 'clientAuth' },
  application: { role: 'operator', purpose: 'application' },
}

export class RoleJudge {
  readonly #judge: ChainJudge
  readonly #candidates: readonly Candidate[]
  /** Fingerprints of leaves that are no owner's device: what they were found to be. */
  readonly #known: Recent<Candidate>

  /** In the order in which they are asked. */
  constructor(judge: ChainJudge, candidates: readonly Candidate[], rolesRememberedMax: number) {
    this.#judge = judge
    this.#candidates = candidates
    this.#known = new Recent(rolesRememberedMax)
  }

  /**
   * A leaf that was found to be no owner's is judged as that first: what the judge remembers is what
   * it accepted, and asking for another role would cost a search for a path at every handshake.
   */
  judge(chain: PeerChain): VerifiedPeer {
    const known = this.#known.get(fingerprintOf(chain.leaf))
    const all = this.#candidates
    const order = known === undefined ? all : [known, ...all.filter((each) => each !== known)]
    const peer = this.#judgeAs(chain, order)
    if (peer.role === 'maker') this.#known.set(peer.fingerprint, 'maker')
    if (peer.role === 'operator') this.#known.set(peer.fingerprint, 'application')
    return peer
  }

  #judgeAs({ leaf, intermediates }: PeerChain, order: readonly Candidate[]): VerifiedPeer {
    let first: unknown
    for (const candidate of order) {
      try {
        return this.#judge.judge(leaf, intermediates, expectations[candidate])
      } catch (error) {
        // A fault of this role's own is the exact verdict; if it is of none of them, the first one
        // names the role.
        if (!isOfAnotherHouse(error)) throw error
        first ??= error
      }
    }
    throw first
  }
}

/** The chain ends at none of this role's anchors: another role may know it. */
function isOfAnotherHouse(error: unknown): boolean {
  return (
    error instanceof PeerError &&
    (error.code === 'ERR_CHAIN_ROLE' || error.code === 'ERR_CHAIN_UNKNOWN_ISSUER')
  )
}

export function reasonOf(error: PeerError): RefusalReason {
  const { code, message, where, hint } = error
  return {
    code,
    message,
    ...(where === undefined ? {} : { where }),
    ...(hint === undefined ? {} : { hint }),
  }
}
