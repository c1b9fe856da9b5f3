/**
 * Who is connected at one door, and whether they still may be. Every session is judged when it
 * opens, resumed or not, and again when a notice says that its device, certificate, product,
 * application or the anchors changed: while that lasts its requests wait, and who is no longer
 * admitted is cut off.
 */
import type { TLSSocket } from 'node:tls'
import type { VerifiedPeer } from '@countersign/core/credential'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import type { Admitted, Gatekeeper, Log, Notice, Notices, Road } from '../ports.ts'
import type { SessionLimits } from './limits.ts'
import { fingerprintOf, type PeerChain, PeerChains } from './peerChain.ts'
import { Refusals } from './refusals.ts'
import { type Candidate, type ChainJudge, reasonOf, RoleJudge } from './roleJudge.ts'
import type { RefusalReason, Session, Standing } from './session.ts'

export interface SessionsParts {
  readonly judge: ChainJudge
  readonly registry: Gatekeeper
  readonly notices: Notices
  readonly clock: Clock
  readonly log: Log
  readonly limits: SessionLimits
  /** Hears of every device's session that is let in, once. */
  readonly news: { opened(admitted: Admitted): void }
}

/** What is particular to a road. */
export interface RoadRules<S extends Session> {
  readonly road: Road
  /** Beside devices. */
  readonly letsIn: 'enrolling' | 'applications'
  make(socket: TLSSocket, chain: PeerChain | undefined): S
  /** After every verdict, the first and those that follow a notice. */
  settled?(session: S): void
}

const candidates = {
  enrolling: ['owner', 'maker'],
  applications: ['owner', 'maker', 'application'],
} as const satisfies Record<string, readonly Candidate[]>

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

export class Sessions<S extends Session> {
  readonly #parts: SessionsParts
  readonly #rules: RoadRules<S>
  readonly #chains: PeerChains
  readonly #judges: RoleJudge
  readonly #refusals: Refusals
  readonly #bySocket: Map<object, S> = new Map()
  /** By device or application, in the order in which they were admitted. */
  readonly #byHolder: Map<string, Set<S>> = new Map()
  readonly #stopListening: () => void
  #emptied: (() => void) | undefined
  /**
   * Counts notices that could change a verdict: a judgement that began before one is made again.
   */
  #generation = 0

  constructor(parts: SessionsParts, rules: RoadRules<S>) {
    this.#parts = parts
    this.#rules = rules
    this.#chains = new PeerChains(parts.limits.chainLengthMax, parts.limits.chainsRememberedMax)
    const { judge, limits } = parts
    this.#judges = new RoleJudge(judge, candidates[rules.letsIn], limits.rolesRememberedMax)
    this.#refusals = new Refusals(parts, rules.road)
    this.#stopListening = parts.notices.listen((notice) => this.#noticed(notice))
  }

  get size(): number {
    return this.#bySocket.size
  }

  of(socket: object): S | undefined {
    return this.#bySocket.get(socket)
  }

  all(): IterableIterator<S> {
    return this.#bySocket.values()
  }

  /** Live sessions of a device or an application. */
  ofHolder(id: string): Iterable<S> {
    return this.#byHolder.get(id) ?? []
  }

  open(socket: TLSSocket): S {
    const { clock, limits } = this.#parts
    const session = this.#rules.make(socket, this.#chains.read(socket))
    this.#bySocket.set(socket, session)
    socket.once('close', () => {
      this.#leave(session)
      this.#bySocket.delete(socket)
      if (this.size === 0) this.#emptied?.()
    })
    if (session.chain === undefined) session.deadline = clock.now() + limits.anonymousMsMax
    else this.#judgeAgain(session)
    return session
  }

