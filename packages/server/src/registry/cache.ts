/**
 * What admission and reservation ask again and again, kept in memory: products, and certificate
 * with device by fingerprint. Emptied by notices, so that what is kept is what was last committed.
 * An entry that was read while something changed is not kept.
 */
import type { Assurance, CertificateRow, DeviceRow, Notice, ProductRow, Road } from '../ports.ts'
import { Oldest } from '../recent.ts'
import { type RegistryParts, refusal } from './context.ts'

/**
 * Devices that come and go within minutes; beyond it a look-up costs a read of the store. About 2
 * KiB each.
 */
const knownMax = 20_000

export interface Known {
  readonly certificate: CertificateRow
  readonly device: DeviceRow
  /** Of the certificate's key, as it was judged. */
  readonly assurance: Assurance
  readonly voucher: string | null
  readonly assuranceMax: Assurance
  /** When last seen was last written, and on which road: at most once a minute on the same. */
  seenAt: number
  seenOn: Road | null
}

export class RegistryCache {
  private readonly parts: RegistryParts
  private readonly products = new Map<string, ProductRow>()
  private readonly known = new Map<string, Known>()
  private readonly oldest: Oldest<Known> = new Oldest(() => this.known.values())
  private readonly fingerprints = new Map<string, Set<string>>()
  private generation = 0

  constructor(parts: RegistryParts) {
    this.parts = parts
    parts.notices.listen((notice) => this.heard(notice))
  }

  async product(name: string): Promise<ProductRow> {
    const kept = this.products.get(name)
    if (kept !== undefined) return kept
    const { generation } = this
    const row = await this.parts.store.get('product', name)
    if (row === undefined) throw refusal('ERR_PRODUCT_UNKNOWN', `there is no product ${name}`)
    if (generation === this.generation) this.products.set(name, row)
    return row
  }

  /** undefined: no certificate with this fingerprint, or none of a device. */
  async byFingerprint(fingerprint: string): Promise<Known | undefined> {
    const kept = this.known.get(fingerprint)
    if (kept !== undefined) return kept
    const { generation } = this
    // Its bytes are the judge's affair: here they would only take room.
    const [certificate] = await this.parts.store.find('certificate', 'fingerprint', fingerprint, {
      withoutBlobs: true,
    })
    if (certificate === undefined || certificate.device === null) return undefined
    const device = await this.parts.store.get('device', certificate.device)
    if (device === undefined) return undefined
    const key = await this.parts.store.get('key', certificate.spkiHash)
    const { assurance = 0, voucher = null, assuranceMax = 4 } = key ?? {}
    const ofKey = { assurance, voucher, assuranceMax }
    const known = {
      certificate,
      device,
      ...ofKey,
      seenAt: device.lastSeen ?? 0,
      seenOn: device.road,
    }
    if (generation === this.generation) this.keep(fingerprint, known)
    return known
  }

  private keep(fingerprint: string, known: Known): void {
    if (this.known.size >= knownMax) this.forgetOldest()
    this.known.set(fingerprint, known)
    const { id } = known.device
    const ofDevice = this.fingerprints.get(id)
    if (ofDevice === undefined) this.fingerprints.set(id, new Set([fingerprint]))
    else ofDevice.add(fingerprint)
  }

  private forgetOldest(): void {
    const oldest = this.oldest.next()
    if (oldest !== undefined) this.forgetDevice(oldest.device.id)
  }

  private forgetDevice(id: string): void {
    for (const fingerprint of this.fingerprints.get(id) ?? []) this.known.delete(fingerprint)
    this.fingerprints.delete(id)
  }

  private heard(notice: Notice): void {
    switch (notice.kind) {
      case 'device':
        this.generation++
        return this.forgetDevice(notice.id)
      case 'certificate':
        this.generation++
        if (notice.device !== null) this.forgetDevice(notice.device)
        return
      case 'product':
        this.generation++
        return void this.products.delete(notice.name)
      case 'anchors':
      case 'application':
      case 'messages':
      case 'commands':
        return
    }
  }
}
