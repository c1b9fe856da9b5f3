/**
 * What an initiator says in EAD_1 when it cannot know the responder's credential by reference: send
 * it by value. The item is ours (a label of private use, RFC 9528 §10.5), anyone can have written
 * it, and a responder that does not know it passes over it.
 */
import type { EadItem } from '../edhoc/index.ts'

export const coldStartLabel = 32_768

/** The leaf alone, or with the certificate of the CA that issued it. */
export type ByValue = 'leaf' | 'leaf and issuer'

export function coldStartItem(wanted: ByValue): EadItem {
  return {
    label: coldStartLabel,
    isCritical: false,
    value: wanted === 'leaf' ? undefined : new Uint8Array(),
  }
}

/** Undefined: a reference is enough. */
export function wantedByValue(ead: readonly EadItem[]): ByValue | undefined {
  const item = ead.find(({ label }) => label === coldStartLabel)
  if (item === undefined) return undefined
  return item.value === undefined ? 'leaf' : 'leaf and issuer'
}
