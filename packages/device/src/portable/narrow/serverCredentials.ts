/**
 * The certificates of the server that this device has, and which of them a handshake names. Each is
 * judged in every handshake: what was right when it was stored may have expired.
 */
import type { ByValue } from '@countersign/core/channel'
import { cbor, equalBytes } from '@countersign/core/codec'
import { type CredentialReference, isThumbprintOf } from '@countersign/core/cose'
import { parseCertificate } from '@countersign/core/credential'
import {
  edhocLimits,
  type Method,
  type TrustedCredential,
  trustedCertificate,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { InvariantError, PeerError } from '@countersign/core/errors'
import type { ChannelCrypto, Clock, Milliseconds } from '@countersign/core/ports'
import type { Learned, RecordChange } from './contexts.ts'
import { unknownCredential } from './errors.ts'
import type { RecordKeeper } from './keeper.ts'
import type { TrustInServer } from './parts.ts'
import type { ServerCredential } from './record.ts'

type Kind = ServerCredential['kind']

/** Of the reference: what may be meant. */
export interface Candidates {
  readonly trusted: readonly TrustedCredential[]
  /** What to write down when the handshake is over; `shown` is the credential that was proven. */
  learn(shown: TrustedCredential): Learned
}

export class ServerCredentials {
  readonly #crypto: ChannelCrypto
  readonly #time: Clock
  readonly #keeper: RecordKeeper
  readonly #trust: TrustInServer
  readonly #max: number
  /** The stored issuer did not do: the next time it is asked for too. */
  #isIssuerDoubted = false

  constructor(
    parts: { readonly crypto: ChannelCrypto; readonly trust: TrustInServer },
    time: Clock,
    keeper: RecordKeeper,
    max: number,
  ) {
    this.#crypto = parts.crypto
    this.#trust = parts.trust
    this.#time = time
    this.#keeper = keeper
    this.#max = max
  }

  /** There is one that a server could name. */
  has(kind: Kind): boolean {
    return this.#keeper.record.servers.some((one) => one.kind === kind)
  }

  /** Of the last of their certificates. */
  get notAfter(): Milliseconds {
    return Math.max(
      ...this.#keeper.record.servers.map(({ leaf }) => parseCertificate(leaf).notAfter),
    )
  }

  /** What has to be asked for, when nothing is there or the one that was named is not. */
  get missing(): ByValue {
    const isThere = this.#keeper.record.issuer !== undefined && !this.#isIssuerDoubted
    return isThere ? 'leaf' : 'leaf and issuer'
  }

  /** Undefined: a name that nothing here has. Throws why the server of this name is not trusted. */
  find(reference: CredentialReference, suite: UsableSuite, method: Method): Candidates | undefined {
    const kind = method.responder
    const { x5chain, kid } = reference
    if (x5chain === undefined) {
      const named = this.#named(reference, kind)
      return named.length === 0 ? undefined : this.#candidates(named, undefined, kid, suite)
    }
    const [leaf, issuer, ...others] = x5chain
    if (leaf === undefined || others.length > 0) {
      throw unknownCredential('the server showed more than its certificate and its issuer')
    }
    try {
      return this.#candidates([{ kind, kid, leaf }], issuer, kid, suite)
    } catch (error) {
      this.#isIssuerDoubted = true
      throw error
    }
  }

  /**
   * What the server pushes, beside the one it will replace. Throws why it is not trusted. The
   * purpose in a certificate is one of the two.
   */
  pushed(leaf: Uint8Array, kid: Uint8Array): RecordChange {
    const kind = this.#kindOf(leaf, kid)
    return (record) => {
      const [first, ...others] = record.servers.filter((one) => !equalBytes(one.leaf, leaf))
      const servers = first === undefined ? [] : [first]
      return {
        ...record,
        servers: [...servers, { kind, kid, leaf }, ...others].slice(0, this.#max),
      }
    }
  }

  #kindOf(leaf: Uint8Array, kid: Uint8Array): Kind {
    try {
      this.#judge({ kind: 'signature', kid, leaf }, undefined)
      return 'signature'
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      this.#judge({ kind: 'static key', kid, leaf }, undefined)
      return 'static key'
    }
  }

  #named(reference: CredentialReference, kind: Kind): readonly ServerCredential[] {
    const { kid, x5t } = reference
    const ofKind = this.#keeper.record.servers.filter((one) => one.kind === kind)
    if (x5t !== undefined) {
      return ofKind.filter(({ leaf }) => isThumbprintOf(this.#crypto, x5t, leaf))
    }
    if (kid === undefined) return []
    const known = ofKind.filter((one) => one.kid !== undefined && equalBytes(one.kid, kid))
    // One that came by value may have had no kid with it: whether it is meant the proof will say.
    return known.length > 0 ? known : ofKind.filter((one) => one.kid === undefined)
  }

  #candidates(
    servers: readonly ServerCredential[],
    issuer: Uint8Array | undefined,
    kid: Uint8Array | undefined,
    suite: UsableSuite,
  ): Candidates {
    const trusted: TrustedCredential[] = []
    const judged: { readonly one: ServerCredential; readonly until: Milliseconds }[] = []
    let flaw: unknown
    for (const one of servers.slice(0, edhocLimits.candidatesMax)) {
      try {
        const peer = this.#judge(one, issuer)
        trusted.push(trustedCertificate(this.#crypto, suite, one.kind, peer))
        judged.push({ one, until: peer.notAfter })
      } catch (error) {
        // Of several with one name each is looked at.
        flaw ??= error
      }
    }
    if (trusted.length === 0) throw flaw
    return {
      trusted,
      learn: (shown) => {
        const found = judged.find(({ one }) => isCredentialOf(one, shown))
        if (found === undefined) {
          throw new InvariantError('ERR_NARROW_CONTEXT', 'none of those that were trusted')
        }
        const { one, until } = found
        return { change: this.#learned({ ...one, kid: kid ?? one.kid }, issuer), until }
      },
    }
  }

  #judge(
    { kind, leaf }: ServerCredential,
    issuer: Uint8Array | undefined,
  ): ReturnType<TrustInServer> {
    return this.#trust({
      leaf,
      issuer: issuer ?? this.#keeper.record.issuer,
      purpose: kind === 'signature' ? 'serverEdhocSign' : 'serverEdhocDh',
      at: this.#time.now(),
    })
  }

  /** The last one used stands first, and the least used one goes. */
  #learned(one: ServerCredential, issuer: Uint8Array | undefined): RecordChange {
    if (issuer !== undefined) this.#isIssuerDoubted = false
    return (record) => {
      const others = record.servers.filter(({ leaf }) => !equalBytes(leaf, one.leaf))
      const servers = [one, ...others].slice(0, this.#max)
      return { ...record, issuer: issuer ?? record.issuer, servers }
    }
  }
}

/** RFC 9528 §3.5.2: of a certificate, its bytes as a byte string. */
function isCredentialOf({ leaf }: ServerCredential, { credential }: TrustedCredential): boolean {
  return equalBytes(cbor.byteString(leaf), credential)
}
