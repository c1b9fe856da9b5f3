/**
 * A statement of the chip about one of its keys. Nonce (pass-through) puts the verifier's 32 bytes
 * into TempKey, GenKey makes of them and of the public key a digest, Sign (internal) by the
 * attestation key signs 55 bytes that only the chip composes. For a key with ReqRandom, as those of
 * TNG and TFLX parts, Nonce must draw a number, and takes 20 of the verifier's bytes with it. See docs/element/attestation.md for
 * what that proves, and core/attestation for who judges it.
 *
 * The chip does not show the 55 bytes, so they are composed here too, and its signature is the
 * proof that it composed the same. Unconfirmed on silicon (U37, U48, U54): whether TempKey still
 * counts as given by the host after GenKey, which the signature tells; whose rules are in the
 * message; and that ReqRandom is looked at here.
 */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { encodeAtecc608Evidence } from '@countersign/core/attestation'
import { concat } from '@countersign/core/codec'
import { type Attestation, type ElementError, elementError } from '../../ports.ts'
import { spkiOfPoint } from '../../signer.ts'
import { keyValid, revision } from './basics.ts'
import { nonceValue } from './hostMath.ts'
import {
  digestPrivateSlot,
  loadNonce,
  nonceInputLength,
  publicKeyOf,
  randomNonce,
  signInternal,
} from './keys.ts'
import { attestationSlot, certificateSlot } from './layout.ts'
import { allRules, rulesOf } from './slotViews.ts'
import type { ChipSession, CommandLine } from './session.ts'
import { readConfig, readZone, slotLength } from './zones.ts'

const nonceLength = 32

export async function attestSlot(
  chip: ChipSession,
  slot: number,
  nonce: Uint8Array,
): Promise<Attestation> {
  if (nonce.length !== nonceLength) {
    throw elementError('ERR_ELEMENT_ARGUMENT', `a nonce has 32 bytes, not ${nonce.length}`)
  }
  const config = await readConfig(chip)
  const signer = await signingSlot(chip, config)
  const attestationKey = await publicKeyOf(chip, signer)
  const { wantsRandom } = rulesOf(config, slot)
  const { publicKey, signature, randOut } = await chip.sequence(async (line) => {
    const drawn = await bringNonce(line, nonce, wantsRandom)
    const point = await digestPrivateSlot(line, slot)
    return {
      randOut: drawn,
      publicKey: point,
      signature: await signInternal(line, signer, { includeSerial: true }),
    }
  })
  const tempKey = randOut === undefined ? nonce : nonceValue(randOut, inputOf(nonce), 0)
  const about = { config, signer, slot, tempKey, publicKey }
  const message = [0x50, 0x40]
    .map((flags) => composeMessage(about, flags | slot))
    .find((one) => isSignedBy(attestationKey, one, signature))
  if (message === undefined) throw notVerified(chip.where)
  const evidence = encodeAtecc608Evidence({
    nonce,
    slot,
    publicKey,
    attestationSlot: signer,
    message,
    signature,
    revision: await revision(chip),
    randOut,
  })
  return { format: 'atecc608-internal-sign', evidence, chain: await certificates(chip, config) }
}

/** What the chip drew; undefined when it took the nonce as it is. */
async function bringNonce(
  line: CommandLine,
  nonce: Uint8Array,
  wantsRandom: boolean,
): Promise<Uint8Array | undefined> {
  if (wantsRandom) return randomNonce(line, inputOf(nonce))
  await loadNonce(line, nonce)
  return undefined
}

function inputOf(nonce: Uint8Array): Uint8Array {
  return nonce.subarray(0, nonceInputLength)
}

/** The slot that attests and does nothing else; ours is tried first. */
async function signingSlot(chip: ChipSession, config: Uint8Array): Promise<number> {
  const attesting = allRules(config)
    .filter(({ isKey, uses }) => isKey && uses.includes('attest') && !uses.includes('sign'))
    .map(({ slot }) => slot)
  const ours = attesting.filter((slot) => slot === attestationSlot)
  for (const slot of [...ours, ...attesting]) if (await keyValid(chip, slot)) return slot
  throw elementError(
    'ERR_ELEMENT_UNSUPPORTED',
    'the element has no key that only attests',
    {},
    {
      where: chip.where,
      hint: '"countersign element setup" makes one in a part that is still blank.',
    },
  )
}

interface About {
  readonly config: Uint8Array
  readonly signer: number
  readonly slot: number
  /** As Nonce left it. */
  readonly tempKey: Uint8Array
  readonly publicKey: Uint8Array
}

/** 55 bytes. SlotConfig and KeyConfig are those of the slot that TempKey names. */
function composeMessage(
  { config, signer, slot, tempKey, publicKey }: About,
  flags: number,
): Uint8Array {
  const sn = (from: number, to: number): Uint8Array => serialOf(config).subarray(from, to)
  const digest = createHash('sha256')
    .update(tempKey)
    .update(Uint8Array.of(0x40, 0x08, slot, 0))
    .update(concat(sn(8, 9), sn(0, 2), new Uint8Array(25), publicKey))
    .digest()
  return concat(
    digest,
    Uint8Array.of(0x41, 0x40, signer, 0),
    config.subarray(20 + 2 * slot, 22 + 2 * slot),
    config.subarray(96 + 2 * slot, 98 + 2 * slot),
    Uint8Array.of(flags, 0, 0),
    sn(8, 9),
    sn(4, 8),
    sn(0, 4),
    Uint8Array.of(rulesOf(config, slot).isLocked ? 0 : 1, 0, 0),
  )
}

/** Bytes 0 to 3 and 8 to 12 of the configuration. */
function serialOf(config: Uint8Array): Uint8Array {
  return concat(config.subarray(0, 4), config.subarray(8, 13))
}

function isSignedBy(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(spkiOfPoint(point)), format: 'der', type: 'spki' })
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

/** The certificate of the attestation key, when the part keeps one: DER, and FF or 00 behind it. */
async function certificates(chip: ChipSession, config: Uint8Array): Promise<readonly Uint8Array[]> {
  if (!rulesOf(config, certificateSlot).isReadable) return []
  const head = await readZone(chip, { kind: 'data', slot: certificateSlot }, 0, 4)
  // SEQUENCE with a length of two octets: no certificate is shorter.
  if (head[0] !== 0x30 || head[1] !== 0x82) return []
  const length = 4 + ((head[2] ?? 0) << 8) + (head[3] ?? 0)
  if (length > slotLength(certificateSlot)) return []
  return [await readZone(chip, { kind: 'data', slot: certificateSlot }, 0, length)]
}

function notVerified(where: string): ElementError {
  return elementError(
    'ERR_ELEMENT_PARSE',
    'the element signed something else than its statement should be',
    {},
    { where, hint: 'Is something else talking to the chip on this bus? Try again alone.' },
  )
}
