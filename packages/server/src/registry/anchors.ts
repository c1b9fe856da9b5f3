/**
 * Trust anchors. The house's own come with its CAs; foreign makers' are added by an operator, each
 * with the scope it may vouch for. Whom elements are believed by, roots of attestation and signers of
 * manifests, stands in the same table and is never given to a judge of peers.
 */
import { type Certificate, parseCertificate, type Role } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type {
  AnchorRole,
  AnchorRow,
  Assurance,
  ElementAnchorRole,
  PeerAnchorRow,
} from '../ports.ts'
import { auditEvent, commit, conflictOf, misuse, type RegistryParts, sha256Hex } from './context.ts'

/** Each is judged by name and key on every unknown handshake. */
const anchorsMax = 1_000

export type AnchorErrorCode =
  | 'ERR_ANCHOR_NOT_A_CA'
  | 'ERR_ANCHOR_EXISTS'
  | 'ERR_ANCHOR_UNKNOWN'
  | 'ERR_ANCHOR_HOUSE'
  | 'ERR_ANCHOR_ROLE'
  | 'ERR_ANCHOR_SCOPE'

export interface AnchorDraft {
  readonly der: Uint8Array
  /** Of peers, only makers may be foreign; `maker` when absent. */
  readonly role?: AnchorRole | undefined
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

  /** All of them, or those of one role. */
  list(role?: AnchorRole): Promise<readonly AnchorRow[]> {
    const { store } = this.parts
    return role === undefined
      ? store.scan('anchor', { limit: anchorsMax })
      : store.find('anchor', 'role', role, { limit: anchorsMax })
  }

  /** What a judge of peers may be given. */
  async ofPeers(role?: Role): Promise<readonly PeerAnchorRow[]> {
    return (await this.list(role)).filter(isOfPeers)
  }

  /**
   * A foreign maker's issuing CA. Its evidence is worth nothing yet, so the cap on assurance is 0
   * unless the operator says more.
   */
  async add(draft: AnchorDraft): Promise<AnchorRow> {
    const certificate = parseCertificate(draft.der)
    const fingerprint = sha256Hex(this.parts, draft.der)
    const role = foreignRole(draft.role ?? 'maker', fingerprint)
    if (role !== 'maker') refuseScope(draft, role, fingerprint)
    if (role === 'manifest') requireSigner(certificate, fingerprint)
    else if (certificate.extensions.basicConstraints?.ca !== true)
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
      role,
      der: draft.der,
      origin: 'foreign',
      product: draft.product ?? null,
      serialPattern: draft.serialPattern ?? null,
      notAfter: draft.notAfter ?? null,
      // Of who vouches for elements the verifier knows the most; the operator may say less.
      assuranceCap: draft.assuranceCap ?? (role === 'maker' ? 0 : 4),
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
        'Remove it first, to give it another role or scope.',
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

function isOfPeers(row: AnchorRow): row is PeerAnchorRow {
  return row.role !== 'attestation' && row.role !== 'manifest'
}

function foreignRole(role: AnchorRole, fingerprint: string): 'maker' | ElementAnchorRole {
  if (role === 'maker' || role === 'attestation' || role === 'manifest') return role
  throw anchorError(
    'ERR_ANCHOR_ROLE',
    `a foreign anchor cannot have the role ${role}`,
    fingerprint,
    'Only makers may be foreign: use --role maker; for elements, attestation or manifest.',
  )
}

/** An element's level is what its evidence shows: a cap is all that can be said of who vouches. */
function refuseScope(draft: AnchorDraft, role: ElementAnchorRole, fingerprint: string): void {
  const { product, serialPattern, notAfter } = draft
  const given = [product, serialPattern, notAfter]
  if (given.every((one) => one === undefined || one === null)) return
  throw anchorError(
    'ERR_ANCHOR_SCOPE',
    `an anchor of the role ${role} has no scope but a cap on assurance`,
    fingerprint,
    'Leave product, serial number and end out.',
  )
}

/** Manifests are signed by ES256, and name the signer by its key id. */
function requireSigner({ spki, extensions }: Certificate, fingerprint: string): void {
  const { algorithm } = spki
  const isP256 = algorithm?.kind === 'ec' && algorithm.curve === 'P-256'
  if (isP256 && extensions.subjectKeyId !== undefined) return
  throw anchorError(
    'ERR_ANCHOR_ROLE',
    'who signs manifests has a key of P-256 and a subjectKeyIdentifier',
    fingerprint,
    'Give the certificate of the log signer, not the one above it.',
  )
}

function anchorError(
  code: AnchorErrorCode,
  message: string,
  where: string,
  hint: string,
): CallerError<AnchorErrorCode> {
  return new CallerError(code, message, {}, { where, hint })
}
