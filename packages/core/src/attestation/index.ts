/** The attestation room: what elements say of their keys, what makers say of elements, and how far to believe either. */
export {
  type Atecc608Question,
  atecc608Verifier,
  verifyAtecc608,
} from './atecc608.ts'
export {
  type Atecc608Evidence,
  atecc608EvidenceBytesMax,
  encodeAtecc608Evidence,
  parseAtecc608Evidence,
} from './atecc608Evidence.ts'
export { serialOfAtecc608 } from './atecc608Statement.ts'
export type { AttestationErrorCode } from './attestationError.ts'
export { isEmulators } from './attestationKey.ts'
export * from './bundle.ts'
export { pointOfP256, spkiOfP256 } from './ecdsaP256.ts'
export { attestationSlotOf, type MakerKey } from './makerKey.ts'
export {
  type AttestedLevel,
  type EvidenceFormat,
  type LevelCap,
  type Verdict,
  type Voucher,
  vouchedLevel,
} from './verdict.ts'
export {
  type ManifestElement,
  type ManifestErrorCode,
  type ManifestKey,
  type ManifestPayload,
  manifestLimits,
  parseManifest,
} from './manifest.ts'
