/**
 * From a blank ATECC608 to one that holds identities: the layout of layout.ts is written, read back
 * and compared, the configuration locked by its CRC, the attestation key made, the data zone locked, and
 * then the key certified. A lock cannot be undone, so nothing is locked without the words,
 * and the plan can be had before, byte by byte.
 *
 * Each step is decided by what the part holds: a setup that broke off is taken up where it was. Keys
 * alone are never taken as found: until the data zone is locked PrivWrite puts in what somebody
 * knows, so each that is there by then is made anew, inside.
 * Unconfirmed on silicon (U17).
 */
import { hex } from '@countersign/core/codec'
import { elementError, lockWords } from '../../ports.ts'
import { keyValid } from './basics.ts'
import { crc16 } from './crc.ts'
import { createKey, publicKeyOf } from './keys.ts'
import {
  attestationSlot,
  certificateSlot,
  isComparable,
  layoutName,
  wantedConfig,
} from './layout.ts'
import { type Command, encodeCommand } from './packet.ts'
import { allRules, isConfigLocked, isDataLocked } from './slotViews.ts'
import type { ChipSession } from './session.ts'
import {
  lockConfig,
  lockConfigCommand,
  lockDataUnchecked,
  lockDataUncheckedCommand,
  readConfig,
  readZone,
  slotLength,
  writeCommand,
  writePiece,
  writeZone,
} from './zones.ts'

export interface SetupStep {
  readonly act: 'write' | 'generate' | 'lock'
  /** One sentence. */
  readonly words: string
  /** The packet as it goes to the chip; undefined where its bytes come out of a step before. */
  readonly packet: Uint8Array | undefined
}

/** For people: what is done, and the packet as it goes over the wire. */
export function stepLine({ act, words, packet }: SetupStep): string {
  return `${act.padEnd(8)}  ${words}${packet === undefined ? '' : `\n          ${hex(packet)}`}`
}

export interface SetupPlan {
  readonly serial: string
  readonly layout: string
  /** Empty when the part is as it should be. */
  readonly steps: readonly SetupStep[]
}

export interface SetupOptions {
  /** Without them the configuration is written and compared, and nothing is made for ever. */
  readonly confirm?: typeof lockWords
  /**
   * DER of a certificate of the attestation key, at most 416 bytes, kept in the part. Asked for once
   * the data zone is locked, and only for a key that this very setup made: of a part that was locked
   * before, nobody here knows who else has its keys.
   */
  readonly certify?:
    | ((serial: string, attestationKey: Uint8Array) => Promise<Uint8Array>)
    | undefined
  readonly heard?: (step: SetupStep) => void
}

export interface SetupResult {
  readonly serial: string
  readonly layout: string
  readonly locked: boolean
  /** X || Y; undefined as long as nothing is locked. */
  readonly attestationKey: Uint8Array | undefined
  /** This setup had it certified, and the part keeps the certificate. */
  readonly isCertified: boolean
}

/** What a setup would do, from what the part holds now. Sends no Write, Lock or GenKey. */
export async function planSetup(chip: ChipSession): Promise<SetupPlan> {
  const config = await readConfig(chip)
  const steps: SetupStep[] = []
  if (!isConfigLocked(config)) {
    const wanted = wantedConfig(config)
    for (const piece of changedWords(config, wanted)) steps.push(writeStep(piece))
    steps.push(lockConfigStep(wanted))
  } else {
    requireLayout(chip, config)
  }
  if (!isDataLocked(config)) {
    for (const slot of await slotsToMake(chip, config)) steps.push(generateStep(slot))
    steps.push(lockDataStep, certificateStep)
  }
  return { serial: chip.serial, layout: layoutName, steps }
}