  /**
   * Hands every session that is past a bound of time to `close`. One whose chain has ended is
   * judged: the judge says why.
   */
  sweep(close: (session: S) => void): void {
    const now = this.#parts.clock.now()
    for (const session of this.#bySocket.values()) {
      if (!session.isEnding && session.overdue(now) === undefined) continue
      const { kind } = session.standing
      const isInside = kind === 'admitted' || kind === 'application'
      if (session.isEnding) session.socket.destroy()
      else if (isInside && now > session.deadline) this.#judgeAgain(session)
      else if (kind !== 'pending') close(session)
    }
  }

  /**
   * Tells the operator of a peer that was turned away. The fingerprint is there also when no chain
   * was: a known leaf names its device.
   */
  refused(session: S, reason: RefusalReason): void {
    const { chain, address } = session
    const fingerprint = chain === undefined ? undefined : fingerprintOf(chain.leaf)
    this.#refusals.tell({ address, fingerprint, ...deviceOf(session) }, reason)
  }

  /** Tells the operator something of a peer that is in. */
  note({ holder, address }: S, message: string): void {
    this.#refusals.note({ holder, address }, message)
  }

  /** Whether the device that has shown this may come in now; undefined: no, or nobody can tell. */
  async admitted(chain: PeerChain): Promise<Admitted | undefined> {
    try {
      const standing = await this.#lookUp(this.#verify(chain))
      return standing.kind === 'admitted' ? standing.admitted : undefined
    } catch {
      return undefined
    }
  }

  /** Resolves when nobody is connected: a server has closed some turns before its TLS sockets have. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve()
    return new Promise((resolve) => void (this.#emptied = resolve))
  }

  close(): void {
    this.#stopListening()
    for (const session of this.#bySocket.values()) session.end('closing')
  }

  #noticed(notice: Notice): void {
    switch (notice.kind) {
      case 'device':
      case 'application':
        this.#generation++
        return this.#judgeAll(this.#byHolder.get(notice.id))
      case 'certificate':
        this.#generation++
        // One of no device may be an application's; those are few.
        return notice.device === null
          ? this.#judgeAll(this.#applications())
          : this.#judgeAll(this.#byHolder.get(notice.device))
      case 'product':
      case 'anchors':
        // Rare, and each judgement of a known device is a look-up: no index by product.
        this.#generation++
        return this.#judgeAll(this.#bySocket.values())
      case 'messages':
      case 'commands':
        return
    }
  }

  #applications(): readonly S[] {
    if (this.#rules.letsIn !== 'applications') return []
    const all = [...this.#byHolder.values()].flatMap((sessions) => [...sessions])
    return all.filter(({ standing }) => standing.kind === 'application')
  }

  #judgeAll(sessions: Iterable<S> | undefined): void {
    for (const session of sessions ?? []) if (session.chain !== undefined) this.#judgeAgain(session)
  }

  #judgeAgain(session: S): void {
    // One that is being judged already sees the new generation when it is through.
    if (session.standing.kind === 'pending') return
    session.standing = { kind: 'pending', settled: this.#admit(session) }
  }

  async #admit(session: S): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      const generation = this.#generation
      const standing = await this.#judge(session)
      // One that is ending must not come back and push another out.
      if (session.socket.destroyed || session.isEnding) break
      if (generation !== this.#generation) continue
      this.#settle(session, standing)
      return this.#rules.settled?.(session)
    }
    // Nobody is there any more, or notices come faster than verdicts. It must not stay pending:
    // requests wait for the end of that.
    session.standing = { kind: 'unavailable' }
    session.end('unavailable')
  }

  /** Never rejects: what goes wrong is a standing too. */
  async #judge(session: S): Promise<Standing> {
    let peer: VerifiedPeer | undefined
    try {
      peer = this.#verify(session.chain)
      return await this.#lookUp(peer)
    } catch (error) {
      if (!(error instanceof PeerError)) return this.#unavailable(session, error)
      const reason = reasonOf(error)
      if (peer !== undefined && this.#mayAskEst(peer, reason))
        return { kind: 'enrolling', peer, refusal: reason }
      return { kind: 'refused', refusal: reason }
    }
  }

