/**
 * The registry: who is who, and what may happen to them. The one class that the doors, the
 * authority and the command know; each of its methods is at home in a file of this room.
 */
import type { RevocationReason, Role, VerifiedPeer } from '@countersign/core/credential'
import type {
  Admitted,
  AdmittedApplication,
  AdmittedToRenew,
  AnchorRole,
  AnchorRow,
  CertificateRow,
  DeviceRow,
  LodgingGatekeeper,
  PeerAnchorRow,
  ProductRow,
  Refusal,
  Reservation,
  ReservationRequest,
  Road,
  TokenRow,
} from '../ports.ts'
import { Addresses } from './addresses.ts'
import { Admission } from './admission.ts'
import { type AnchorDraft, Anchors } from './anchors.ts'
import { admitApplication } from './applicants.ts'
import { Background } from './background.ts'
import { RegistryCache } from './cache.ts'
import type { RegistryParts } from './context.ts'
import { type Invitation, type InvitationFilter, Invitations } from './invitations.ts'
import { Issuing } from './issuing.ts'
import { type DeviceFilter, LookUp } from './lookUp.ts'
import { admitMaker, type MakerStanding } from './makers.ts'
import { Moves } from './moves.ts'
import { defaultProduct, type ProductPolicy, Products } from './products.ts'
import { Refusals } from './refusals.ts'
import { Reservations } from './reservations.ts'
import { Vouchers, type WorthyKey } from './vouchers.ts'
import { explain, type Why } from './why.ts'

export type {
  AnchorDraft,
  DeviceFilter,
  Invitation,
  InvitationFilter,
  MakerStanding,
  ProductPolicy,
  RegistryParts,
  Why,
  WorthyKey,
}

export class Registry implements LodgingGatekeeper {
  readonly #parts: RegistryParts
  readonly #vouchers: Vouchers
  readonly #background: Background
  readonly #products: Products
  readonly #addresses: Addresses
  readonly #invitations: Invitations
  readonly #reservations: Reservations
  readonly #issuing: Issuing
  readonly #admission: Admission
  readonly #moves: Moves
  readonly #refusals: Refusals
  readonly #lookUp: LookUp
  readonly #anchors: Anchors

