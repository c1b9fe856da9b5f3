/**
 * Which slot of an element holds the key of this device: the first that signs, and for a renewal
 * another one, so that the key in use stays until the new certificate works.
 */
import { CallerError } from '@countersign/core/errors'
import type { ElementInfo, SecureElement, SlotInfo } from '@countersign/element/ports'
import type { DeviceErrorCode } from './errors.ts'

/** For a first enrolment. */
export async function firstSlot(element: SecureElement): Promise<SlotInfo> {
  const found = (await element.slots()).find(canServe)
  if (found !== undefined) return found
  const { kind } = await element.info()
  throw noSlot(kind, 'has no slot whose key signs for a device')
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
