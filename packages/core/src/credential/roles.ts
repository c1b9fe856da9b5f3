/**
 * Roles of trust and the project's own purposes. An anchor of one role is never accepted for
 * another.
 */
import type { Oid } from './types.ts'

/**
 * maker: who built it; owner: whom it belongs to now; server: whom devices believe; operator:
 * people and applications.
 */
export type Role = 'maker' | 'owner' | 'server' | 'operator'
export const roles: readonly Role[] = ['maker', 'owner', 'server', 'operator']

/**
 * 2.25.<the project's UUID 35168f4e-c5e3-4ecd-a4ae-1e0167400421 as an integer> (ITU-T X.667 §6.3).
 */
const arc = '2.25.70566220933101651007110555231231935521'

export type Purpose =
  | 'serverAuth'
  | 'clientAuth'
  | 'operator'
  | 'application'
  | 'station'
  | 'gateway'
  | 'serverEdhocSign'
  | 'serverEdhocDh'
  /** Signs what a secure element says of its own keys; see core/attestation. */
  | 'attestation'
  /** The same from an emulator: the verifier caps whatever stands under such a certificate. */
  | 'emulatorAttestation'

/** Every extended key usage this product issues or asks for, in one table. */
export const purposes: Readonly<Record<Purpose, Oid>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  operator: `${arc}.1`,
  application: `${arc}.2`,
  station: `${arc}.3`,
  gateway: `${arc}.4`,
  serverEdhocSign: `${arc}.5`,
  serverEdhocDh: `${arc}.6`,
  attestation: `${arc}.7`,
  emulatorAttestation: `${arc}.8`,
}

/**
 * Types of attestation statements of our own, in the same arc: what stands in a request beside the
 * statement (draft-ietf-lamps-csr-attestation, AttestationStatement.type).
 */
export const statementOid: { readonly atecc608InternalSign: Oid } = {
  atecc608InternalSign: `${arc}.16`,
}
