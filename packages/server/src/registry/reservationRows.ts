/**
 * The rows of a reservation: a device that is no more than reserved, its key, a certificate without
 * bytes, and the entry of the log.
 */
import type { Milliseconds } from '@countersign/core/ports'
import type {
  Assurance,
  CertificateRow,
  DeviceRow,
  EventDraft,
  KeyAttestation,
  KeyRow,
  ReservationRequest,
} from '../ports.ts'
import { deviceId } from './addresses.ts'
import { auditEvent, type RegistryParts, randomHex, sha256Hex } from './context.ts'

/**
 * From the reservation to the signature: a token's or an element's answer may be slow, a person's
 * is not meant.
 */
const reservationMs = 10 * 60_000
/** RFC 5280 §4.1.2.2 allows 20 octets; 72 random bits are more than CAs must have (64). */
const serialRandomBytes = 9
const timeDigits = 12

export type Target<K extends ReservationRequest['target']['kind']> = Extract<
  ReservationRequest['target'],
  { readonly kind: K }
>
export type ElementClaim = NonNullable<Target<'newDevice'>['element']>

export class ReservationRows {
  private readonly parts: RegistryParts

  constructor(parts: RegistryParts) {
    this.parts = parts
  }

  device(target: Target<'newDevice'>, eui64: string): DeviceRow {
    return {
      id: deviceId(eui64),
      eui64,
      serial: target.serial,
      product: target.product,
      owner: 'house',
      state: 'manufactured',
      assurance: target.assurance,
      road: null,
      firstSeen: null,
      lastSeen: null,
      reason: null,
      resumeState: null,
      createdAt: this.parts.clock.now(),
      version: 1,
      voucher: target.element?.voucher ?? null,
    }
  }

  hashOf({ spki }: ReservationRequest): string {
    return sha256Hex(this.parts, spki)
  }

  key(
    request: ReservationRequest,
    holder: string,
    origin: KeyRow['origin'],
    element: ElementClaim | undefined,
  ): KeyRow {
    const { attestation } = request
    return {
      spkiHash: this.hashOf(request),
      spki: request.spki,
      holder,
      elementKind: element?.kind ?? null,
      elementSerial: element?.serial ?? null,
      slot: element?.slot ?? null,
      origin,
      evidence: null,
      verdict: null,
      createdAt: this.parts.clock.now(),
      assurance: levelAsked(request),
      evidenceFormat: null,
      verifier: null,
      judgedAt: null,
      voucher: null,
      assuranceMax: request.assuranceMax ?? 4,
      ...(attestation === undefined ? {} : attested(attestation)),
    }
  }

  certificate(
    request: ReservationRequest,
    spkiHash: string,
    device: string | null,
    application: string | null,
  ): CertificateRow {
    return {
      serial: this.newSerial(),
      ca: request.ca,
      fingerprint: null,
      x5t: null,
      profile: request.profile,
      device,
      application,
      spkiHash,
      der: null,
      status: 'reserved',
      notBefore: request.notBefore,
      notAfter: request.notAfter,
      revokedAt: null,
      reason: null,
      overlapUntil: null,
      reservedUntil: this.until(),
      request: request.request,
      createdAt: this.parts.clock.now(),
    }
  }

  /**
   * 0x40, six octets of time, nine at random: positive, of constant length, and beyond guessing.
   * New ones stand beside each other in every index, and an enrolment writes fewer pages; what they
   * tell of the time, notBefore tells too.
   */
  private newSerial(): string {
    const time = this.parts.clock.now().toString(16).padStart(timeDigits, '0').slice(-timeDigits)
    return `40${time}${randomHex(this.parts, serialRandomBytes)}`
  }

  until(): Milliseconds {
    return this.parts.clock.now() + reservationMs
  }

  event(request: ReservationRequest, row: CertificateRow): EventDraft {
    const { serial, ca, profile, spkiHash } = row
    const data = { serial, ca, profile, key: spkiHash, request: request.request }
    return auditEvent(this.parts, 'certificate.reserved', row.device ?? serial, request.actor, data)
  }
}

/** What speaks for the key now: its attestation, else whoever vouches for a new device. */
export function levelAsked({ attestation, target }: ReservationRequest): Assurance {
  if (attestation !== undefined) return attestation.assurance
  return target.kind === 'newDevice' ? target.assurance : 0
}

/** What an attestation says of a key, as columns. */
export function attested(
  attestation: KeyAttestation,
): Pick<
  KeyRow,
  'assurance' | 'evidence' | 'evidenceFormat' | 'verdict' | 'verifier' | 'judgedAt' | 'voucher'
> {
  const { assurance, evidence, format, verdict, verifier, judgedAt, element } = attestation
  const voucher = element?.voucher ?? null
  return { assurance, evidence, evidenceFormat: format, verdict, verifier, judgedAt, voucher }
}
