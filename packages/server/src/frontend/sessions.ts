/**
 * Who is connected, and whether they still may be. Every session is judged when it opens, resumed
 * or not, and again when a notice says that its device, certificate, product or the anchors
 * changed: while that lasts its requests wait, and who is no longer admitted is cut off.
 */
import type { TLSSocket } from 'node:tls'
import type { Expectation, VerifiedPeer } from '@countersign/core/credential'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import type { Admitted, Gatekeeper, Log, Notice, Notices } from '../ports.ts'
import { TokenBuckets } from '../rates.ts'
import { Recent } from '../recent.ts'
import type { DoorLimits } from './limits.ts'
import { fingerprintOf, type PeerChain, PeerChains } from './peerChain.ts'
import { type Overdue, type RefusalReason, Session, type Standing } from './session.ts'

/** The judge of chains, as the front end sees it. Throws PeerError<ChainErrorCode>. */
export interface ChainJudge {
  judge(leaf: Uint8Array, intermediates: readonly Uint8Array[], expect: Expectation): VerifiedPeer
}

export interface SessionsParts {
  readonly judge: ChainJudge
  readonly registry: Gatekeeper
  readonly notices: Notices
  readonly clock: Clock
  readonly log: Log
  readonly limits: DoorLimits
  /** Hears of every session that is let in, once. */
  readonly news: { opened(admitted: Admitted): void }
}

const ownerDevice: Expectation = { role: 'owner', purpose: 'clientAuth' }
const makerDevice: Expectation = { role: 'maker', purpose: 'clientAuth' }

/**
 * The registry's refusals that enrolment can cure. A suspended or revoked device is not among them.
 */
const curedByEnrolment: ReadonlySet<string> = new Set([
  'ERR_DEVICE_UNKNOWN',
  'ERR_CERT_UNKNOWN',
  'ERR_CREDENTIAL_NOT_ALLOWED',
])

/** Notices can outrun a judgement; after so many rounds the peer has to try again. */
const roundsMax = 8

/**
 * Log lines about refused peers, of all addresses together: a flood must not fill the disk. The
 * audit log counts what is dropped.
 */
const refusalLines = { perSecond: 10, burst: 100 }

export class Sessions {
  readonly #parts: SessionsParts
  readonly #chains: PeerChains
  /** Fingerprints of leaves that a maker issued. */
  readonly #makers: Recent<true>
  readonly #logBudget: TokenBuckets
  readonly #bySocket: Map<object, Session> = new Map()
  /** In the order in which they were admitted. */
  readonly #byDevice: Map<string, Set<Session>> = new Map()
  readonly #stopListening: () => void
  /**
   * Counts notices that could change a verdict: a judgement that began before one is made again.
   */
  #generation = 0

  constructor(parts: SessionsParts) {
    this.#parts = parts
    this.#chains = new PeerChains(parts.limits.chainLengthMax, parts.limits.chainsRememberedMax)
    this.#makers = new Recent(parts.limits.makersRememberedMax)
    this.#logBudget = new TokenBuckets(parts.clock, 1)
    this.#stopListening = parts.notices.listen((notice) => this.#noticed(notice))
  }

  get size(): number {
    return this.#bySocket.size
  }

  of(socket: object): Session | undefined {
    return this.#bySocket.get(socket)
  }

  all(): IterableIterator<Session> {
    return this.#bySocket.values()
  }

  open(socket: TLSSocket): Session {
    const { clock, limits } = this.#parts
    const session = new Session(socket, this.#chains.read(socket), clock.now())
    this.#bySocket.set(socket, session)
    socket.once('close', () => {
      this.#leave(session)
      this.#bySocket.delete(socket)
    })
    if (session.chain === undefined) session.deadline = clock.now() + limits.anonymousMsMax
    else this.#judgeAgain(session)
    return session
  }

  /**
   * Hands every session that is past a bound of time to `close`. One whose chain has ended is
   * judged: the judge says why.
   */
  sweep(close: (session: Session, why: Overdue) => void): void {
    const now = this.#parts.clock.now()
    for (const session of this.#bySocket.values()) {
      const why = session.overdue(now, this.#parts.limits)
      if (why === undefined) continue
      if (why === 'lifetime' && session.standing.kind === 'admitted') this.#judgeAgain(session)
      else if (session.standing.kind !== 'pending') close(session, why)
    }
  }

  /**
   * Tells the operator of a peer that was turned away. The fingerprint is there also when no chain
   * was: a known leaf names its device.
   */
  refused(session: Session, reason: RefusalReason): void {
    const { registry, log } = this.#parts
    const fingerprint = session.chain === undefined ? undefined : fingerprintOf(session.chain.leaf)
    registry.refused({
      road: 'https',
      address: session.address,
      ...reason,
      ...(fingerprint === undefined ? {} : { fingerprint }),
      ...(session.device === undefined ? {} : { device: session.device }),
    })
    if (this.#logBudget.take('', refusalLines) > 0) return
    const { code, message, where, hint } = reason
    log.warn({ code, where, hint, fingerprint, address: session.address }, `refused: ${message}`)
  }

  close(): void {
    this.#stopListening()
    for (const session of this.#bySocket.values()) session.socket.destroy()
  }

  #noticed(notice: Notice): void {
    switch (notice.kind) {
      case 'device':
        this.#generation++
        return this.#judgeAll(this.#byDevice.get(notice.id))
      case 'certificate':
        this.#generation++
        return this.#judgeAll(this.#byDevice.get(notice.device ?? ''))
      case 'product':
      case 'anchors':
        // Rare, and each judgement of a known device is a look-up: no index by product.
        this.#generation++
        return this.#judgeAll(this.#bySocket.values())
      case 'application':
      case 'messages':
      case 'commands':
        return
    }
  }

  #judgeAll(sessions: Iterable<Session> | undefined): void {
    for (const session of sessions ?? []) if (session.chain !== undefined) this.#judgeAgain(session)
  }

  #judgeAgain(session: Session): void {
    // One that is being judged already sees the new generation when it is through.
    if (session.standing.kind === 'pending') return
    session.standing = { kind: 'pending', settled: this.#admit(session) }
  }

  async #admit(session: Session): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      const generation = this.#generation
      const standing = await this.#judge(session)
      if (session.socket.destroyed) break
      if (generation === this.#generation) return this.#settle(session, standing)
    }
    // Nobody is there any more, or notices come faster than verdicts. It must not stay pending:
    // requests wait for the end of that.
    session.standing = { kind: 'unavailable' }
    session.socket.destroy()
  }

  /** Never rejects: what goes wrong is a standing too. */
  async #judge(session: Session): Promise<Standing> {
    let peer: VerifiedPeer | undefined
    try {
      peer = this.#verify(session)
      return { kind: 'admitted', peer, admitted: await this.#parts.registry.admit(peer, 'https') }
    } catch (error) {
      if (!(error instanceof PeerError)) return this.#unavailable(session, error)
      const reason = reasonOf(error)
      if (peer?.role === 'maker' && curedByEnrolment.has(reason.code))
        return { kind: 'enrolling', peer, refusal: reason }
      return { kind: 'refused', refusal: reason }
    }
  }

  #unavailable(session: Session, error: unknown): Standing {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    const message = error instanceof Error ? error.message : String(error)
    this.#parts.log.error({ code, address: session.address }, `cannot judge a device: ${message}`)
    return { kind: 'unavailable' }
  }

