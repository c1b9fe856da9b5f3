/** How each side of EDHOC shows who it is (RFC 9528 §3.2), and what that costs in bytes. */
import type { Suite } from './suites.ts'

export type MethodNumber = 0 | 1 | 2 | 3

export type Authentication = 'signature' | 'static key'

export interface Method {
  readonly number: MethodNumber
  readonly initiator: Authentication
  readonly responder: Authentication
}

export const methods: ReadonlyMap<number, Method> = new Map<number, Method>([
  [0, { number: 0, initiator: 'signature', responder: 'signature' }],
  [1, { number: 1, initiator: 'signature', responder: 'static key' }],
  [2, { number: 2, initiator: 'static key', responder: 'signature' }],
  [3, { number: 3, initiator: 'static key', responder: 'static key' }],
])

/** mac_length_2 and mac_length_3 (RFC 9528 §5.3.2, §5.4.2). */
export function macLength(suite: Suite, by: Authentication): number {
  return by === 'signature' ? suite.hash.length : suite.macLength
}

/** Of Signature_or_MAC_2 and _3: a MAC travels where nothing signs it. */
export function proofLength(suite: Suite, by: Authentication): number {
  return by === 'signature' ? suite.signatureLength : suite.macLength
}
