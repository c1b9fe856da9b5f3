/**
 * The verifier of what an ATECC608 says of one of its keys (Nonce, GenKey digest, Sign internal). A
 * pure function: evidence, what it must be about, and whom we believe, to a level with its reasons.
 *
 * What a good statement proves: the chip of that serial number holds the private key of this public
 * key in that slot; the slot is secret, for P-256, and takes no key by PrivWrite now.
 * What it does not prove:
 * - The rest of the configuration. A GenDig chain over the configuration zone in front of it would
 *   end in the same TempKey that a host can load by pass-through, so it would prove nothing.
 * - That the key was made inside. Before the data zone is locked a key may come from outside
 *   whatever SlotConfig says: the driver and the factory answer for that.
 *
 * The key that signs must sign nothing but such statements: one that signs what a host hands in
 * (external sign) could sign 55 bytes of anyone's making. The statement does not show the
 * configuration of its own signer, so that is what a voucher answers for: a certificate with our
 * purpose, or a manifest of a part whose attestation slot we know.
 */
import type { Certificate } from '../credential/index.ts'
import { PeerError } from '../errors.ts'
import type { Crypto, Milliseconds } from '../ports.ts'
import { equalBytes, hex } from '../codec/index.ts'
import { type Atecc608Evidence, parseAtecc608Evidence } from './atecc608Evidence.ts'
import { type Atecc608Statement, readStatement } from './atecc608Statement.ts'
import { attestationError } from './attestationError.ts'
import { judgeChain, pointOf } from './attestationKey.ts'
import { ecdsaP256Verifies } from './ecdsaP256.ts'
import { attestationSlotOf, type MakerKey } from './makerKey.ts'
import { type LevelCap, type Verdict, type Voucher, vouchedLevel } from './verdict.ts'

export interface Atecc608Question {
  /** Ours, 32 bytes: once for each question. */
  readonly nonce: Uint8Array
  /** X || Y of the key whose possession was shown. */
  readonly publicKey: Uint8Array
  /** DER, as they came with the evidence, in any order. */
  readonly certificates: readonly Uint8Array[]
  readonly roots: readonly Certificate[]
  /** What manifests say of elements; those of other elements are passed over. */
  readonly makerKeys: readonly MakerKey[]
  /**
   * The most that one of them gives, by SHA-256 (hex) of its certificate: of a root, or of who signed
   * a manifest. Whoever is not named gives what it can.
   */
  readonly caps?: ReadonlyMap<string, LevelCap>
  readonly at: Milliseconds
  /** Whether a folder that `demo` made asks. */
  readonly isDemo: boolean
  readonly crypto: Crypto
}

export const atecc608Verifier = 'atecc608-1'

/**
 * Throws PeerError (AttestationErrorCode) for what is malformed, forged, replayed or about another
 * key. Under a root that nobody configured the level is 0.
 */
export function verifyAtecc608(bytes: Uint8Array, question: Atecc608Question): Verdict {
  const evidence = parseAtecc608Evidence(bytes)
  requireAsked(evidence, question)
  const statement = readStatement(evidence, question.crypto)
  const { level, reasons, voucher } = vouched(evidence, statement, question)
  const { serial, isSlotLocked } = statement
  return {
    format: 'atecc608-internal-sign',
    verifier: atecc608Verifier,
    level,
    reasons: [
      ...reasons,
      `Slot ${evidence.slot} of ${serial} is ${isSlotLocked ? 'locked' : 'not locked by itself'}.`,
    ],
    serial,
    slot: evidence.slot,
    voucher,
  }
}

function requireAsked(evidence: Atecc608Evidence, question: Atecc608Question): void {
  if (!equalBytes(evidence.nonce, question.nonce)) {
    throw attestationError('ERR_ATTESTATION_NONCE', 'the nonce is not the one we gave', 'nonce')
  }
  if (!equalBytes(evidence.publicKey, question.publicKey)) {
    throw attestationError(
      'ERR_ATTESTATION_KEY',
      'the evidence is about another key than the request',
      'publicKey',
    )
  }
}

type Vouched = Pick<Verdict, 'level' | 'reasons' | 'voucher'>

/**
 * Of the two that may answer for the key that signed, the one whose word is worth more counts, also
 * against the other: a manifest of an emulator must not make a forger of a chip, nor a certificate of
 * a station that gives little make good what the maker knows better.
 */
function vouched(
  evidence: Atecc608Evidence,
  { serial }: Atecc608Statement,
  question: Atecc608Question,
): Vouched {
  const maker = makerOf(evidence, serial, question.makerKeys)
  if (maker === undefined) return certified(evidence, serial, question)
  const word = wordOf(maker, question)
  const chain = ifGood(() => certified(evidence, serial, question))
  if (chain !== undefined && chain.level > word.level) return chain
  requireSigned(evidence, maker.point, question)
  return word
}

function wordOf({ isEmulated, signer }: MakerKey, question: Atecc608Question): Vouched {
  const voucher: Voucher = { kind: 'manifest', signer }
  const { level, reasons } = vouchedLevel(isEmulated, question.isDemo, capOf(signer, question))
  return { level, reasons: [...reasons, 'A manifest names the key that signed.'], voucher }
}

function certified(
  evidence: Atecc608Evidence,
  serial: string,
  question: Atecc608Question,
): Vouched {
  const { certificates, roots, at, isDemo, crypto } = question
  if (certificates.length === 0) {
    const reason = 'No certificate and no manifest says whose key signed.'
    return { level: 0, reasons: [reason], voucher: undefined }
  }
  const chain = judgeChain({ certificates, roots, serial, at, crypto })
  requireSigned(evidence, pointOf(chain.leaf), question)
  if (chain.root === undefined) {
    const reason = 'The key that signed stands under a root that is not known here.'
    return { level: 0, reasons: [reason], voucher: undefined }
  }
  const fingerprint = hex(crypto.hash('sha256', chain.root.der))
  const { level, reasons } = vouchedLevel(chain.isEmulated, isDemo, capOf(fingerprint, question))
  const under = `The key that signed stands under the root ${fingerprint}.`
  return { level, reasons: [...reasons, under], voucher: { kind: 'root', fingerprint } }
}

function capOf(fingerprint: string, { caps }: Atecc608Question): LevelCap {
  return caps?.get(fingerprint) ?? 4
}

/** Certificates that are wrong are nobody's word, where a manifest has one. */
function ifGood(judge: () => Vouched): Vouched | undefined {
  try {
    return judge()
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}

/** The key of that slot in a manifest, if the part is one whose attestation slot is known. */
function makerOf(
  { attestationSlot }: Atecc608Evidence,
  serial: string,
  keys: readonly MakerKey[],
): MakerKey | undefined {
  return keys.find(
    (key) =>
      key.serial === serial &&
      key.slot === attestationSlot &&
      attestationSlotOf(key.partNumber) === attestationSlot,
  )
}

function requireSigned(
  { message, signature }: Atecc608Evidence,
  signer: Uint8Array,
  { publicKey, crypto }: Atecc608Question,
): void {
  // The key of the request signs what a host hands in: it could have signed this.
  if (equalBytes(signer, publicKey)) {
    throw attestationError(
      'ERR_ATTESTATION_KEY',
      'a key cannot speak for itself',
      'attestationSlot',
    )
  }
  if (ecdsaP256Verifies(signer, message, signature, crypto)) return
  throw attestationError(
    'ERR_ATTESTATION_SIGNATURE',
    'the statement is not signed by the key that its certificate or manifest names',
    'signature',
  )
}
