/**
 * The one place of this package that names concrete adapters: the machine's clock, timers, Node's
 * cryptography, elements by their URLs.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Milliseconds } from '@countersign/core/ports'
import { type OpenElementOptions, openElement } from '@countersign/element/compose'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { opensslTls } from './opensslTls.ts'
import { ownTls } from './ownTls.ts'
import type { TlsName } from './tlsWay.ts'
import type { World } from './world.ts'

/** How the machine's world meets its user. */
export type WorldOptions = Pick<OpenElementOptions, 'askPin'>

export function systemWorld(tls: TlsName = 'own', { askPin }: WorldOptions = {}): World {
  return {
    clock: { now: () => Date.now() },
    random: randomBytes,
    crypto: nodeCrypto,
    tls: tls === 'own' ? ownTls() : opensslTls,
    wait: elapse,
    limit: elapse,
    openElement: (url, folder, how) => openElement(url, { folder, askPin, ...how }),
  }
}

async function elapse(milliseconds: Milliseconds, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal })
  } catch {
    // The signal fired: that is what the caller waited for.
  }
}
