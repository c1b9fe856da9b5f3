/**
 * Reservations: what must be unique (device, serial number, EUI-64, key, element, certificate
 * serial number) is taken in one Change, before anything is signed. The Change is tried first and
 * explained afterwards: in the good case it costs no look-up, and two that race are told apart by
 * the store and nobody else.
 */
import { matchesPattern } from '@countersign/core/credential'
import type { Milliseconds } from '@countersign/core/ports'
import type {
  Assurance,
  CertificateRow,
  Change,
  DeviceRow,
  KeyRow,
  ProductRow,
  Reservation,
  ReservationRequest,
  TokenRow,
  Write,
} from '../ports.ts'
import { type Addresses, insideBlock, isIndividual } from './addresses.ts'
import type { RegistryCache } from './cache.ts'
import { conflictOf, type RegistryParts, refusal, untilSettled } from './context.ts'
import type { Invitations } from './invitations.ts'
import { requireEnrollable } from './lifecycle.ts'
import type { Vouchers } from './vouchers.ts'
import { type Claimed, ElementClaims } from './elementClaims.ts'
import { attested, levelAsked, ReservationRows, type Target } from './reservationRows.ts'

export interface ReservationParts {
  readonly parts: RegistryParts
  readonly invitations: Invitations
  readonly addresses: Addresses
  readonly cache: RegistryCache
  readonly vouchers: Vouchers
}

export class Reservations {
  private readonly parts: RegistryParts
  private readonly invitations: Invitations
  private readonly addresses: Addresses
  private readonly cache: RegistryCache
  private readonly vouchers: Vouchers
  private readonly rows: ReservationRows
  private readonly claims: ElementClaims

  constructor({ parts, invitations, addresses, cache, vouchers }: ReservationParts) {
    this.parts = parts
    this.invitations = invitations
    this.addresses = addresses
    this.cache = cache
    this.vouchers = vouchers
    this.rows = new ReservationRows(parts)
    this.claims = new ElementClaims(parts, vouchers)
  }

  reserve(request: ReservationRequest): Promise<Reservation> {
    const { target } = request
    switch (target.kind) {
      case 'newDevice':
        return this.reserveNewDevice(request, target)
      case 'device':
        return untilSettled(() => this.reserveForDevice(request, target))
      case 'application':
        return untilSettled(() => this.reserveForHouse(request, target.id))
      case 'house':
        return untilSettled(() => this.reserveForHouse(request, null))
    }
  }

  // --- A new device ------------------------------------------------------------------------------

  private async reserveNewDevice(
    request: ReservationRequest,
    target: Target<'newDevice'>,
  ): Promise<Reservation> {
    const product = await this.cache.product(target.product)
    const token =
      target.tokenHash === undefined ? undefined : await this.invitations.byHash(target.tokenHash)
    checkNewDevice(target, product, token)
    await this.requireAssurance(request, product)
    let careful = false
    return untilSettled(async () => {
      const eui64 = target.eui64 ?? (await this.takeAddress(target.product, careful))
      const device = this.rows.device(target, eui64)
      const key = this.rows.key(request, device.id, target.origin, target.element)
      const certificate = this.rows.certificate(request, key.spkiHash, device.id, null)
      const { claims } = this
      const claimed = careful
        ? await claims.again(target.element, device)
        : claims.first(target.element, device)
      try {
        await this.parts.store.apply(
          this.newDeviceChange(request, { device, key, certificate, token, claimed }),
        )
        return { serial: certificate.serial, device, issued: null }
      } catch (error) {
        careful = true
        return await this.explainNewDevice(error, request, target, key.spkiHash, device)
      }
    })
  }

  private takeAddress(product: string, careful: boolean): Promise<string> {
    return careful ? this.addresses.nextFree(product) : this.addresses.next(product)
  }

  private newDeviceChange(
    request: ReservationRequest,
    made: {
      readonly device: DeviceRow
      readonly key: KeyRow
      readonly certificate: CertificateRow
      readonly token: TokenRow | undefined
      readonly claimed: Claimed
    },
  ): Change {
    const { device, key, certificate, token, claimed } = made
    const writes: Write[] = [
      { kind: 'insert', table: 'device', row: device },
      { kind: 'insert', table: 'key', row: key },
      { kind: 'insert', table: 'certificate', row: certificate },
      ...claimed.writes,
    ]
    if (token !== undefined)
      writes.push({
        kind: 'add',
        table: 'token',
        key: token.id,
        column: 'used',
        by: 1,
        atMost: 'count',
      })
    const events = [this.rows.event(request, certificate), ...claimed.events]
    return { conditions: claimed.conditions, writes, events }
  }

