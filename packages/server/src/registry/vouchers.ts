/**
 * Who stands behind elements now: the anchors of elements, each with the most that it gives. What a
 * key was judged counts only while its voucher is among them, and no more than that one gives. Kept in
 * memory, so that a handshake costs a look-up; forgotten when an anchor comes or goes.
 */
import type { Assurance, DeviceRow, ElementAnchorRole, KeyRow } from '../ports.ts'
import { voucherName } from '../recordValues.ts'
import type { RegistryParts } from './context.ts'

const anchorsMax = 1_000
const roles: readonly ElementAnchorRole[] = ['attestation', 'manifest']

export interface Worth {
  readonly assurance: Assurance
  /** Why it is less than what was judged; null when it is not. */
  readonly lowered: string | null
}

/** A key with what it is worth now as its assurance. */
export interface WorthyKey extends KeyRow {
  readonly lowered: string | null
}

type Judged = Pick<KeyRow, 'assurance' | 'voucher'>
type Caps = ReadonlyMap<string, Assurance>

export class Vouchers {
  private readonly parts: RegistryParts
  private caps: Promise<Caps> | undefined

  constructor(parts: RegistryParts) {
    this.parts = parts
    parts.notices.listen(({ kind }) => {
      if (kind === 'anchors') this.caps = undefined
    })
  }

  async worth({ assurance, voucher }: Judged): Promise<Worth> {
    // The house's own word needs nobody behind it.
    if (voucher === null) return { assurance, lowered: null }
    const cap = (await this.known()).get(voucher)
    if (cap === undefined) {
      const lowered = assurance === 0 ? null : 'its voucher is no anchor any more'
      return { assurance: 0, lowered }
    }
    if (assurance <= cap) return { assurance, lowered: null }
    return { assurance: cap, lowered: `the anchor of its voucher gives ${cap} at most now` }
  }

  async key(row: KeyRow): Promise<WorthyKey> {
    return { ...row, ...(await this.worth(row)) }
  }

  /** As it is to be shown: the row keeps what was judged, for the day the anchor is back. */
  async device(row: DeviceRow): Promise<DeviceRow> {
    const { assurance } = await this.worth(row)
    return assurance === row.assurance ? row : { ...row, assurance }
  }

  private known(): Promise<Caps> {
    if (this.caps !== undefined) return this.caps
    const caps = this.read()
    this.caps = caps
    // What could not be read is asked again.
    caps.catch(() => {
      if (this.caps === caps) this.caps = undefined
    })
    return caps
  }

  private async read(): Promise<Caps> {
    const caps = new Map<string, Assurance>()
    for (const role of roles) {
      const rows = await this.parts.store.find('anchor', 'role', role, { limit: anchorsMax })
      for (const row of rows) {
        caps.set(voucherName(role, row.fingerprint), row.assuranceCap)
      }
    }
    return caps
  }
}
