/**
 * Trust anchors. The house's own come with its CAs; foreign makers' are added by an operator, each
 * with the scope it may vouch for.
 */
import { type Certificate, parseCertificate, type Role } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type { AnchorRow, Assurance } from '../ports.ts'
import { auditEvent, commit, conflictOf, misuse, type RegistryParts, sha256Hex } from './context.ts'

/** Each is judged by name and key on every unknown handshake. */
const anchorsMax = 1_000

export type AnchorErrorCode =
  | 'ERR_ANCHOR_NOT_A_CA'
  | 'ERR_ANCHOR_EXISTS'
  | 'ERR_ANCHOR_UNKNOWN'
  | 'ERR_ANCHOR_HOUSE'
  | 'ERR_ANCHOR_ROLE'

export interface AnchorDraft {
  readonly der: Uint8Array
  /** Only makers may be foreign. */
  readonly role?: Role | undefined
  readonly product?: string | null | undefined
  readonly serialPattern?: string | null | undefined
  readonly notAfter?: Milliseconds | null | undefined
  readonly assuranceCap?: Assurance | undefined
}

export class Anchors {
  private readonly parts: RegistryParts

  constructor(parts: RegistryParts) {
    this.parts = parts
  }

  list(role?: Role): Promise<readonly AnchorRow[]> {
    const { store } = this.parts
    return role === undefined
      ? store.scan('anchor', { limit: anchorsMax })
      : store.find('anchor', 'role', role, { limit: anchorsMax })
  }

  /**
   * A foreign maker's issuing CA. Its evidence is worth nothing yet, so the cap on assurance is 0
   * unless the operator says more.
   */
  async add(draft: AnchorDraft): Promise<AnchorRow> {
    const certificate = parseCertificate(draft.der)
    const fingerprint = sha256Hex(this.parts, draft.der)
    if (draft.role !== undefined && draft.role !== 'maker')
      throw anchorError(
        'ERR_ANCHOR_ROLE',
        `a foreign anchor cannot have the role ${draft.role}`,
        fingerprint,
        'Only makers may be foreign: use --role maker.',
      )
    if (certificate.extensions.basicConstraints?.ca !== true)
      throw anchorError(
        'ERR_ANCHOR_NOT_A_CA',
        'the certificate is not one of a CA',
        fingerprint,
        "Give the certificate of the maker's issuing CA.",
      )
    await this.refuseOwn(certificate, fingerprint)
    if (
      typeof draft.product === 'string' &&
      (await this.parts.store.get('product', draft.product)) === undefined
    )
      throw misuse('ERR_PRODUCT_UNKNOWN', `there is no product ${draft.product}`, draft.product)
    const row: AnchorRow = {
      fingerprint,
      role: 'maker',
      der: draft.der,
      origin: 'foreign',
      product: draft.product ?? null,
      serialPattern: draft.serialPattern ?? null,
      notAfter: draft.notAfter ?? null,
      assuranceCap: draft.assuranceCap ?? 0,
      createdAt: this.parts.clock.now(),
    }
    const { product, serialPattern, notAfter, assuranceCap } = row
    const data = { role: row.role, product, serialPattern, notAfter, assuranceCap }
    try {
      await commit(
        this.parts,
        {
          writes: [{ kind: 'insert', table: 'anchor', row }],
          events: [auditEvent(this.parts, 'anchor.added', fingerprint, 'operator', data)],
        },
        [{ kind: 'anchors' }],
      )
    } catch (error) {
      if (conflictOf(error) === undefined) throw error
      throw anchorError(
        'ERR_ANCHOR_EXISTS',
        'this anchor is here already',
        fingerprint,
        'Remove it first, to give it another scope.',
      )
    }
    return row
  }

  /**
   * By key, whatever certificate carries it: as a maker's anchor it would let what serves one role
   * pass for another.
   */
  private async refuseOwn({ spki }: Certificate, fingerprint: string): Promise<void> {
    const cas = await this.parts.store.scan('ca', { limit: anchorsMax })
    const own = cas.find(({ der }) => Buffer.from(parseCertificate(der).spki.der).equals(spki.der))
    if (own === undefined) return
    throw anchorError(
      'ERR_ANCHOR_HOUSE',
      `this is the CA ${own.name} of this house`,
      fingerprint,
      'The house believes its own CAs already, each in its role; give the CA of a foreign maker.',
    )
  }

  async remove(fingerprint: string): Promise<void> {
    const row = await this.parts.store.get('anchor', fingerprint)
    if (row === undefined)
      throw anchorError(
        'ERR_ANCHOR_UNKNOWN',
        'there is no such anchor',
        fingerprint,
        'See "countersign ca anchor list".',
      )
    if (row.origin === 'house')
      throw anchorError(
        'ERR_ANCHOR_HOUSE',
        "the house's own anchors stay",
        fingerprint,
        'Replace an issuing CA with "countersign ca rollover".',
      )
    await commit(
      this.parts,
      {
        writes: [{ kind: 'delete', table: 'anchor', key: fingerprint }],
        events: [auditEvent(this.parts, 'anchor.removed', fingerprint, 'operator', {})],
      },
      [{ kind: 'anchors' }],
    )
  }
}

function anchorError(
  code: AnchorErrorCode,
  message: string,
  where: string,
  hint: string,
): CallerError<AnchorErrorCode> {
  return new CallerError(code, message, {}, { where, hint })
}
