/**
 * The closed lists of values in the records of `ports.ts`, for whoever offers or checks a choice, and
 * the values that are put together of others.
 */
import type { Assurance, DeviceState, ElementAnchorRole, Road } from './records.ts'

/** Every state of a device, in the order of its life. */
export const deviceStates: readonly DeviceState[] = [
  'manufactured',
  'personalized',
  'enrolled',
  'active',
  'suspended',
  'revoked',
  'retired',
]

/** Every road of a message; this version opens `https`, `mqtts` and `coap`. */
export const roads: readonly Road[] = [
  'mqtts',
  'https',
  'coap',
  'lorawan',
  'ble',
  'zigbee',
  'serial',
]

/** What `records.ts` calls them: from software to a certified secure element. */
export const assurances: readonly Assurance[] = [0, 1, 2, 3, 4]

/** `KeyRow.voucher`: a certificate that takes another role is no more who it was. */
export function voucherName(role: ElementAnchorRole, fingerprint: string): string {
  return `${role}:${fingerprint}`
}
