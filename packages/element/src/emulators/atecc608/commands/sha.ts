/**
 * SHA (47): a digest, or an HMAC under a slot or TempKey, over as many bytes as the host likes. The
 * state of a digest, and only of that, can be carried out and back (6, 7): 40 bytes and those that
 * fill no block yet, which the low six bits of the first byte count. Beyond that its form is our own.
 * Unconfirmed on silicon (U36, U43, U71).
 */
import { keyType } from '../config.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { hasPublicKeyRoom, publicKeyOf } from '../keys.ts'
import { countUse, requireKeyUse, requireSymmetricKey, requireTempKey } from '../policy.ts'
import { Sha256State } from '../sha256State.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'
import { type ShaContext, tempKeySource } from '../tempKey.ts'

const step = {
  start: 0,
  update: 1,
  end: 2,
  publicKey: 3,
  hmacStart: 4,
  readContext: 6,
  writeContext: 7,
} as const
const target = { tempKey: 0x00, messageDigest: 0x40, output: 0xc0 } as const
const ofTempKey = 0xffff
const contextHead = 40
/** What a part gives at most. */
const contextLengthMax = 99

export function sha(inside: Inside, command: Command): Uint8Array {
  const { mode } = command
  const act = mode & 0x07
  requireParse((mode & 0x38) === 0 && (act === step.end || (mode & 0xc0) === 0))
  switch (act) {
    case step.start:
      return start(inside, command)
    case step.update:
      return update(inside, command)
    case step.end:
      return end(inside, command)
    case step.publicKey:
      return updatePublicKey(inside, command)
    case step.hmacStart:
      return startHmac(inside, command)
    case step.readContext:
      return readContext(inside, command)
    case step.writeContext:
      return writeContext(inside, command)
    default:
      throw new Refusal(status.parse)
  }
}

function start({ registers }: Inside, { param2, data }: Command): Uint8Array {
  requireParse(param2 === 0 && data.length === 0)
  registers.sha = { inner: new Sha256State() }
  return done()
}

/** The key, 32 bytes, fills half of HMAC's block (FIPS 198-1). */
function startHmac(inside: Inside, { param2, data }: Command): Uint8Array {
  requireParse((param2 < 16 || param2 === ofTempKey) && data.length === 0)
  const key = param2 === ofTempKey ? requireTempKey(inside) : requireHmacKey(inside, param2)
  const [inner, outer] = [padded(key, 0x36), padded(key, 0x5c)]
  inside.registers.sha = { inner, outer }
  return done()
}

function requireHmacKey(inside: Inside, slot: number): Uint8Array {
  const key = requireSymmetricKey(inside, slot)
  requireExecution(inside.config.keyConfig(slot).keyType === keyType.other)
  requireExecution(!inside.config.slotConfig(slot).noMac)
  countUse(inside, slot)
  return key
}

function padded(key: Uint8Array, pad: number): Sha256State {
  const block = new Uint8Array(64)
  block.set(key)
  const state = new Sha256State()
  state.update(block.map((byte) => byte ^ pad))
  return state
}

function update(inside: Inside, { param2, data }: Command): Uint8Array {
  requireParse(data.length >= 1 && data.length <= 64 && param2 === data.length)
  contextOf(inside).inner.update(data)
  return done()
}

function updatePublicKey(inside: Inside, { param2, data }: Command): Uint8Array {
  requireParse(param2 < 16 && data.length === 0)
  const { isPrivate, keyType: type } = inside.config.keyConfig(param2)
  requireExecution(inside.config.dataLocked && !isPrivate && type === keyType.p256)
  requireExecution(hasPublicKeyRoom(param2))
  requireKeyUse(inside, param2)
  contextOf(inside).inner.update(publicKeyOf(inside, param2))
  return done()
}

/** Answers the digest, and puts it into a register too unless that was not wanted. */
function end(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(data.length <= 64 && param2 === data.length)
  const where = mode & 0xc0
  requireParse(
    where === target.tempKey || where === target.messageDigest || where === target.output,
  )
  const { registers } = inside
  const { inner, outer } = contextOf(inside)
  registers.sha = undefined
  const digest = outer === undefined ? inner.finish(data) : outer.finish(inner.finish(data))
  // A digest of what a host said is no nonce of the chip.
  if (where === target.tempKey) registers.tempKey.set(digest, tempKeySource.fixed)
  if (where === target.messageDigest) registers.messageDigest = digest
  return digest.slice()
}

/** Not of an HMAC. The context stays valid; with more bytes in it than go out it is refused. */
function readContext(inside: Inside, { param2, data }: Command): Uint8Array {
  requireParse(param2 === 0 && data.length === 0)
  const { inner, outer } = contextOf(inside)
  const { rest } = inner
  requireExecution(outer === undefined && contextHead + rest.length <= contextLengthMax)
  const context = Buffer.alloc(contextHead + rest.length)
  context.writeUInt32LE(inner.length, 0)
  context.set(inner.export(), 4)
  context.set(rest, contextHead)
  return context
}

function writeContext({ registers }: Inside, { param2, data }: Command): Uint8Array {
  requireParse(data.length >= contextHead && param2 === data.length)
  const context = Buffer.from(data)
  const length = context.readUInt32LE(0)
  requireParse(data.length === contextHead + (length & 0x3f) && data.length <= contextLengthMax)
  requireParse(context.readUInt32LE(36) === 0)
  const rest = context.subarray(contextHead)
  registers.sha = { inner: Sha256State.from(context.subarray(4, 36), length, rest) }
  return done()
}

function contextOf({ registers }: Inside): ShaContext {
  requireExecution(registers.sha !== undefined)
  return registers.sha
}
