/**
 * Names of one byte for the server's EDHOC certificates: those that travel as an integer (RFC 9528
 * §3.3.2, §3.5.3.2). A device keeps {kid: certificate}, perhaps for years: a name comes back as
 * late as can be.
 */
import { randomInt } from 'node:crypto'
import type { Milliseconds } from '@countersign/core/ports'

/** As bytes: the CBOR integers 0 to 23 and -1 to -24. */
export const kids: readonly number[] = [...range(0x00, 0x17), ...range(0x20, 0x37)]

export interface Named {
  readonly kid: number
  readonly state: 'current' | 'next' | 'past'
  readonly notAfter: Milliseconds
}

/**
 * One that nobody has had, drawn: a house that was restored from a backup has forgotten some, and
 * should not begin with them. When all have been used, the one whose certificate ended first.
 */
export function freeKid(entries: readonly Named[]): number {
  const unused = kids.filter((kid) => entries.every((entry) => entry.kid !== kid))
  const drawn = unused.length === 0 ? undefined : unused[randomInt(unused.length)]
  if (drawn !== undefined) return drawn
  const past = entries.filter((entry) => entry.state === 'past')
  return past.reduce((first, one) => (one.notAfter < first.notAfter ? one : first)).kid
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
