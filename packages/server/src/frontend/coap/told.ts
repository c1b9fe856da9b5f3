/** How many of the devices that were shown a certificate of the server have its successor. */
import type { Authentication } from '@countersign/core/edhoc'
import type { Milliseconds } from '@countersign/core/ports'
import type { CoapContextRow, Store } from '../../ports.ts'
import { contextPages } from './contextPages.ts'

export interface Told {
  /** With a live context whose handshake showed a certificate of this kind. */
  readonly devices: number
  readonly confirmed: number
}

export async function countTold(
  store: Pick<Store, 'scan'>,
  now: Milliseconds,
  kind: Authentication,
  /** Of the successor. */
  fingerprint: string,
): Promise<Told> {
  const counts = (row: CoapContextRow): boolean =>
    row.state === 'live' && row.serverKind === kind && row.notAfter > now
  let devices = 0
  let confirmed = 0
  for await (const page of contextPages(store)) {
    const ofKind = page.filter(counts)
    devices += ofKind.length
    confirmed += ofKind.filter((row) => row.confirmed === fingerprint).length
  }
  return { devices, confirmed }
}
