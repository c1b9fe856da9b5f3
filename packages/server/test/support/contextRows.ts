/** A row of a security context with every column filled, to be varied by tests. */
import type { CoapContextRow } from '../../src/ports.ts'

export function coapContextRow(id: string, over: Partial<CoapContextRow> = {}): CoapContextRow {
  return {
    id,
    device: 'urn:dev:mac:0200000000000001',
    fingerprint: 'f'.repeat(64),
    context: Uint8Array.of(1, 2, 3),
    reserved: 64,
    highest: 7,
    accepted: 0xffff_ffff,
    life: 1,
    sealed: 0,
    failed: 0,
    peerAddress: '192.0.2.1:40000',
    createdAt: 1,
    notAfter: 2,
    begun: 1,
    serverKind: 'signature',
    suite: 2,
    confirmed: null,
    state: 'live',
    reason: null,
    endedAt: null,
    ...over,
  }
}