  constructor(parts: RegistryParts) {
    const cache = new RegistryCache(parts)
    const vouchers = new Vouchers(parts)
    this.#vouchers = vouchers
    this.#parts = parts
    this.#background = new Background(parts.failed)
    this.#products = new Products(parts)
    this.#addresses = new Addresses(parts)
    this.#invitations = new Invitations(parts, this.#products)
    this.#reservations = new Reservations({
      parts,
      invitations: this.#invitations,
      addresses: this.#addresses,
      cache,
      vouchers,
    })
    this.#issuing = new Issuing(parts, vouchers)
    this.#admission = new Admission(parts, cache, vouchers, this.#background)
    this.#moves = new Moves(parts, vouchers)
    this.#refusals = new Refusals(parts, this.#background)
    this.#lookUp = new LookUp(parts, vouchers)
    this.#anchors = new Anchors(parts)
  }

  /** What every house begins with; does nothing the second time. */
  async bootstrap(): Promise<void> {
    const known = await this.#parts.store.get('product', defaultProduct)
    if (known === undefined) await this.#products.add(defaultProduct, {}, 'system')
  }

  /** When nothing is being written that nobody waits for. */
  settled(): Promise<void> {
    return this.#background.settled()
  }

  /**
   * Before the store is closed: tells the log what it has only counted until now, and gives back
   * addresses that nobody was given.
   */
  async close(): Promise<void> {
    // What is still being looked up may be dropped and counted.
    await this.#background.settled()
    this.#refusals.flush()
    this.#background.run(() => this.#addresses.close())
    await this.#background.settled()
  }

  // --- Products and invitations ------------------------------------------------------------------

  products(): Promise<readonly ProductRow[]> {
    return this.#products.all()
  }

  /** Throws CallerError ERR_PRODUCT_UNKNOWN. */
  product(name: string): Promise<ProductRow> {
    return this.#products.one(name)
  }

  addProduct(name: string, policy: Partial<ProductPolicy>): Promise<ProductRow> {
    return this.#products.add(name, policy)
  }

  setProduct(name: string, policy: Partial<ProductPolicy>): Promise<ProductRow> {
    return this.#products.set(name, policy)
  }

  /** The token is shown once: only its hash is stored. */
  invite(invitation: Invitation): Promise<{ readonly token: string; readonly id: string }> {
    return this.#invitations.invite(invitation)
  }

  invitations(filter: InvitationFilter = {}): Promise<readonly TokenRow[]> {
    return this.#invitations.list(filter)
  }

  /** Nobody enrols by it afterwards; who has, stays. Throws CallerError ERR_INVITATION_UNKNOWN. */
  withdrawInvitation(id: string): Promise<TokenRow> {
    return this.#invitations.withdraw(id)
  }

  /** Throws PeerError ERR_TOKEN_UNKNOWN or ERR_TOKEN_EXPIRED. */
  checkToken(token: string): Promise<TokenRow> {
    return this.#invitations.checkToken(token)
  }

  // --- Certificates: reserved, issued, or void ---------------------------------------------------

  /**
   * Takes everything that must be unique, before anything is signed. A request that was answered
   * before gives `issued`.
   */
  reserve(request: ReservationRequest): Promise<Reservation> {
    return this.#reservations.reserve(request)
  }

  /**
   * Stores what was signed, and returns the row that counts: the first, when two signed the same
   * reservation.
   */
  issued(serial: string, der: Uint8Array, fingerprint: string): Promise<CertificateRow> {
    return this.#issuing.issued(serial, der, fingerprint)
  }

  /**
   * Gives back what reservations without a certificate have taken; the composer calls it at start
   * and now and then.
   */
  voidExpired(): Promise<number> {
    return this.#issuing.voidExpired()
  }

  // --- The doors ---------------------------------------------------------------------------------

  /**
   * Throws PeerError<RegistryErrorCode>. Hold the session where notices find it before calling
   * this.
   */
  admit(peer: VerifiedPeer, road: Road, suite?: number): Promise<Admitted> {
    return this.#admission.admit(peer, road, suite)
  }

  /** Throws PeerError<RegistryErrorCode>: `admit` without effects. */
  mayStay(peer: VerifiedPeer, road: Road, suite?: number): Promise<Admitted> {
    return this.#admission.mayStay(peer, road, suite)
  }

  /** Throws PeerError<RegistryErrorCode>: like `admit`, but for the product's roads. */
  admitToRenew(peer: VerifiedPeer): Promise<AdmittedToRenew> {
    return this.#admission.admitToRenew(peer)
  }

  /** Throws PeerError<RegistryErrorCode>. As with `admit`: hold the session first. */
  admitApplication(peer: VerifiedPeer): Promise<AdmittedApplication> {
    return admitApplication(this.#parts, peer)
  }

  async isDevice(id: string): Promise<boolean> {
    return (await this.#parts.store.get('device', id)) !== undefined
  }

  /** A maker's certificate, for enrolment only. */
  admitMaker(peer: VerifiedPeer): Promise<MakerStanding> {
    return admitMaker(this.#parts, peer)
  }

  refused(refusal: Refusal): void {
    this.#refusals.refused(refusal)
  }

  // --- The operator ------------------------------------------------------------------------------

  suspend(id: string, reason: string): Promise<DeviceRow> {
    return this.#moves.suspend(id, reason)
  }

  resume(id: string): Promise<DeviceRow> {
    return this.#moves.resume(id)
  }

  revoke(id: string, reason: RevocationReason): Promise<DeviceRow> {
    return this.#moves.revoke(id, reason)
  }

  retire(id: string): Promise<DeviceRow> {
    return this.#moves.retire(id)
  }

  revokeCertificate(serial: string, reason: RevocationReason): Promise<CertificateRow> {
    return this.#moves.revokeCertificate(serial, reason)
  }

  /**
   * By URN, EUI-64 or serial number. Throws CallerError ERR_DEVICE_UNKNOWN or ERR_DEVICE_AMBIGUOUS.
   */
  find(text: string): Promise<DeviceRow> {
    return this.#lookUp.find(text)
  }

  list(filter: DeviceFilter): Promise<readonly DeviceRow[]> {
    return this.#lookUp.list(filter)
  }

  certificatesOf(device: string): Promise<readonly CertificateRow[]> {
    return this.#lookUp.certificatesOf(device)
  }

  revokedCertificates(ca: string): AsyncGenerator<CertificateRow> {
    return this.#lookUp.revokedCertificates(ca)
  }

  /** Also takes a certificate's fingerprint or an address that was turned away. */
  why(text: string): Promise<Why> {
    return explain(this.#parts, this.#lookUp, text)
  }

  addAnchor(draft: AnchorDraft): Promise<AnchorRow> {
    return this.#anchors.add(draft)
  }

  /** Of peers: what a judge may be given. */
  listAnchors(role?: Role): Promise<readonly PeerAnchorRow[]> {
    return this.#anchors.ofPeers(role)
  }

  /** Those of elements too. */
  allAnchors(role?: AnchorRole): Promise<readonly AnchorRow[]> {
    return this.#anchors.list(role)
  }

  /** A device as it is worth now: of a row that was read past the registry. */
  worthNow(row: DeviceRow): Promise<DeviceRow> {
    return this.#vouchers.device(row)
  }

  /** What is known of a device's keys, newest first, with what each is worth now. */
  keysOf(device: string): Promise<readonly WorthyKey[]> {
    return this.#lookUp.keysOf(device)
  }

  removeAnchor(fingerprint: string): Promise<void> {
    return this.#anchors.remove(fingerprint)
  }
}
