/**
 * Who may come in, on every handshake and every resumption: certificate, device, product policy. A
 * known device costs one look-up in memory and no write; the first accepted handshake of a
 * certificate confirms it.
 */
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Milliseconds } from '@countersign/core/ports'
import type {
  Admitted,
  AdmittedToRenew,
  CertificateRow,
  DeviceRow,
  MessageDraft,
  Notice,
  ProductRow,
  Road,
  Write,
} from '../ports.ts'
import type { Background } from './background.ts'
import type { Known, RegistryCache } from './cache.ts'
import {
  auditEvent,
  commit,
  deviceMessage,
  msPerDay,
  type RegistryParts,
  refusal,
  unchanged,
  untilSettled,
} from './context.ts'
import { isLegal, moved, stateRefusal } from './lifecycle.ts'
import { roadsOf } from './products.ts'
import type { Vouchers, Worth } from './vouchers.ts'

/** Last seen is exact to this much. */
const seenEveryMs = 60_000

/** What is decided upon; without a road at EST. */
interface Case {
  readonly peer: VerifiedPeer
  readonly road: Road | undefined
  /** Of EDHOC; undefined where that is not spoken. */
  readonly suite: number | undefined
  readonly known: Known
  readonly product: ProductRow
  readonly worth: Worth
}

export class Admission {
  private readonly parts: RegistryParts
  private readonly cache: RegistryCache
  private readonly vouchers: Vouchers
  private readonly background: Background

  constructor(
    parts: RegistryParts,
    cache: RegistryCache,
    vouchers: Vouchers,
    background: Background,
  ) {
    this.parts = parts
    this.cache = cache
    this.vouchers = vouchers
    this.background = background
  }

  admit(peer: VerifiedPeer, road: Road, suite?: number): Promise<Admitted> {
    return untilSettled(async () => {
      const known = await this.knownOf(peer)
      const product = await this.cache.product(known.device.product)
      const worth = await this.worthOf(peer, known)
      this.judge({ peer, road, suite, known, product, worth })
      const { certificate, device } = known
      if (certificate.status === 'issued' || isLegal(device.state, 'activate')) {
        const accepted = await this.accept(known, product, road, worth)
        return admittedBy(peer, accepted, product, worth)
      }
      this.seen(known, road)
      return admittedBy(peer, known, product, worth)
    })
  }

  /** Of one that was let in: judged like any handshake, and nothing is accepted or written by it. */
  async mayStay(peer: VerifiedPeer, road: Road, suite?: number): Promise<Admitted> {
    const known = await this.knownOf(peer)
    const product = await this.cache.product(known.device.product)
    const worth = await this.worthOf(peer, known)
    this.judge({ peer, road, suite, known, product, worth })
    return admittedBy(peer, known, product, worth)
  }

  /**
   * For EST, which stays at the https door whatever roads the messages of a product take: judged like
   * any handshake, and nothing is accepted by it.
   */
  async admitToRenew(peer: VerifiedPeer): Promise<AdmittedToRenew> {
    const known = await this.knownOf(peer)
    const product = await this.cache.product(known.device.product)
    const worth = await this.worthOf(peer, known)
    this.judge({ peer, road: undefined, suite: undefined, known, product, worth })
    const { assuranceMax } = known
    return { ...admittedBy(peer, known, product, worth), assuranceMax }
  }

  private async knownOf(peer: VerifiedPeer): Promise<Known> {
    const known = await this.cache.byFingerprint(peer.fingerprint)
    if (known !== undefined) return known
    if (peer.anchor.origin === 'foreign')
      throw refusal(
        'ERR_CREDENTIAL_NOT_ALLOWED',
        'a certificate of a foreign maker serves to enrol, not to send',
        { fingerprint: peer.fingerprint },
        leafField('issuer'),
      )
    throw refusal(
      'ERR_CERT_UNKNOWN',
      'no device has this certificate',
      { fingerprint: peer.fingerprint },
      leafField('serialNumber'),
    )
  }