  /** EST is at this door: for whom it would help, and for devices that send by other roads only. */
  #mayAskEst({ role }: VerifiedPeer, { code }: RefusalReason): boolean {
    if (this.#rules.letsIn !== 'enrolling') return false
    return code === 'ERR_ROAD_NOT_ALLOWED' || (role === 'maker' && curedByEnrolment.has(code))
  }

  async #lookUp(peer: VerifiedPeer): Promise<Standing> {
    const { registry } = this.#parts
    if (peer.role === 'operator')
      return { kind: 'application', peer, admitted: await registry.admitApplication(peer) }
    return { kind: 'admitted', peer, admitted: await registry.admit(peer, this.#rules.road) }
  }

  #unavailable(session: S, error: unknown): Standing {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    const message = error instanceof Error ? error.message : String(error)
    this.#parts.log.error({ code, address: session.address }, `cannot judge a device: ${message}`)
    return { kind: 'unavailable' }
  }

  #verify(chain: PeerChain | undefined): VerifiedPeer {
    if (chain === undefined) throw new PeerError('ERR_CERT_MALFORMED', 'no certificate')
    const peer = this.#judges.judge(chain)
    if (peer.above.length > 1) this.#chains.remember(peer.fingerprint, chain)
    return peer
  }

  #settle(session: S, standing: Standing): void {
    const { clock, limits } = this.#parts
    // Before the session forgets which device it was, and once, however many rounds the verdict
    // took. Who may only ask EST is told of when it asks for something else.
    const isOut = standing.kind === 'enrolling' && session.holder !== undefined
    if (standing.kind === 'refused' || isOut) this.refused(session, standing.refusal)
    const wasAdmitted = this.#leave(session)
    session.standing = standing
    switch (standing.kind) {
      case 'admitted':
        session.deadline = Math.min(standing.peer.notAfter, standing.admitted.notAfter)
        this.#join(session, standing.admitted.device.id, limits.connectionsPerDeviceMax)
        if (!wasAdmitted) this.#parts.news.opened(standing.admitted)
        return
      case 'application': {
        session.deadline = Math.min(standing.peer.notAfter, standing.admitted.notAfter)
        const { id } = standing.admitted.application
        return this.#join(session, id, limits.connectionsPerApplicationMax)
      }
      case 'enrolling':
        if (wasAdmitted) session.end('ended')
        session.deadline = Math.min(standing.peer.notAfter, clock.now() + limits.anonymousMsMax)
        return
      case 'anonymous':
      case 'pending':
      case 'refused':
      case 'unavailable':
        // A newcomer may ask once and hear the answer; who was inside is cut off, with whatever is
        // in flight.
        if (wasAdmitted) session.end('ended')
        else session.deadline = clock.now() + limits.refusedMsMax
    }
  }

  #join(session: S, id: string, max: number): void {
    let sessions = this.#byHolder.get(id)
    if (sessions === undefined) {
      sessions = new Set()
      this.#byHolder.set(id, sessions)
    }
    sessions.add(session)
    session.holder = id
    if (sessions.size <= max) return
    const [oldest] = sessions
    if (oldest === undefined) return
    // It leaves now: its socket closes some turns later, and until then the next one would find it
    // the oldest again.
    this.#leave(oldest)
    oldest.standing = { kind: 'unavailable' }
    oldest.end('crowded')
  }

  /** True when it was among the admitted. */
  #leave(session: S): boolean {
    if (session.holder === undefined) return false
    const sessions = this.#byHolder.get(session.holder)
    sessions?.delete(session)
    if (sessions?.size === 0) this.#byHolder.delete(session.holder)
    session.holder = undefined
    return true
  }
}

/** Whose name a refusal bears: an application is no device. */
function deviceOf({ holder }: Session): { readonly device?: string } {
  return holder?.startsWith('urn:') === true ? { device: holder } : {}
}
