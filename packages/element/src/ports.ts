/** The port of secure elements, and what stands between it and core's `Signer`. */
import type { SignatureScheme, Signer } from '@countersign/core/ports'

export {
  type Attestation,
  type DataSlotInfo,
  type ElementCapability,
  type ElementCounters,
  type ElementData,
  type ElementEphemeral,
  type ElementError,
  type ElementErrorCode,
  type ElementInfo,
  type ElementKind,
  type ElementState,
  elementError,
  isElementError,
  isRetryable,
  type LockConfirmation,
  type LockTarget,
  lockWords,
  type SecureElement,
  type SlotInfo,
  type SlotUse,
} from '@countersign/core/ports'

/**
 * What a certificate request or a certificate is signed with: same key, same element, other
 * encoding.
 */
export type ElementSigner = Signer & { readonly scheme: SignatureScheme & { kind: 'ecdsa' } }