  /**
   * A conflict is either our own earlier attempt (its answer was lost), or a reason, or a race for
   * an address, or an element that somebody has claimed: then it is thrown again.
   */
  private async explainNewDevice(
    error: unknown,
    request: ReservationRequest,
    target: Target<'newDevice'>,
    spkiHash: string,
    device: DeviceRow,
  ): Promise<Reservation> {
    const place = conflictOf(error)
    if (place === undefined) throw error
    const key = await this.parts.store.get('key', spkiHash)
    const holder = await this.holderOf(target)
    if (key !== undefined) {
      const mine = holder !== undefined && key.holder === holder.id
      if (!mine) throw keyUsed(spkiHash)
      return this.takeOver(request, spkiHash, holder)
    }
    if (holder !== undefined)
      throw refusal('ERR_SERIAL_USED', `serial number ${target.serial} has a device already`, {
        serial: target.serial,
        product: target.product,
        device: holder.id,
      })
    if (place.table === 'token')
      throw refusal('ERR_TOKEN_SPENT', 'the token has paid for as many devices as it may')
    if (place.table === 'device' && target.eui64 !== undefined)
      throw refusal('ERR_EUI64_USED', `EUI-64 ${target.eui64} belongs to another device`, {
        device: device.id,
      })
    throw error
  }

  private async holderOf(target: Target<'newDevice'>): Promise<DeviceRow | undefined> {
    const found = await this.parts.store.find('device', 'serial', target.serial)
    return found.find(({ product }) => product === target.product)
  }

  // --- A device that exists ----------------------------------------------------------------------

  private async reserveForDevice(
    request: ReservationRequest,
    target: Target<'device'>,
  ): Promise<Reservation> {
    const device = await this.parts.store.get('device', target.id)
    if (device === undefined) throw refusal('ERR_DEVICE_UNKNOWN', `there is no device ${target.id}`)
    requireEnrollable(device)
    const key = this.rows.key(request, device.id, target.origin, target.element)
    const known = await this.parts.store.get('key', key.spkiHash)
    if (known !== undefined && known.holder !== device.id) throw keyUsed(key.spkiHash)
    await this.requireAssurance(request, await this.cache.product(device.product), known)
    const earlier = known && (await this.earlier(request, key.spkiHash, device.id))
    if (earlier !== undefined) return this.takeOver(request, key.spkiHash, device)
    const certificate = this.rows.certificate(request, key.spkiHash, device.id, null)
    const claimed = await this.claims.again(target.element, device)
    const writes: Write[] = [
      { kind: 'insert', table: 'certificate', row: certificate },
      ...claimed.writes,
    ]
    if (known === undefined) writes.push({ kind: 'insert', table: 'key', row: key })
    else writes.push(...(await this.betterKnown(known, request, target)))
    await this.parts.store.apply({
      conditions: [
        { kind: 'equals', table: 'device', key: device.id, where: { state: device.state } },
        ...claimed.conditions,
      ],
      writes,
      events: [this.rows.event(request, certificate), ...claimed.events],
    })
    return { serial: certificate.serial, device, issued: null }
  }

  /**
   * A product's least assurance holds where a device gets its certificate, and at each handshake
   * (admission.ts). A factory's certificate serves to enrol, so nothing is asked of its key. What was
   * shown of the same key before still counts.
   */
  private async requireAssurance(
    request: ReservationRequest,
    product: ProductRow,
    known?: KeyRow,
  ): Promise<void> {
    const { assuranceMin, name } = product
    const asked = levelAsked(request)
    if (request.profile !== 'ldevid' || asked >= assuranceMin) return
    const shown = known ?? (await this.parts.store.get('key', this.rows.hashOf(request)))
    if (shown !== undefined && (await this.worthOf(shown)) >= assuranceMin) return
    throw refusal(
      'ERR_ASSURANCE_TOO_LOW',
      `the assurance of this key is ${asked}, below the ${assuranceMin} of product ${name}`,
      { product: name },
      'key: assurance',
    )
  }

  private async worthOf(key: KeyRow): Promise<Assurance> {
    return (await this.vouchers.worth(key)).assurance
  }

  /**
   * The same key again, with evidence: what it shows counts unless it shows less. What was judged
   * under an anchor that is gone gives way to whatever is worth more now, and to nothing else.
   */
  private async betterKnown(
    known: KeyRow,
    request: ReservationRequest,
    { origin, element }: Target<'device'>,
  ): Promise<Write[]> {
    const { attestation, assuranceMax = 4 } = request
    if (attestation === undefined) return []
    const { assurance } = attestation
    if (assurance < known.assurance && assurance <= (await this.worthOf(known))) return []
    const place =
      element === undefined
        ? {}
        : { origin, elementKind: element.kind, elementSerial: element.serial, slot: element.slot }
    const set = { ...attested(attestation), ...place, assuranceMax }
    return [{ kind: 'update', table: 'key', key: known.spkiHash, set }]
  }