  /** Of the key that this certificate certifies, not of the device: it may have another by now. */
  private async worthOf(peer: VerifiedPeer, known: Known): Promise<Worth> {
    const worth = await this.vouchers.worth(known)
    const cap = peer.anchor.scope.assuranceCap ?? 4
    return worth.assurance <= cap ? worth : { ...worth, assurance: cap }
  }

  private judge({ peer, road, suite, known, product, worth }: Case): void {
    const { certificate, device } = known
    const refused = stateRefusal(device)
    // A revoked device's certificates are revoked with it: what the peer showed is named before
    // what it is.
    if (refused !== undefined && certificate.status !== 'revoked') throw refused
    checkCertificate(certificate, this.parts.clock.now())
    const details = { device: device.id, product: product.name }
    const kind = credentialKind(peer, certificate)
    if (kind === undefined || (product.credential !== 'either' && product.credential !== kind))
      throw refusal(
        'ERR_CREDENTIAL_NOT_ALLOWED',
        `product ${product.name} takes ${product.credential} certificates, this is one of profile ${certificate.profile}`,
        details,
        leafField('issuer'),
      )
    if (road !== undefined && !roadsOf(product).includes(road))
      throw refusal(
        'ERR_ROAD_NOT_ALLOWED',
        `product ${product.name} does not use ${road}`,
        { ...details, road },
        `product ${product.name}: roads`,
      )
    if (suite !== undefined && suite < product.edhocSuiteMin)
      throw refusal(
        'ERR_SUITE_NOT_ALLOWED',
        `its handshake was of suite ${suite}, product ${product.name} demands ${product.edhocSuiteMin}`,
        details,
        `product ${product.name}: edhocSuiteMin`,
      )
    const { assurance, lowered } = worth
    if (assurance < product.assuranceMin)
      throw refusal(
        'ERR_ASSURANCE_TOO_LOW',
        `the assurance of its key is ${assurance}${lowered === null ? '' : ` (${lowered})`}, below the ${product.assuranceMin} of product ${product.name}`,
        details,
        `${leafField('subjectPublicKeyInfo')}: assurance`,
      )
  }

  /**
   * The first accepted handshake of a certificate, or of a device. Whoever loses a race here reads
   * again and finds it done.
   */
  private async accept(
    known: Known,
    product: ProductRow,
    road: Road,
    worth: Worth,
  ): Promise<Known> {
    const { certificate, device, assurance, voucher } = known
    const now = this.parts.clock.now()
    const activates = isLegal(device.state, 'activate')
    const base = activates
      ? moved(device, 'activate', 'device', null)
      : { ...device, version: device.version + 1 }
    // The device is worth what the key in use is worth.
    const seen = { road, firstSeen: device.firstSeen ?? now, lastSeen: now }
    const after: DeviceRow = { ...base, ...seen, assurance, voucher }
    const older = await this.olderThan(certificate)
    const confirmed = certificate.status === 'issued' ? 'confirmed' : certificate.status
    const overlapUntil = now + product.overlapDays * msPerDay
    const { state, reason, firstSeen, version } = after
    const writes: Write[] = [
      {
        kind: 'update',
        table: 'certificate',
        key: certificate.serial,
        set: { status: confirmed },
      },
      {
        kind: 'update',
        table: 'device',
        key: device.id,
        set: { state, reason, road, firstSeen, lastSeen: now, version, assurance, voucher },
      },
      ...older.map((row) => supersede(row, overlapUntil)),
    ]
    const messages: MessageDraft[] = activates
      ? [deviceMessage(this.parts, 'countersign.device.changed', asWorth(after, worth))]
      : []
    const { serial, status } = certificate
    const superseded = older.map((row) => row.serial)
    const type = activates ? 'device.active' : 'certificate.confirmed'
    await commit(
      this.parts,
      {
        conditions: [
          { kind: 'equals', table: 'certificate', key: serial, where: { status } },
          { kind: 'equals', table: 'device', key: device.id, where: { version: device.version } },
          // One that was revoked since we read it stays so.
          ...older.map((row) => unchanged(row)),
        ],
        writes,
        events: [auditEvent(this.parts, type, device.id, 'device', { serial, road, superseded })],
        messages,
      },
      [
        ...older.map(
          (row): Notice => ({ kind: 'certificate', serial: row.serial, device: device.id }),
        ),
        { kind: 'device', id: device.id },
      ],
    )
    const shown = { ...certificate, status: confirmed }
    return { ...known, certificate: shown, device: after, seenAt: now, seenOn: road }
  }

