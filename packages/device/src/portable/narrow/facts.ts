/** What of a record may be shown to people: no key, and no handle of one. */
import type { ChannelCrypto, Milliseconds } from '@countersign/core/ports'
import { decodeRecord, type ServerCredential } from './record.ts'

export interface NarrowFacts {
  /** Undefined: the next message makes a handshake. */
  readonly context:
    | {
        readonly since: Milliseconds
        /** It is not used after this. */
        readonly until: Milliseconds
        /** x5t (SHA-256/64) of the device's certificate. */
        readonly deviceX5t: Uint8Array
        /** Below it numbers may have been used (RFC 8613 Appendix B.1.1). */
        readonly numbersReserved: number
      }
    | undefined
  /** Judged when they were stored; each handshake judges again. */
  readonly servers: readonly ServerCredential[]
}

/** Throws AdapterError ERR_NARROW_RECORD. */
export function readNarrowFacts(crypto: ChannelCrypto, record: Uint8Array): NarrowFacts {
  const { current, servers } = decodeRecord(crypto, record)
  if (current === undefined) return { context: undefined, servers }
  const { since, until, deviceX5t, context } = current
  const numbersReserved = context.state.senderReserved
  return { context: { since, until, deviceX5t, numbersReserved }, servers }
}