export async function setUp(chip: ChipSession, options: SetupOptions = {}): Promise<SetupResult> {
  const heard = options.heard ?? (() => undefined)
  await writeLayout(chip, heard)
  if (options.confirm !== lockWords) {
    const config = await readConfig(chip)
    const locked = isConfigLocked(config) && isDataLocked(config)
    const attestationKey = undefined
    return { serial: chip.serial, layout: layoutName, locked, attestationKey, isCertified: false }
  }
  await lockLayout(chip, heard)
  const isOpen = !isDataLocked(await readConfig(chip))
  const attestationKey = await makeKeys(chip, heard)
  if (isOpen) await lockKeys(chip, attestationKey, heard)
  const { certify } = options
  const isCertified = isOpen && certify !== undefined
  if (isCertified) {
    await writeCertificate(chip, await certify(chip.serial, attestationKey), heard)
  }
  return { serial: chip.serial, layout: layoutName, locked: true, attestationKey, isCertified }
}

type Heard = (step: SetupStep) => void

/** Written word by word, read back whole and compared: a slip after the lock is scrap. */
async function writeLayout(chip: ChipSession, heard: Heard): Promise<void> {
  const found = await readConfig(chip)
  if (isConfigLocked(found)) return requireLayout(chip, found)
  const wanted = wantedConfig(found)
  for (const piece of changedWords(found, wanted)) {
    heard(writeStep(piece))
    await writePiece(chip, { kind: 'config' }, piece.offset, piece.bytes)
  }
  requireLayout(chip, await readConfig(chip))
}

async function lockLayout(chip: ChipSession, heard: Heard): Promise<void> {
  const config = await readConfig(chip)
  if (isConfigLocked(config)) return
  requireLayout(chip, config)
  heard(lockConfigStep(config))
  // By the CRC of what was compared: if another byte got in between, the chip refuses.
  await lockConfig(chip, crc16(config))
  await chip.refresh()
  const after = await readConfig(chip)
  if (!isConfigLocked(after)) throw unlocked(chip, 'configuration')
  requireLayout(chip, after)
}

/** X || Y of the attestation key. */
async function makeKeys(chip: ChipSession, heard: Heard): Promise<Uint8Array> {
  const config = await readConfig(chip)
  if (isDataLocked(config)) return foundAttestationKey(chip)
  let attestationKey: Uint8Array = new Uint8Array()
  for (const slot of await slotsToMake(chip, config)) {
    heard(generateStep(slot))
    const point = await createKey(chip, slot)
    if (slot === attestationSlot) attestationKey = point
  }
  return attestationKey
}

/** The attestation key's, and every other that holds a key already. */
async function slotsToMake(chip: ChipSession, config: Uint8Array): Promise<readonly number[]> {
  if (!isConfigLocked(config)) return [attestationSlot]
  const slots: number[] = []
  for (const { slot, isLocked } of allRules(config).filter(({ isKey }) => isKey)) {
    const holds = await keyValid(chip, slot)
    if (holds && isLocked) throw lockedBefore(chip, slot)
    if (holds || slot === attestationSlot) slots.push(slot)
  }
  return slots
}

async function foundAttestationKey(chip: ChipSession): Promise<Uint8Array> {
  if (await keyValid(chip, attestationSlot)) return publicKeyOf(chip, attestationSlot)
  throw elementError(
    'ERR_ELEMENT_CONFIG',
    'the part was locked without an attestation key',
    { serial: chip.serial },
    { where: chip.where, hint: 'It serves for identities, and cannot attest them.' },
  )
}

function lockedBefore(chip: ChipSession, slot: number): Error {
  return elementError(
    'ERR_ELEMENT_CONFIG',
    `the key in slot ${slot} was locked before this setup, and somebody may know it`,
    { serial: chip.serial, slot },
    { where: chip.where, hint: 'Take another part, and ask who had this one.' },
  )
}

/** After it no key comes from outside; the one that was made is still there. */
async function lockKeys(
  chip: ChipSession,
  attestationKey: Uint8Array,
  heard: Heard,
): Promise<void> {
  heard(lockDataStep)
  await lockDataUnchecked(chip)
  await chip.refresh()
  if (!isDataLocked(await readConfig(chip))) throw unlocked(chip, 'data zone')
  if (hex(await publicKeyOf(chip, attestationSlot)) === hex(attestationKey)) return
  throw elementError(
    'ERR_ELEMENT_CONFIG',
    'another attestation key is in the part than the one that was made',
    { serial: chip.serial },
    { where: chip.where, hint: 'Somebody else used the part meanwhile: take another one.' },
  )
}

