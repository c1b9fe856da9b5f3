/**
 * Whether the device of a context may still come in: asked of the judge and the registry when a
 * notice has made the verdict old, when its time is over, and again each minute that the device
 * speaks.
 */
import type { VerifiedPeer } from '@countersign/core/credential'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import type { Admitted, CoapContextRow, Log, LodgingGatekeeper } from '../../ports.ts'
import { reasonOf } from '../roleJudge.ts'
import type { DeviceJudge } from './deviceJudge.ts'
import type { ContextStanding, LiveContext, Verdict } from './liveContext.ts'

export interface StandingsParts {
  readonly devices: DeviceJudge
  readonly registry: Pick<LodgingGatekeeper, 'admit' | 'mayStay'>
  readonly clock: Clock
  readonly log: Log
  /** The device of this context was turned out. */
  readonly refused: (
    context: LiveContext,
    standing: Extract<ContextStanding, { kind: 'refused' }>,
  ) => void
}

/** Notices can outrun a judgement; after so many rounds the device has to try again. */
const roundsMax = 8
/** The registry writes when a device was seen: see admission.ts. */
const verdictMsMax = 60_000

export class Standings {
  readonly #parts: StandingsParts
  /** Counts notices that could change a verdict: one that was begun before is made again. */
  #generation = 0

  constructor(parts: StandingsParts) {
    this.#parts = parts
  }

  noticed(): void {
    this.#generation++
  }

  /** Of a verdict that is begun now; it is old when this has changed. */
  get generation(): number {
    return this.#generation
  }

  /** The device speaks. */
  async now(context: LiveContext): Promise<ContextStanding> {
    const { verdict } = context
    const age = this.#parts.clock.now() - (verdict?.at ?? 0)
    if (this.#isGood(context, verdict) && age >= 0 && age < verdictMsMax) return verdict.standing
    return await this.#judge(context, 'speaks')
  }

  /** Something is to be sent to the device. */
  async ofSilent(context: LiveContext): Promise<ContextStanding> {
    const { verdict } = context
    if (this.#isGood(context, verdict)) return verdict.standing
    return await this.#judge(context, 'silent')
  }

  /** A notice says that something changed. */
  async again(context: LiveContext): Promise<ContextStanding> {
    context.isStale = true
    return await this.#judge(context, 'silent')
  }

  /** Of a device whose context is not in memory. Never rejects. */
  async ofRow({
    fingerprint,
    suite,
  }: Pick<CoapContextRow, 'fingerprint' | 'suite'>): Promise<ContextStanding> {
    try {
      const peer = await this.#parts.devices.judgeKnown(fingerprint)
      const admitted = await this.#parts.registry.mayStay(peer, 'coap', suite)
      return { kind: 'admitted', peer, admitted }
    } catch (error) {
      return this.#standingOf(error)
    }
  }

  #isGood({ isStale }: LiveContext, verdict: Verdict | undefined): verdict is Verdict {
    return verdict !== undefined && !isStale && this.#parts.clock.now() <= verdict.until
  }

  async #judge(context: LiveContext, how: 'speaks' | 'silent'): Promise<ContextStanding> {
    context.judging ??= this.#rounds(context, how).finally(() => void (context.judging = undefined))
    return await context.judging
  }

  async #rounds(context: LiveContext, how: 'speaks' | 'silent'): Promise<ContextStanding> {
    for (let round = 0; round < roundsMax; round++) {
      const generation = this.#generation
      const standing = await this.#judgeOnce(context, how)
      if (generation !== this.#generation) continue
      this.#settle(context, standing)
      return standing
    }
    return { kind: 'unavailable' }
  }

  async #judgeOnce(context: LiveContext, how: 'speaks' | 'silent'): Promise<ContextStanding> {
    const { devices, registry } = this.#parts
    try {
      const peer = await devices.judgeKnown(context.fingerprint)
      const { suite } = context
      const admitted =
        how === 'speaks'
          ? await registry.admit(peer, 'coap', suite)
          : await registry.mayStay(peer, 'coap', suite)
      return { kind: 'admitted', peer, admitted }
    } catch (error) {
      return this.#standingOf(error)
    }
  }

  #settle(context: LiveContext, standing: ContextStanding): void {
    if (standing.kind === 'unavailable') return
    const at = this.#parts.clock.now()
    const until = standing.kind === 'admitted' ? endOf(standing.peer, standing.admitted) : at
    context.verdict = { standing, at, until }
    context.isStale = false
    if (standing.kind === 'refused') this.#parts.refused(context, standing)
  }

  #standingOf(error: unknown): ContextStanding {
    if (error instanceof PeerError) return { kind: 'refused', refusal: reasonOf(error) }
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `cannot judge a device on coap: ${String(error)}`)
    return { kind: 'unavailable' }
  }
}

/** The earliest end: of the chain, or of the time that the registry leaves it. */
export function endOf(peer: VerifiedPeer, admitted: Admitted): number {
  return Math.min(peer.notAfter, admitted.notAfter)
}
