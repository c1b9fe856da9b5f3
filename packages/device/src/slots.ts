/**
 * Which slot of an element holds the key of this device: the first that signs, and for a renewal
 * another one, so that the key in use stays until the new certificate works.
 */
import { CallerError } from '@countersign/core/errors'
import type { ElementInfo, SecureElement, SlotInfo } from '@countersign/element/ports'
import type { DeviceErrorCode } from './errors.ts'

export interface SlotWish {
  readonly newKey: boolean
  readonly slot: number | undefined
}

/**
 * For a first enrolment: the one that is named, or the first that serves. A new key goes into a free
 * one: the key in another may be somebody's identity.
 */
export async function firstSlot(element: SecureElement, wish: SlotWish): Promise<SlotInfo> {
  const { kind } = await element.info()
  const slots = (await element.slots()).filter(canServe)
  if (wish.slot !== undefined) {
    const named = slots.find(({ slot }) => slot === wish.slot)
    if (named !== undefined) return named
    throw noSlot(kind, `has no slot ${wish.slot} whose key signs for a device`)
  }
  const isTaken = wish.newKey && kind !== 'software'
  const found = isTaken ? slots.find(({ state }) => state === 'empty') : slots[0]
  if (found !== undefined) return found
  if (slots.length === 0) throw noSlot(kind, 'has no slot whose key signs for a device')
  throw new CallerError<DeviceErrorCode>(
    'ERR_ELEMENT_UNFIT',
    'each slot of the element that signs holds a key already',
    {},
    { where: '--new-key', hint: 'With --slot N the key in that slot is replaced, and gone.' },
  )
}

/**
 * For a renewal: another slot that takes a new key, or the one in use when there is none; then the
 * same key gets a new certificate.
 */
export async function nextSlot(element: SecureElement, inUse: number): Promise<SlotInfo> {
  const slots = (await element.slots()).filter(canServe)
  const after = [...slots.filter(({ slot }) => slot > inUse), ...slots]
  const found =
    after.find(({ slot, canGenerate }) => slot !== inUse && canGenerate) ??
    slots.find(({ slot }) => slot === inUse)
  if (found !== undefined) return found
  const { kind } = await element.info()
  throw noSlot(kind, `has no key in slot ${inUse} any more`)
}

function canServe({ uses, canGenerate, state }: SlotInfo): boolean {
  return uses.includes('sign') && (canGenerate || state === 'key')
}

/**
 * The slot holds a key for this device when it resolves. A key that was in a chip or token before
 * is somebody's work (a factory's, a maker's manifest names it) and is taken as it is, unless a new
 * one is asked for; a twin's is nobody's.
 */
export async function prepareKey(
  element: SecureElement,
  { slot, state, canGenerate }: SlotInfo,
  newKey: boolean,
): Promise<void> {
  const { kind } = await element.info()
  const isThere = state === 'key' && !newKey && kind !== 'software'
  if (isThere || (state === 'key' && !canGenerate && !newKey)) return
  await element.generateKey(slot)
}

function noSlot(kind: ElementInfo['kind'], what: string): CallerError<DeviceErrorCode> {
  return new CallerError(
    'ERR_ELEMENT_UNFIT',
    `the element (${kind}) ${what}`,
    {},
    {
      where: '--element',
      hint: 'See "countersign element info"; a blank chip needs "element setup".',
    },
  )
}
