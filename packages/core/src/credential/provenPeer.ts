/**
 * A verified peer as the judge keeps it: tens of thousands are remembered, and hardly anyone asks
 * for more of the leaf than its fingerprint. So the leaf is kept as its bytes and parsed when
 * somebody looks at it; parsed once more it is what was verified, since parsing depends on the
 * bytes alone.
 */
import type { Milliseconds } from '../ports.ts'
import { parseCertificate } from './parseCertificate.ts'
import type { Purpose, Role } from './roles.ts'
import type { Certificate } from './types.ts'
import type { Anchor } from './verified.ts'

interface Proven {
  readonly role: Role
  readonly purpose: Purpose
  readonly fingerprint: string
  readonly anchor: Anchor
  readonly above: readonly Certificate[]
  readonly notAfter: Milliseconds
}

/** Without the proof: only the judge adds it. */
export class ProvenPeer implements Proven {
  readonly role: Role
  readonly purpose: Purpose
  readonly fingerprint: string
  readonly anchor: Anchor
  readonly above: readonly Certificate[]
  readonly notAfter: Milliseconds
  readonly #der: Uint8Array

  constructor(proven: Proven, der: Uint8Array) {
    this.role = proven.role
    this.purpose = proven.purpose
    this.fingerprint = proven.fingerprint
    this.anchor = proven.anchor
    this.above = proven.above
    this.notAfter = proven.notAfter
    this.#der = der
    Object.freeze(this)
  }

  get leaf(): Certificate {
    return parseCertificate(this.#der)
  }

  get path(): readonly Certificate[] {
    return [this.leaf, ...this.above]
  }
}
