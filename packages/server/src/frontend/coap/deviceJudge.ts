/**
 * From what a device calls its credential (ID_CRED_I, RFC 9528 §3.5.3) to the certificates that it
 * may be, each judged like any at a door. A thumbprint names one of this house; a certificate that
 * came by value is taken as it is. A kid and a URI name nothing here: kids are not unique, and
 * nobody fetches what a stranger names.
 */
import type { VerifiedPeer } from '@countersign/core/credential'
import { hex } from '@countersign/core/codec'
import { type CredentialReference, hashNumber, isThumbprintOf } from '@countersign/core/cose'
import { edhocLimits } from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import type { Crypto } from '@countersign/core/ports'
import type { Store } from '../../ports.ts'
import { fingerprintOf, type PeerChain } from '../peerChain.ts'
import { type ChainJudge, RoleJudge } from '../roleJudge.ts'

export interface DeviceJudgeParts {
  readonly judge: ChainJudge
  readonly store: Pick<Store, 'find'>
  readonly crypto: Pick<Crypto, 'hash'>
}

/** What the peer means, and what the judge says of it. */
export interface Candidate {
  readonly chain: PeerChain
  readonly fingerprint: string
}

export type CredentialErrorCode =
  /** No certificate that is known here has this name (RFC 9528 §6.4). */
  | 'ERR_CREDENTIAL_UNKNOWN'
  /** Two names that are of different certificates. */
  | 'ERR_CREDENTIAL_CONTRADICTORY'

export class DeviceJudge {
  readonly #parts: DeviceJudgeParts
  readonly #roles: RoleJudge

  constructor(parts: DeviceJudgeParts, rolesRememberedMax: number) {
    this.#parts = parts
    this.#roles = new RoleJudge(parts.judge, ['owner', 'maker'], rolesRememberedMax)
  }

  /**
   * Throws PeerError<CredentialErrorCode>. Nobody is judged yet: several may have the same name.
   */
  async candidates(reference: CredentialReference): Promise<readonly Candidate[]> {
    const { x5chain, x5t } = reference
    if (x5chain !== undefined) return [this.#byValue(x5chain, x5t)]
    if (x5t === undefined) throw unknown('it names no certificate by a thumbprint or by value')
    const found = await this.#byThumbprint(x5t)
    if (found.length === 0) throw unknown(`no certificate has the thumbprint ${hex(x5t.value)}`)
    return found
  }

  /** An owner's certificate, or else a maker's. Throws PeerError<ChainErrorCode>. */
  judge(chain: PeerChain): VerifiedPeer {
    return this.#roles.judge(chain)
  }

  /** Of a device that was let in: its certificate as the house keeps it. Throws PeerError. */
  async judgeKnown(fingerprint: string): Promise<VerifiedPeer> {
    const [row] = await this.#parts.store.find('certificate', 'fingerprint', fingerprint)
    if (row === undefined || row.der === null)
      throw unknown('the house has this certificate no more')
    return this.judge({ leaf: row.der, intermediates: [] })
  }

  #byValue(
    [leaf, ...intermediates]: readonly Uint8Array[],
    x5t: CredentialReference['x5t'],
  ): Candidate {
    if (leaf === undefined) throw unknown('a chain without certificates')
    if (x5t !== undefined && !isThumbprintOf(this.#parts.crypto, x5t, leaf)) {
      throw new PeerError<CredentialErrorCode>(
        'ERR_CREDENTIAL_CONTRADICTORY',
        'the thumbprint is not of the certificate beside it',
        {},
        { where: 'ID_CRED_I' },
      )
    }
    return { chain: { leaf, intermediates }, fingerprint: fingerprintOf(leaf) }
  }

  async #byThumbprint({
    algorithm,
    value,
  }: NonNullable<CredentialReference['x5t']>): Promise<readonly Candidate[]> {
    const { store } = this.#parts
    const text = hex(value)
    const options = { limit: edhocLimits.candidatesMax }
    const rows =
      algorithm.id === hashNumber.sha256Truncated
        ? await store.find('certificate', 'x5t', text, options)
        : algorithm.id === hashNumber.sha256
          ? await store.find('certificate', 'fingerprint', text, options)
          : []
    return rows.flatMap(({ der, fingerprint }) =>
      der === null || fingerprint === null
        ? []
        : [{ chain: { leaf: der, intermediates: [] }, fingerprint }],
    )
  }
}

function unknown(what: string): PeerError<CredentialErrorCode> {
  return new PeerError(
    'ERR_CREDENTIAL_UNKNOWN',
    what,
    {},
    {
      where: 'ID_CRED_I',
      hint: 'Let the device send its certificate by value, or enrol it first.',
    },
  )
}
