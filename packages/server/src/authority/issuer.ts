/**
 * Issuing: reserve in the registry, sign, record. Everything unique is claimed
 * before anything is signed, and what was signed for a request is kept: the same request asked
 * again gets the stored bytes, never a second signature.
 */
import { createHash } from 'node:crypto'
import { fromHex, noExpiration } from '@countersign/core/codec'
import type { StaticKey } from '@countersign/core/edhoc'
import { InvariantError } from '@countersign/core/errors'
import type { ChannelCrypto, Clock, Milliseconds } from '@countersign/core/ports'
import type {
  Assurance,
  CertificateRow,
  DeviceRow,
  KeyAttestation,
  ProfileName,
  Reservation,
  ReservationRequest,
} from '../ports.ts'
import { deviceNames, serverNames } from './extensions.ts'
import type { HouseCa } from './hierarchy.ts'
import { requireAgreement } from './possession.ts'
import { backdateMs, deviceSubject } from './profiles.ts'

/** The registry as the issuer sees it. */
export interface Reservations {
  reserve(request: ReservationRequest): Promise<Reservation>
  /**
   * Records the certificate of a reservation; answers what is on record, which is another's if that
   * was first.
   */
  issued(serial: string, der: Uint8Array, fingerprint: string): Promise<CertificateRow>
}

export interface IssueRequest {
  readonly ca: HouseCa
  readonly profile: ProfileName
  readonly spki: Uint8Array
  /** Of a profile whose key only agrees, and so signs no request: what shows its possession. */
  readonly key?: StaticKey
  /** A moment ago by default; as early as its CA's. */
  readonly validFrom?: 'now' | 'beginning of the CA'
  /** 'never': 99991231235959Z. Cut to the end of the CA in any case. */
  readonly lifetimeMs: number | 'never'
  /**
   * What asks, as in `CertificateRow.request`: the key of idempotence together with the public key.
   */
  readonly request: string
  readonly actor: string
  readonly target: ReservationRequest['target']
  readonly attestation?: KeyAttestation | undefined
  readonly assuranceMax?: Assurance | undefined
  /** Subject of what is not a device. */
  readonly subject?: Uint8Array
  /** Names of a server. */
  readonly hosts?: readonly string[]
  /** IDevIDs alone: writes hardwareModuleName with this hwType. */
  readonly hardwareModuleType?: string
}

export interface Issued {
  readonly der: Uint8Array
  readonly serial: string
  readonly fingerprint: string
  readonly device: DeviceRow | null
}

export class Issuer {
  readonly #registry: Reservations
  readonly #clock: Clock
  readonly #crypto: ChannelCrypto
  /** Requests being answered: a retry that overtakes its original waits for it. */
  readonly #running = new Map<string, Promise<Issued>>()

  constructor(registry: Reservations, clock: Clock, crypto: ChannelCrypto) {
    this.#registry = registry
    this.#clock = clock
    this.#crypto = crypto
  }

  issue(request: IssueRequest): Promise<Issued> {
    const key = keyOf(request)
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const promise = this.#issue(request).finally(() => this.#running.delete(key))
    this.#running.set(key, promise)
    return promise
  }

  async #issue(request: IssueRequest): Promise<Issued> {
    if (request.profile === 'server-edhoc-dh') await requireAgreement(request, this.#crypto)
    const validity = validityOf(request, this.#clock.now())
    const reservation = await this.#registry.reserve({
      profile: request.profile,
      ca: request.ca.row.name,
      spki: request.spki,
      ...validity,
      request: request.request,
      actor: request.actor,
      target: request.target,
      attestation: request.attestation,
      assuranceMax: request.assuranceMax,
    })
    if (reservation.issued !== null) return onRecord(reservation.issued, reservation.device)
    const der = await sign(request, reservation, validity)
    const fingerprint = createHash('sha256').update(der).digest('hex')
    const row = await this.#registry.issued(reservation.serial, der, fingerprint)
    return onRecord(row, reservation.device)
  }
}

/** Everything that a retry repeats: the same key asked for as something else is another request. */
function keyOf({ request, profile, spki, target, subject, hosts }: IssueRequest): string {
  return JSON.stringify([
    request,
    profile,
    base64(spki),
    target,
    subject === undefined ? null : base64(subject),
    hosts ?? null,
  ])
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

interface Validity {
  readonly notBefore: Milliseconds
  readonly notAfter: Milliseconds
}

function validityOf(request: IssueRequest, now: Milliseconds): Validity {
  const { certificate } = request.ca
  const wanted = request.lifetimeMs === 'never' ? noExpiration : now + request.lifetimeMs
  const isFromNow = request.validFrom !== 'beginning of the CA'
  const from = isFromNow ? now - backdateMs : certificate.notBefore
  // Whole seconds: what X.509 can say, so that the row and the certificate agree.
  return {
    notBefore: wholeSecond(Math.max(from, certificate.notBefore)),
    notAfter: wholeSecond(Math.min(wanted, certificate.notAfter)),
  }
}

function wholeSecond(at: Milliseconds): Milliseconds {
  return Math.floor(at / 1000) * 1000
}

async function sign(
  request: IssueRequest,
  reservation: Reservation,
  validity: Validity,
): Promise<Uint8Array> {
  const { ca, profile, spki } = request
  const { subject, names } = identityOf(request, reservation.device)
  return ca.template(profile).sign(
    {
      serial: fromHex(reservation.serial),
      ...validity,
      subject,
      spki,
      extensions: names,
    },
    ca.signer,
  )
}

function identityOf(
  request: IssueRequest,
  device: DeviceRow | null,
): { readonly subject: Uint8Array; readonly names: readonly Uint8Array[] } {
  if (device !== null) {
    const type = request.hardwareModuleType
    const module = type === undefined ? undefined : { type, serial: device.serial }
    return { subject: deviceSubject(device.serial), names: [deviceNames(device.eui64, module)] }
  }
  if (request.subject === undefined) {
    throw new InvariantError('ERR_ISSUE_SUBJECT', 'a certificate of no device needs a subject')
  }
  const names = request.hosts === undefined ? [] : [serverNames(request.hosts)]
  return { subject: request.subject, names }
}

function onRecord(row: CertificateRow, device: DeviceRow | null): Issued {
  const { der, fingerprint, serial } = row
  if (der !== null && fingerprint !== null) return { der, serial, fingerprint, device }
  throw new InvariantError('ERR_ISSUE_RECORD', 'an issued certificate has no bytes on record', {
    serial,
  })
}