  /**
   * An owner's certificate, or else a maker's. A leaf known to be a maker's is judged as one first:
   * what the judge remembers is what it accepted, and asking for the other role would cost a search
   * for a path at every handshake.
   */
  #verify({ chain }: Session): VerifiedPeer {
    if (chain === undefined) throw new PeerError('ERR_CERT_MALFORMED', 'no certificate')
    const isMakers = this.#makers.get(fingerprintOf(chain.leaf)) !== undefined
    const [first, second] = isMakers ? [makerDevice, ownerDevice] : [ownerDevice, makerDevice]
    const peer = this.#judgeAs(chain, first, second)
    if (peer.role === 'maker') this.#makers.set(peer.fingerprint, true)
    if (peer.path.length > 2) this.#chains.remember(peer.fingerprint, chain)
    return peer
  }

  #judgeAs(chain: PeerChain, first: Expectation, second: Expectation): VerifiedPeer {
    const { judge } = this.#parts
    const { leaf, intermediates } = chain
    try {
      return judge.judge(leaf, intermediates, first)
    } catch (error) {
      if (!isOfAnotherHouse(error)) throw error
      try {
        return judge.judge(leaf, intermediates, second)
      } catch (other) {
        // Neither: a fault of the second role's own is the more exact verdict, else the first one
        // names the role.
        throw isOfAnotherHouse(other) ? error : other
      }
    }
  }

  #settle(session: Session, standing: Standing): void {
    const { clock, limits } = this.#parts
    // Before the session forgets which device it was, and once, however many rounds the verdict
    // took.
    if (standing.kind === 'refused') this.refused(session, standing.refusal)
    const wasAdmitted = this.#leave(session)
    session.standing = standing
    switch (standing.kind) {
      case 'admitted':
        session.deadline = Math.min(standing.peer.notAfter, standing.admitted.notAfter)
        this.#join(session, standing.admitted)
        if (!wasAdmitted) this.#parts.news.opened(standing.admitted)
        return
      case 'enrolling':
        session.deadline = Math.min(standing.peer.notAfter, clock.now() + limits.anonymousMsMax)
        return
      case 'anonymous':
      case 'pending':
      case 'refused':
      case 'unavailable':
        // A newcomer may ask once and hear the answer; who was inside is cut off, with whatever is
        // in flight.
        if (wasAdmitted) session.socket.destroy()
        else session.deadline = clock.now() + limits.refusedMsMax
    }
  }

  #join(session: Session, admitted: Admitted): void {
    const { id } = admitted.device
    let sessions = this.#byDevice.get(id)
    if (sessions === undefined) {
      sessions = new Set()
      this.#byDevice.set(id, sessions)
    }
    sessions.add(session)
    session.device = id
    if (sessions.size <= this.#parts.limits.connectionsPerDeviceMax) return
    const [oldest] = sessions
    if (oldest === undefined) return
    // It leaves now: its socket closes some turns later, and until then the next one would find it
    // the oldest again.
    this.#leave(oldest)
    oldest.standing = { kind: 'unavailable' }
    oldest.socket.destroy()
  }

  /** True when it was among the admitted. */
  #leave(session: Session): boolean {
    if (session.device === undefined) return false
    const sessions = this.#byDevice.get(session.device)
    sessions?.delete(session)
    if (sessions?.size === 0) this.#byDevice.delete(session.device)
    session.device = undefined
    return true
  }
}

/** The chain ends at none of this role's anchors: another role may know it. */
function isOfAnotherHouse(error: unknown): boolean {
  return (
    error instanceof PeerError &&
    (error.code === 'ERR_CHAIN_ROLE' || error.code === 'ERR_CHAIN_UNKNOWN_ISSUER')
  )
}

function reasonOf(error: PeerError): RefusalReason {
  const { code, message, where, hint } = error
  return {
    code,
    message,
    ...(where === undefined ? {} : { where }),
    ...(hint === undefined ? {} : { hint }),
  }
}
