/**
 * What the verifiers of this room answer: a level, and why it is not more. Evidence that is wrong is
 * no verdict but an error; a verdict of level 0 means that it holds together and nobody whom we know
 * stands behind it.
 */

/**
 * 0 software, 1 isolated, 3 se-attested; 2 only as somebody's cap. 4 would need a list of certified
 * parts, which is not here.
 */
export type AttestedLevel = 0 | 1 | 2 | 3
/** The most that the operator lets somebody give. */
export type LevelCap = 0 | 1 | 2 | 3 | 4

export type EvidenceFormat = 'atecc608-internal-sign' | 'trust-platform-manifest'

/** Who answers for the key that signed. */
export type Voucher =
  | {
      readonly kind: 'root'
      /** SHA-256 of the configured root, hex. */
      readonly fingerprint: string
    }
  | {
      readonly kind: 'manifest'
      /** SHA-256 of the configured certificate of who signed the manifest, hex. */
      readonly signer: string
    }

export interface Verdict {
  readonly format: EvidenceFormat
  /** Name and version of the rules that judged. */
  readonly verifier: string
  readonly level: AttestedLevel
  /** Sentences, for people. */
  readonly reasons: readonly string[]
  /** Of the element, lower-case hex. */
  readonly serial: string
  readonly slot: number
  /** undefined: nobody, and the level is 0. */
  readonly voucher: Voucher | undefined
}

const emulatorLevelMax = 1

/**
 * The level that a voucher gives, by what the operator said of it at most: a station that only he
 * knows is not a vendor. An emulator's keys lie in a file: whatever stands under its works
 * is capped here, whoever was configured as a root. Only a folder that `demo` made plays that they
 * are real, and it listens on loopback only.
 */
export function vouchedLevel(
  isEmulated: boolean,
  isDemo: boolean,
  cap: LevelCap,
): { readonly level: AttestedLevel; readonly reasons: readonly string[] } {
  const { level, reasons } = levelOf(isEmulated, isDemo)
  if (cap === 4 || level <= cap) return { level, reasons }
  return { level: cap, reasons: [...reasons, `Its anchor gives ${cap} at most.`] }
}

function levelOf(isEmulated: boolean, isDemo: boolean): ReturnType<typeof vouchedLevel> {
  if (!isEmulated) return { level: 3, reasons: [] }
  if (isDemo) return { level: 3, reasons: ['It is an emulator, which this demo takes for a chip.'] }
  const reason = `It is an emulator, whose keys lie in a file: ${emulatorLevelMax} is its most.`
  return { level: emulatorLevelMax, reasons: [reason] }
}
