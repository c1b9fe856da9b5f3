/** Finding devices and certificates, for the command and the console. */
import { CallerError } from '@countersign/core/errors'
import type { CertificateRow, DeviceRow, DeviceState } from '../ports.ts'
import { deviceId } from './addresses.ts'
import { misuse, type RegistryParts } from './context.ts'
import type { Vouchers, WorthyKey } from './vouchers.ts'

const pageSize = 500
/** A device has a few; a runaway renewal loop must not fill a screen. */
const certificatesMax = 1_000

/** Shown of a device: the keys of its latest renewals. */
const keysMax = 20

const nameOf = /^(urn:dev:mac:)?(.*)$/s

export interface DeviceFilter {
  readonly state?: DeviceState | undefined
  readonly product?: string | undefined
  /** Device id. */
  readonly after?: string | undefined
  readonly limit: number
}

export class LookUp {
  private readonly parts: RegistryParts
  private readonly vouchers: Vouchers

  constructor(parts: RegistryParts, vouchers: Vouchers) {
    this.parts = parts
    this.vouchers = vouchers
  }

  /**
   * By URN, by EUI-64 (also with colons or dashes, either case), or by serial number. A device
   * chooses its serial number, which may look like the EUI-64 of another: only the URN is never in
   * doubt.
   */
  async find(text: string): Promise<DeviceRow> {
    const name = text.trim()
    const [, urn = '', digits = ''] = nameOf.exec(name.toLowerCase()) ?? []
    const eui64 = digits.replaceAll(/[:-]/g, '')
    const named = /^[0-9a-f]{16}$/.test(eui64)
      ? await this.parts.store.get('device', deviceId(eui64))
      : undefined
    const rows = urn === '' ? await this.parts.store.find('device', 'serial', name) : []
    const found = new Map(
      [...(named === undefined ? [] : [named]), ...rows].map((row) => [row.id, row]),
    )
    const [row, second] = found.values()
    if (row === undefined) throw misuse('ERR_DEVICE_UNKNOWN', `no device is called ${text}`, text)
    if (second !== undefined) throw ambiguous(text, [...found.values()])
    return this.vouchers.device(row)
  }

  /** In the order of ids. */
  async list({ state, product, after, limit }: DeviceFilter): Promise<readonly DeviceRow[]> {
    const found: DeviceRow[] = []
    let from = after
    for (;;) {
      const page = await this.page(state, product, from)
      for (const row of page) {
        if (product !== undefined && row.product !== product) continue
        if (found.push(await this.vouchers.device(row)) === limit) return found
      }
      from = page.at(-1)?.id
      if (page.length < pageSize) return found
    }
  }

  certificatesOf(device: string): Promise<readonly CertificateRow[]> {
    return this.parts.store.find('certificate', 'device', device, { limit: certificatesMax })
  }

  /** Of the certificates that a device has or had, the newest first; each with what it is worth now. */
  async keysOf(device: string): Promise<readonly WorthyKey[]> {
    const certificates = await this.certificatesOf(device)
    const hashes = new Set(certificates.toReversed().map(({ spkiHash }) => spkiHash))
    const keys: WorthyKey[] = []
    for (const hash of [...hashes].slice(0, keysMax)) {
      const row = await this.parts.store.get('key', hash)
      if (row !== undefined) keys.push(await this.vouchers.key(row))
    }
    return keys
  }

  /**
   * Every revoked certificate of an issuing CA, in the order of serial numbers: what its CRL is
   * made of.
   */
  async *revokedCertificates(ca: string): AsyncGenerator<CertificateRow> {
    let after: string | undefined
    for (;;) {
      const page = await this.parts.store.find('certificate', 'status', 'revoked', {
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
      for (const row of page) if (row.ca === ca) yield row
      after = page.at(-1)?.serial
      if (page.length < pageSize) return
    }
  }

  private page(
    state: DeviceState | undefined,
    product: string | undefined,
    after: string | undefined,
  ): Promise<readonly DeviceRow[]> {
    const { store } = this.parts
    const options = { limit: pageSize, ...(after === undefined ? {} : { after }) }
    if (state !== undefined) return store.find('device', 'state', state, options)
    if (product !== undefined) return store.find('device', 'product', product, options)
    return store.scan('device', options)
  }
}

function ambiguous(text: string, rows: readonly DeviceRow[]): CallerError<'ERR_DEVICE_AMBIGUOUS'> {
  return new CallerError(
    'ERR_DEVICE_AMBIGUOUS',
    `${rows.length} devices have the serial number or EUI-64 ${text}`,
    {},
    {
      where: rows.map(({ product, id }) => `${product}: ${id}`).join(', '),
      hint: 'Name it by its id.',
    },
  )
}
