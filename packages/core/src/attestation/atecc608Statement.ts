/**
 * The 55 bytes that an ATECC608 signs by Sign (internal), read as a statement about one of its keys.
 *
 *   0..31   TempKey: here the digest that GenKey made of the verifier's nonce and the public key
 *   32      41, the opcode of Sign           33      its mode
 *   34..35  slot of the key that signs       36..37  SlotConfig   38..39  KeyConfig, both of the
 *   40      flags of TempKey                         slot that TempKey names
 *   41..42  00 00                            43      SN[8]
 *   44..47  SN[4..7]   48..49  SN[0..1]      50..51  SN[2..3]
 *   52      00: the slot is locked, 01: it is not
 *   53      01 for Invalidate                54      00
 *
 * A host can load any 32 bytes into TempKey by a pass-through Nonce. So the flags decide: only after
 * GenKey has b6 (GenKey) set, and b0 to b3 name the slot whose key it digested. Whether b4 (source,
 * 1 after a pass-through Nonce) survives GenKey is unconfirmed on silicon (U37). Either is taken,
 * since it decides nothing: the digest is over our nonce in any case.
 */
import { concat, equalBytes, hex } from '../codec/index.ts'
import type { Crypto } from '../ports.ts'
import type { Atecc608Evidence } from './atecc608Evidence.ts'
import { attestationError } from './attestationError.ts'

export interface Atecc608Statement {
  /** Nine bytes, lower-case hex. */
  readonly serial: string
  /** What is in the slot stays in it for ever. */
  readonly isSlotLocked: boolean
}

const signOpcode = 0x41
/** Internal, TempKey, serial number included; neither Invalidate nor another source. */
const signMode = 0x40
const genKeyOpcode = 0x40
/** The digest of the slot's public key goes into TempKey. */
const genKeyMode = 0x08
/** GenKey made it (b6): no GenDig (b5), no NoMac (b7). */
const flagsOfGenKey = 0x40
const sourceFlag = 0x10

/** Every byte is what it must be, or the first that is not is named. */
export function readStatement(
  evidence: Atecc608Evidence,
  crypto: Pick<Crypto, 'hash'>,
): Atecc608Statement {
  const { message, attestationSlot, slot } = evidence
  const at = (index: number): number => message[index] ?? 0
  requireByte(message, 32, signOpcode, 'opcode')
  requireByte(message, 33, signMode, 'mode')
  requireByte(message, 34, attestationSlot, 'the slot that signs')
  requireByte(message, 35, 0, 'the slot that signs')
  requireByte(message, 40, flagsOfGenKey | (at(40) & sourceFlag) | slot, 'flags of TempKey')
  for (const index of [41, 42, 53, 54]) requireByte(message, index, 0, 'a byte that is zero')
  if (at(52) > 1) requireByte(message, 52, 1, 'slot lock')
  checkSlotConfig(at(36) | (at(37) << 8))
  checkKeyConfig(at(38) | (at(39) << 8))
  const serial = serialIn(message)
  const tempKey = tempKeyBefore(evidence, crypto)
  const digest = crypto.hash('sha256', genKeyMessage(evidence, tempKey, serial))
  if (!equalBytes(digest, message.subarray(0, 32))) {
    throw wrong('it is not over the digest of this nonce and this public key', 'TempKey')
  }
  return { serial: hex(serial), isSlotLocked: at(52) === 0 }
}

function serialIn(message: Uint8Array): Uint8Array {
  return concat(message.subarray(48, 52), message.subarray(44, 48), message.subarray(43, 44))
}

/**
 * The serial number that a message names, lower-case hex: to look up what its maker says, before
 * anything is verified.
 */
export function serialOfAtecc608(message: Uint8Array): string {
  return hex(serialIn(message))
}

const nonceOpcode = 0x16
/** A Nonce that draws a number takes so much of the host. */
const nonceInputLength = 20

/** What Nonce left there: the verifier's bytes, or a digest of them and of what the chip drew. */
function tempKeyBefore(
  { nonce, randOut }: Atecc608Evidence,
  crypto: Pick<Crypto, 'hash'>,
): Uint8Array {
  if (randOut === undefined) return nonce
  const input = nonce.subarray(0, nonceInputLength)
  return crypto.hash('sha256', concat(randOut, input, Uint8Array.of(nonceOpcode, 0, 0)))
}

/** The 128 bytes whose digest GenKey leaves in TempKey. */
function genKeyMessage(
  { slot, publicKey }: Atecc608Evidence,
  tempKey: Uint8Array,
  serial: Uint8Array,
): Uint8Array {
  const [sn0 = 0, sn1 = 0] = serial
  const head = Uint8Array.of(genKeyOpcode, genKeyMode, slot, 0, serial[8] ?? 0, sn0, sn1)
  return concat(tempKey, head, new Uint8Array(25), publicKey)
}

const isSecret = 0x0080
/** ReadKey of a private key: signatures over what a host hands in. */
const externalSign = 0x0001
/** WriteConfig of a private key, PrivWrite allowed. Unconfirmed on silicon (U47). */
const privWrite = 0x4000

/** That these are of the slot in TempKey is unconfirmed on silicon (U48). */
function checkSlotConfig(config: number): void {
  const shown = `SlotConfig ${word(config)}`
  if ((config & isSecret) === 0) throw badConfig('the slot is not secret', shown)
  if ((config & privWrite) !== 0) throw badConfig('the slot takes keys from outside', shown)
  // The request beside it is signed by this very key.
  if ((config & externalSign) === 0) throw badConfig('the slot does not sign for a host', shown)
}

const isPrivate = 0x0001
const keyTypeP256 = 4

function checkKeyConfig(config: number): void {
  const shown = `KeyConfig ${word(config)}`
  if ((config & isPrivate) === 0) throw badConfig('the slot holds no private key', shown)
  if (((config >> 2) & 7) !== keyTypeP256) throw badConfig('the slot is not for P-256', shown)
}

function word(value: number): string {
  return value.toString(16).padStart(4, '0')
}

function badConfig(what: string, where: string): Error {
  return attestationError('ERR_ATTESTATION_CONFIG', `the evidence is refused: ${what}`, where)
}

function requireByte(message: Uint8Array, index: number, wanted: number, what: string): void {
  const found = message[index] ?? 0
  if (found === wanted) return
  throw wrong(
    `${what} is ${found.toString(16).padStart(2, '0')}, not ${wanted.toString(16).padStart(2, '0')}`,
    `byte ${index}`,
  )
}

function wrong(what: string, where: string): Error {
  return attestationError(
    'ERR_ATTESTATION_STATEMENT',
    `what was signed is no statement about this key: ${what}`,
    `message: ${where}`,
  )
}