async function writeCertificate(chip: ChipSession, der: Uint8Array, heard: Heard): Promise<void> {
  const size = slotLength(certificateSlot)
  if (der.length > size) {
    throw elementError(
      'ERR_ELEMENT_ARGUMENT',
      `the certificate of the attestation key has ${der.length} bytes; the slot holds ${size}`,
    )
  }
  const whole = new Uint8Array(size)
  whole.set(der)
  const zone = { kind: 'data', slot: certificateSlot } as const
  heard(certificateStep)
  await writeZone(chip, zone, 0, whole)
  if (hex(await readZone(chip, zone, 0, size)) === hex(whole)) return
  throw elementError(
    'ERR_ELEMENT_CONFIG',
    'the part did not keep the certificate of its attestation key',
    { serial: chip.serial },
    { where: chip.where, hint: 'Write it again into slot 8; everything else is done.' },
  )
}

interface Piece {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Words that differ, among those that Write reaches: bytes 16 to 83 and 88 to 127. */
function changedWords(found: Uint8Array, wanted: Uint8Array): readonly Piece[] {
  const pieces: Piece[] = []
  for (let offset = 16; offset < 128; offset += 4) {
    if (offset === 84 || !isComparable(offset)) continue
    const bytes = wanted.subarray(offset, offset + 4)
    if (hex(bytes) !== hex(found.subarray(offset, offset + 4))) pieces.push({ offset, bytes })
  }
  return pieces
}

function requireLayout(chip: ChipSession, config: Uint8Array): void {
  const wanted = wantedConfig(config)
  const at = wanted.findIndex((byte, i) => isComparable(i) && byte !== config[i])
  if (at < 0) return
  const [is, should] = [config[at] ?? 0, wanted[at] ?? 0].map((byte) =>
    byte.toString(16).padStart(2, '0'),
  )
  throw elementError(
    'ERR_ELEMENT_CONFIG',
    isConfigLocked(config)
      ? `the part is locked with another configuration: byte ${at} is ${is}, not ${should}`
      : `the part did not keep what was written: byte ${at} is ${is}, not ${should}`,
    { serial: chip.serial, byte: at },
    {
      where: chip.where,
      hint: isConfigLocked(config)
        ? 'It cannot be changed any more. "countersign element info" shows what its slots are good for.'
        : 'Nothing was locked. Check supply and wiring, then try again.',
    },
  )
}

function unlocked(chip: ChipSession, what: string): Error {
  return elementError(
    'ERR_ELEMENT_NOT_LOCKED',
    `the part answered well, and its ${what} is not locked`,
    { serial: chip.serial },
    { where: chip.where, hint: 'Try again; if it stays so, the part is broken.' },
  )
}

function writeStep({ offset, bytes }: Piece): SetupStep {
  const command = writeCommand({ kind: 'config' }, offset, bytes)
  const last = offset + bytes.length - 1
  return step('write', `configuration bytes ${offset} to ${last}: ${hex(bytes)}`, command)
}

function lockConfigStep(config: Uint8Array): SetupStep {
  const command = lockConfigCommand(crc16(config))
  return step('lock', 'the configuration, if its 128 bytes have this CRC', command)
}

function generateStep(slot: number): SetupStep {
  const what = slot === attestationSlot ? 'the attestation key' : 'a key for the one that is there'
  return step('generate', `${what}, in slot ${slot}`, {
    name: 'GenKey',
    param1: 0x04,
    param2: slot,
    answer: 64,
    repeat: 'never',
  })
}

const certificateStep: SetupStep = {
  act: 'write',
  words: `the certificate of the attestation key, if there is one, into slot ${certificateSlot}`,
  packet: undefined,
}

// Its CRC would be over private keys that nobody outside knows, so the chip is not asked to compare.
const lockDataStep: SetupStep = step(
  'lock',
  'the data zone and the rules of all slots',
  lockDataUncheckedCommand,
)

function step(act: SetupStep['act'], words: string, command: Command): SetupStep {
  return { act, words, packet: encodeCommand(command) }
}