  private async olderThan(certificate: CertificateRow): Promise<CertificateRow[]> {
    if (certificate.device === null || certificate.status !== 'issued') return []
    const rows = await this.parts.store.find('certificate', 'device', certificate.device, {
      newestFirst: true,
    })
    return rows.filter(
      (row) =>
        row.serial !== certificate.serial &&
        row.profile === certificate.profile &&
        (row.status === 'confirmed' ||
          (row.status === 'issued' && row.createdAt < certificate.createdAt)),
    )
  }

  /**
   * Written at most once a minute while the road is the same, and nobody waits for it: a full disk must not lock out a device
   * that only says hello.
   */
  private seen(known: Known, road: Road): void {
    const now = this.parts.clock.now()
    if (known.seenOn === road && now - known.seenAt < seenEveryMs) return
    known.seenAt = now
    known.seenOn = road
    const write = {
      kind: 'update',
      table: 'device',
      key: known.device.id,
      set: { lastSeen: now, road },
    } as const
    this.background.run(() => this.parts.store.apply({ writes: [write] }))
  }
}

function supersede(row: CertificateRow, overlapUntil: Milliseconds): Write {
  return {
    kind: 'update',
    table: 'certificate',
    key: row.serial,
    set: { status: 'superseded', overlapUntil: Math.min(overlapUntil, row.notAfter) },
  }
}

export function checkCertificate(certificate: CertificateRow, now: Milliseconds): void {
  const { status, serial, reason, overlapUntil } = certificate
  const details = { serial }
  switch (status) {
    case 'issued':
    case 'confirmed':
      return
    case 'revoked':
      throw refusal(
        'ERR_CERT_REVOKED',
        `certificate ${serial} is revoked (${reason ?? 'unspecified'})`,
        details,
        leafField('serialNumber'),
      )
    case 'superseded':
      if (overlapUntil !== null && now < overlapUntil) return
      throw refusal(
        'ERR_CERT_SUPERSEDED',
        `certificate ${serial} was replaced by a newer one`,
        details,
        leafField('serialNumber'),
      )
    case 'reserved':
    case 'void':
      throw refusal(
        'ERR_CERT_UNKNOWN',
        `certificate ${serial} was never issued`,
        details,
        leafField('serialNumber'),
      )
  }
}

/**
 * Named as the judge names it: of a chain that it found good, the registry looks at the leaf alone.
 */
export function leafField(field: string): string {
  return `link 0: ${field}`
}

/** What product policy calls it; undefined: no certificate of a device. */
export function credentialKind(
  peer: VerifiedPeer,
  certificate: CertificateRow,
): 'factory' | 'owner' | undefined {
  if (peer.role === 'maker' && certificate.profile === 'idevid') return 'factory'
  if (peer.role === 'owner' && certificate.profile === 'ldevid') return 'owner'
  return undefined
}

function asWorth(device: DeviceRow, { assurance }: Worth): DeviceRow {
  return { ...device, assurance }
}

function admittedBy(peer: VerifiedPeer, known: Known, product: ProductRow, worth: Worth): Admitted {
  const { certificate } = known
  const device = asWorth(known.device, worth)
  const { overlapUntil } = certificate
  const notAfter = overlapUntil === null ? peer.notAfter : Math.min(peer.notAfter, overlapUntil)
  return {
    device,
    certificate,
    notAfter,
    messagesPerMinute: product.messagesPerMinute,
    credential: certificate.x5t ?? peer.fingerprint.slice(0, 16),
  }
}