  /** The certificate of the same request for the same key: answered before, or not yet. */
  private async earlier(
    request: ReservationRequest,
    spkiHash: string,
    device: string,
  ): Promise<CertificateRow | undefined> {
    const rows = await this.parts.store.find('certificate', 'device', device, {
      newestFirst: true,
    })
    const now = this.parts.clock.now()
    return rows.find(
      (row) =>
        row.spkiHash === spkiHash &&
        row.request === request.request &&
        row.profile === request.profile &&
        answers(row, now),
    )
  }

  private async takeOver(
    request: ReservationRequest,
    spkiHash: string,
    device: DeviceRow,
  ): Promise<Reservation> {
    requireEnrollable(device)
    const row = await this.earlier(request, spkiHash, device.id)
    if (row === undefined) throw keyUsed(spkiHash)
    switch (row.status) {
      case 'issued':
      case 'confirmed':
        return { serial: row.serial, device, issued: row }
      case 'reserved':
        await this.parts.store.apply({
          conditions: [
            {
              kind: 'equals',
              table: 'certificate',
              key: row.serial,
              where: { status: 'reserved' },
            },
          ],
          writes: [
            {
              kind: 'update',
              table: 'certificate',
              key: row.serial,
              set: {
                reservedUntil: this.rows.until(),
                notBefore: request.notBefore,
                notAfter: request.notAfter,
              },
            },
          ],
        })
        return { serial: row.serial, device, issued: null }
      case 'revoked':
        throw refusal('ERR_CERT_REVOKED', `certificate ${row.serial} of this request was revoked`)
      case 'superseded':
      case 'void':
        throw keyUsed(spkiHash)
    }
  }

  // --- Applications, people, the house itself ----------------------------------------------------

  /**
   * Such a request may be repeated with the same key (a renewal), and then makes a new certificate.
   */
  private async reserveForHouse(
    request: ReservationRequest,
    application: string | null,
  ): Promise<Reservation> {
    const holder = application === null ? `house:${request.profile}` : `application:${application}`
    const key = this.rows.key(request, holder, 'software', undefined)
    const known = await this.parts.store.get('key', key.spkiHash)
    if (known !== undefined && known.holder !== holder) throw keyUsed(key.spkiHash)
    const certificate = this.rows.certificate(request, key.spkiHash, null, application)
    const writes: Write[] = [{ kind: 'insert', table: 'certificate', row: certificate }]
    if (known === undefined) writes.push({ kind: 'insert', table: 'key', row: key })
    await this.parts.store.apply({ writes, events: [this.rows.event(request, certificate)] })
    return { serial: certificate.serial, device: null, issued: null }
  }
}

function checkNewDevice(
  target: Target<'newDevice'>,
  product: ProductRow,
  token: TokenRow | undefined,
): void {
  const { serial, eui64 } = target
  if (token !== undefined && token.product !== product.name)
    throw refusal('ERR_TOKEN_PRODUCT', `the token is for product ${token.product}`, {
      token: token.id,
    })
  if (token !== undefined && token.serial !== null && token.serial !== serial)
    throw refusal('ERR_TOKEN_SERIAL', `the token is for serial number ${token.serial}`, {
      token: token.id,
    })
  if (!matchesPattern(product.serialPattern, serial))
    throw refusal(
      'ERR_SERIAL_PATTERN',
      `serial number ${serial} does not fit ${product.serialPattern}`,
    )
  if (eui64 === undefined) return
  if (!isIndividual(eui64))
    throw refusal('ERR_EUI64_INVALID', `${eui64} is not the EUI-64 of one device`)
  // A maker's certificate vouches for the maker's own addresses; a token only for its product's
  // block.
  if (token !== undefined && !insideBlock(eui64, product))
    throw refusal(
      'ERR_EUI64_OUTSIDE_BLOCK',
      `EUI-64 ${eui64} is outside the block of ${product.name}`,
    )
}

/** An expired or superseded certificate is no answer to who asks again: there will be a new one. */
function answers({ status, notAfter }: CertificateRow, now: Milliseconds): boolean {
  switch (status) {
    case 'issued':
    case 'confirmed':
      return notAfter > now
    case 'reserved':
    case 'revoked':
      return true
    case 'superseded':
    case 'void':
      return false
  }
}

function keyUsed(spkiHash: string): Error {
  return refusal('ERR_KEY_USED', 'this public key belongs to another device or request', {
    key: spkiHash,
  })
}
