/**
 * GenDig (15): TempKey becomes the digest of a stored value, or one that the host shares, and of
 * what TempKey was. The session key of encrypted reads and writes, and the link of GenDig to a key.
 * Unconfirmed on silicon (U23, U34, U37, U41).
 */
import { readCounter } from '../counters.ts'
import { serialMark, sha256, zeros } from '../digests.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { at, blockLength } from '../layout.ts'
import { countUse, requireRandomNonce, requireSymmetricKey, requireTempKey } from '../policy.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'

const zone = { config: 0, otp: 1, data: 2, sharedNonce: 3, counter: 4, keyConfig: 5 } as const
/** Bit 15 of param2 for a shared nonce: TempKey stands first and the host's bytes last. */
const tempKeyFirst = 0x8000

export function genDig(inside: Inside, command: Command): Uint8Array {
  const { tempKey } = inside.registers
  try {
    const before = requireTempKey(inside)
    const { source } = tempKey
    const digest = digestOf(inside, command, before)
    const inherited = { noMac: tempKey.noMac || takesForeignHead(inside, command) }
    tempKey.set(digest, source)
    tempKey.madeInside = true
    if (command.mode !== zone.data) return done()
    tempKey.genDig = true
    tempKey.keyId = command.param2
    tempKey.noMac = inherited.noMac
    return done()
  } catch (error) {
    // An error leaves no TempKey behind.
    if (error instanceof Refusal) tempKey.clear()
    throw error
  }
}

function digestOf(inside: Inside, command: Command, before: Uint8Array): Uint8Array {
  const { mode, param2, data } = command
  const { eeprom, config } = inside
  const head = Uint8Array.of(0x15, mode, param2 & 0xff, param2 >> 8)
  switch (mode) {
    case zone.config:
    case zone.otp: {
      requireParse(data.length === 0 && param2 < (mode === zone.config ? 4 : 2))
      requireExecution(mode === zone.config || config.dataLocked)
      const block = eeprom.read(mode === zone.config ? 'config' : 'otp', blockLength * param2, 32)
      return chain(inside, block, head, zeros(25), before)
    }
    case zone.data:
      return digestOfSlot(inside, command, head, before)
    case zone.sharedNonce: {
      requireParse(data.length === 32 && (param2 & 0x7f00) === 0)
      const [first, last] = (param2 & tempKeyFirst) === 0 ? [data, before] : [before, data]
      return chain(inside, first, Uint8Array.of(0x15, mode, param2 & 0xff, 0), zeros(25), last)
    }
    case zone.counter:
      requireParse(data.length === 0 && param2 < 2)
      return chain(inside, zeros(32), head, counterField(inside, param2), before)
    case zone.keyConfig:
      requireParse(data.length === 0 && param2 < 16)
      return chain(inside, zeros(32), head, keyConfigField(inside, param2), before)
    default:
      throw new Refusal(status.parse)
  }
}

function digestOfSlot(
  inside: Inside,
  command: Command,
  head: Uint8Array,
  before: Uint8Array,
): Uint8Array {
  const { param2, data } = command
  requireParse(param2 < 16)
  const foreign = takesForeignHead(inside, command)
  requireParse(data.length === (foreign ? 4 : 0))
  const key = requireSymmetricKey(inside, param2)
  requireRandomNonce(inside, param2)
  countUse(inside, param2)
  return chain(inside, key, foreign ? data : head, zeros(25), before)
}

/** A key with NoMac: opcode and parameters in the message are what the host says. */
function takesForeignHead({ config }: Inside, { mode, param2 }: Command): boolean {
  return mode === zone.data && config.slotConfig(param2).noMac
}

function chain(
  inside: Inside,
  value: Uint8Array,
  head: Uint8Array,
  field: Uint8Array,
  last: Uint8Array,
): Uint8Array {
  return sha256(value, head, serialMark(inside), field, last)
}

function counterField(inside: Inside, counter: number): Uint8Array {
  const field = Buffer.alloc(25)
  field.writeUInt32LE(readCounter(inside, counter), 1)
  return field
}

function keyConfigField({ config }: Inside, slot: number): Uint8Array {
  const field = Buffer.alloc(25)
  field.writeUInt16LE(config.word(at.slotConfig + 2 * slot), 1)
  field.writeUInt16LE(config.word(at.keyConfig + 2 * slot), 3)
  field[5] = config.slotLocked(slot) ? 0 : 1
  return field
}
