/**
 * SHA-256 and HMAC-SHA-256 computed inside. All commands of one digest belong in one sequence: an
 * update that is sent again counts twice. A wake loses a digest under way, also from idle, so a long
 * one is carried over the watchdog by its context; an HMAC has none, and must be done before.
 * Unconfirmed on silicon (U44).
 */
import { elementError } from '@countersign/core/ports'
import { requireSlot } from './basics.ts'
import { targetBits, type VolatileTarget } from './keys.ts'
import type { AnswerShape, Carry, Command } from './packet.ts'
import type { CommandLine } from './session.ts'

const modes = {
  start: 0,
  update: 1,
  end: 2,
  publicKey: 3,
  hmacStart: 4,
  readContext: 6,
  writeContext: 7,
} as const
const blockLength = 64
/** State, length and a block that is not full. */
const contextLengthMax = 99

export function sha256Inside(line: CommandLine, data: Uint8Array): Promise<Uint8Array> {
  return digest(line, data, startSha, false)
}

/** With the secret in the slot as key. ERR_ELEMENT_WATCHDOG when there is more than the time allows. */
export function hmacInside(line: CommandLine, slot: number, data: Uint8Array): Promise<Uint8Array> {
  return digest(line, data, (each) => startHmac(each, slot), true)
}

async function digest(
  line: CommandLine,
  data: Uint8Array,
  start: (line: CommandLine) => Promise<void>,
  isKeyed: boolean,
): Promise<Uint8Array> {
  await start(line)
  const stream = new ShaStream(line, isKeyed)
  await stream.update(data)
  return stream.end()
}

export async function startSha(line: CommandLine): Promise<void> {
  await sha(line, modes.start, 0, undefined, 'status')
}

export async function startHmac(line: CommandLine, slot: number): Promise<void> {
  await sha(line, modes.hmacStart, requireSlot(slot), undefined, 'status')
}

/** Data of any lengths, cut into the blocks that the chip takes. Made after a start. */
export class ShaStream {
  readonly #line: CommandLine
  readonly #carry: Carry | 'never'
  #rest: Uint8Array = new Uint8Array()

  constructor(line: CommandLine, isKeyed = false) {
    this.#line = line
    this.#carry = isKeyed ? 'never' : carryContext
  }

  async update(data: Uint8Array): Promise<void> {
    const all = new Uint8Array(this.#rest.length + data.length)
    all.set(this.#rest)
    all.set(data, this.#rest.length)
    let start = 0
    for (; start + blockLength <= all.length; start += blockLength) {
      const block = all.subarray(start, start + blockLength)
      await sha(this.#line, modes.update, blockLength, block, 'status', this.#carry)
    }
    this.#rest = all.slice(start)
  }

  /** 32 bytes; they also stay in the chip, in `target`. */
  end(target: VolatileTarget = 'tempKey'): Promise<Uint8Array> {
    const mode = modes.end | shaTargetBits(target)
    return sha(this.#line, mode, this.#rest.length, this.#rest, 32, this.#carry)
  }
}

/** Bits 7:6 of the end: 00 TempKey, 01 MsgDigBuf, 11 output only. */
function shaTargetBits(target: VolatileTarget): number {
  if (target !== 'alternateKey') return targetBits[target]
  throw elementError('ERR_ELEMENT_ARGUMENT', 'a SHA does not end in AltKeyBuf')
}

/** The public key of a slot as the next 64 bytes. */
export async function updateWithPublicKey(line: CommandLine, slot: number): Promise<void> {
  await sha(line, modes.publicKey, requireSlot(slot), undefined, 'status', carryContext)
}

/** The state of a SHA-256, to go on with it later. Its length depends on what has come. */
export function readShaContext(line: CommandLine): Promise<Uint8Array> {
  return line.run(saveContext)
}

const saveContext: Command = {
  name: 'SHA',
  param1: modes.readContext,
  param2: 0,
  answer: { lengthMax: contextLengthMax },
  repeat: 'sequence',
}

function restoreContext(context: Uint8Array): Command {
  return {
    name: 'SHA',
    param1: modes.writeContext,
    param2: context.length,
    data: context,
    answer: 'status',
    repeat: 'sequence',
  }
}

const carryContext: Carry = { save: saveContext, restore: restoreContext }

export async function writeShaContext(line: CommandLine, context: Uint8Array): Promise<void> {
  if (context.length > contextLengthMax) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'a SHA context has at most 99 bytes', {
      length: context.length,
    })
  }
  await line.run(restoreContext(context))
}

function sha(
  line: CommandLine,
  param1: number,
  param2: number,
  data: Uint8Array | undefined,
  answer: AnswerShape,
  carry?: Carry | 'never',
): Promise<Uint8Array> {
  return line.run({
    name: 'SHA',
    param1,
    param2,
    answer,
    repeat: 'sequence',
    ...(data === undefined ? {} : { data }),
    ...(carry === undefined ? {} : { carry }),
  })
}
