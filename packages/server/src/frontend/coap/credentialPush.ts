/**
 * Tells devices of the certificate that the server will show next (docs/decisions/0027): `POST
 * /k?kid=<hex>` with its DER, on each live context whose handshake showed the one before, when its
 * device is there. 2.xx: the device has judged it and keeps it, and the context's row says so. When
 * all of them say so it becomes the one that is shown; who was not reached asks for it in a
 * handshake.
 */
import {
  coapCode,
  isSuccess,
  type OutgoingRequest,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import type { Authentication } from '@countersign/core/edhoc'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import type { EdhocCredentials, EdhocServerCredential, Log, Store } from '../../ports.ts'
import { diagnosticOf, isPassing } from './deviceAnswers.ts'
import type { Errand } from './errand.ts'
import type { LiveContext } from './liveContext.ts'
import type { Patience } from './patience.ts'
import { countTold } from './told.ts'

export interface CredentialPushParts {
  readonly credentials: EdhocCredentials
  readonly store: Pick<Store, 'scan' | 'apply'>
  readonly clock: Clock
  readonly log: Log
}

const table = 'coapContext'
const kinds: readonly Authentication[] = ['signature', 'static key']

export class CredentialPush {
  readonly #parts: CredentialPushParts
  /** The certificate that the device of a context did not want: it is not asked again here. */
  readonly #unwanted: WeakMap<LiveContext, string> = new WeakMap()

  constructor(parts: CredentialPushParts) {
    this.#parts = parts
  }

  /** The device of this context has something to be told. */
  isDue(context: LiveContext): boolean {
    return this.#dueFor(context) !== undefined
  }

  async tell(errand: Errand, patience: Patience): Promise<void> {
    const { context } = errand
    const next = this.#dueFor(context)
    if (next === undefined) return
    const response = await this.#answerOf(errand, next)
    if (response === undefined) return
    if (typeof response === 'string') this.#notWanted(context, next, response)
    else if (isSuccess(response.code)) await this.#confirmed(context, next)
    else if (isPassing(response)) patience.postponed(context, response)
    else this.#notWanted(context, next, diagnosticOf(response))
  }

  /** Looks whether every device that is there to be told has been. */
  async promote(): Promise<void> {
    const { credentials, log } = this.#parts
    for (const kind of kinds) {
      const next = credentials.next(kind)
      if (next === undefined || !(await this.#isKnownToAll(next))) continue
      const { fingerprint } = next
      if (await credentials.promote(kind, fingerprint)) {
        log.info(
          { fingerprint },
          `every device on coap has the server's next certificate (${kind})`,
        )
      }
    }
  }

  #dueFor(context: LiveContext): EdhocServerCredential | undefined {
    if (context.state !== 'live') return undefined
    const next = this.#parts.credentials.next(context.serverKind)
    if (next === undefined || next.fingerprint === context.confirmed) return undefined
    return next.fingerprint === this.#unwanted.get(context) ? undefined : next
  }

  async #answerOf(
    errand: Errand,
    { kid, der }: EdhocServerCredential,
  ): Promise<Awaited<ReturnType<Errand['ask']>> | string> {
    const request: OutgoingRequest = {
      code: coapCode.post,
      options: [...uriPath('k'), ...uriQuery(`kid=${hex(kid)}`)],
      payload: der,
    }
    try {
      return await errand.ask(request)
    } catch (error) {
      if (error instanceof PeerError) return error.message
      throw error
    }
  }

  async #confirmed(context: LiveContext, { fingerprint }: EdhocServerCredential): Promise<void> {
    const key = context.id
    try {
      await this.#parts.store.apply({
        conditions: [{ kind: 'equals', table, key, where: { state: 'live' } }],
        writes: [{ kind: 'update', table, key, set: { confirmed: fingerprint } }],
      })
      context.confirmed = fingerprint
    } catch (error) {
      // A newer context has taken its place, and is told by itself.
      if (!isCountersignError(error) || error.code !== 'ERR_CONFLICT') throw error
    }
  }

  #notWanted(context: LiveContext, { fingerprint }: EdhocServerCredential, what: string): void {
    const { device } = context
    this.#unwanted.set(context, fingerprint)
    this.#parts.log.warn(
      { device, fingerprint },
      `a device does not take the server's next certificate: ${what}`,
    )
  }

  /** Of nobody nothing is known: then the one that is shown stays until it is near its end. */
  async #isKnownToAll({ kind, fingerprint }: EdhocServerCredential): Promise<boolean> {
    const { store, clock } = this.#parts
    const { devices, confirmed } = await countTold(store, clock.now(), kind, fingerprint)
    return devices > 0 && confirmed === devices
  }
}
