/**
 * Why a key that its rules allow may be of no use all the same: the uses that it had are used up
 * (SlotConfig.LimitedUse), or it is switched off (KeyConfig.PersistentDisable). Asked of the chip
 * after a refusal, never before an act.
 */
import { counterValueMax, readCounter, volatileKeyPermit } from './basics.ts'
import { rulesOf, type SlotView } from './slotViews.ts'
import type { CommandLine } from './session.ts'
import { readZone } from './zones.ts'

/** `untold`: its uses are counted up to a number that the chip does not tell. */
export type Dead = 'usedUp' | 'switchedOff' | 'untold'

/** Undefined for a key that is not dead, as far as the chip tells. */
export async function deathOf(
  line: CommandLine,
  config: Uint8Array,
  { isCounted, isLatched }: SlotView,
): Promise<Dead | undefined> {
  if (isLatched && (await volatileKeyPermit(line))[0] === 0) return 'switchedOff'
  if (!isCounted) return undefined
  const usesMax = await readUsesMax(line, config)
  if (usesMax === undefined) return 'untold'
  return (await readCounter(line, 0)) >= usesMax ? 'usedUp' : undefined
}

/**
 * Counter 0 counts the uses of all such keys, to its end or, with bit 0 of CountMatch (byte 18), to
 * the number in the slot of bits 7:4. It stands there twice, low byte first; two that differ allow
 * nothing (unconfirmed on silicon).
 */
async function readUsesMax(line: CommandLine, config: Uint8Array): Promise<number | undefined> {
  const countMatch = config[18] ?? 0
  if ((countMatch & 1) === 0) return counterValueMax
  const slot = countMatch >> 4
  if (!rulesOf(config, slot).isReadable) return undefined
  const bytes = await readZone(line, { kind: 'data', slot }, 0, 8)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const usesMax = view.getUint32(0, true)
  return usesMax === view.getUint32(4, true) ? usesMax : 0
}
