/**
 * A maker's certificate at the door of enrolment: whose device it is, or which new device it may
 * become.
 */
import { serialNumberOf, type VerifiedPeer } from '@countersign/core/credential'
import type { Assurance, DeviceRow } from '../ports.ts'
import { checkCertificate } from './admission.ts'
import { type RegistryParts, refusal } from './context.ts'
import { requireEnrollable } from './lifecycle.ts'
import { defaultProduct } from './products.ts'

export type MakerStanding =
  | { readonly kind: 'device'; readonly device: DeviceRow; readonly assuranceMax: Assurance }
  | {
      readonly kind: 'newDevice'
      readonly product: string
      readonly serial: string
      readonly assuranceMax: Assurance
    }

/**
 * Throws PeerError: suspended, revoked, retired, a revoked factory certificate, or a serial number
 * that another device has.
 */
export async function admitMaker(parts: RegistryParts, peer: VerifiedPeer): Promise<MakerStanding> {
  if (peer.role !== 'maker')
    throw refusal('ERR_CREDENTIAL_NOT_ALLOWED', 'this is not a certificate of a maker')
  const assuranceMax = peer.anchor.scope.assuranceCap ?? 4
  return peer.anchor.origin === 'house'
    ? { kind: 'device', device: await ownDevice(parts, peer), assuranceMax }
    : foreignDevice(parts, peer, assuranceMax)
}

async function ownDevice(parts: RegistryParts, { fingerprint }: VerifiedPeer): Promise<DeviceRow> {
  const [row] = await parts.store.find('certificate', 'fingerprint', fingerprint)
  if (row === undefined || row.device === null)
    throw refusal('ERR_CERT_UNKNOWN', 'no device has this certificate', { fingerprint })
  checkCertificate(row, parts.clock.now())
  const device = await parts.store.get('device', row.device)
  if (device === undefined)
    throw refusal('ERR_DEVICE_UNKNOWN', 'its device is gone', { fingerprint })
  return enrollable(device)
}

async function foreignDevice(
  parts: RegistryParts,
  peer: VerifiedPeer,
  assuranceMax: Assurance,
): Promise<MakerStanding> {
  const serial = serialNumberOf(peer.leaf.subject)
  if (serial === undefined)
    throw refusal('ERR_SERIAL_PATTERN', "the maker's certificate names no serialNumber")
  const product = peer.anchor.scope.product ?? defaultProduct
  const rows = await parts.store.find('device', 'serial', serial)
  const device = rows.find((row) => row.product === product)
  if (device === undefined) return { kind: 'newDevice', product, serial, assuranceMax }
  const certificates = await parts.store.find('certificate', 'device', device.id)
  // The same maker's certificate enrols its device again; another one with the same serial number
  // does not.
  if (certificates.some(({ request }) => request === makerRequest(peer.fingerprint)))
    return { kind: 'device', device: enrollable(device), assuranceMax }
  throw refusal('ERR_SERIAL_USED', `serial number ${serial} has a device already`, {
    serial,
    product,
  })
}

/** `CertificateRow.request` of what a maker's certificate asked for. */
export function makerRequest(fingerprint: string): string {
  return `maker:${fingerprint}`
}

function enrollable(device: DeviceRow): DeviceRow {
  requireEnrollable(device)
  return device
}
