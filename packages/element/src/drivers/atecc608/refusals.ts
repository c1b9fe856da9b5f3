/**
 * Why a chip refused. It has one word for everything (0F), and its configuration has the reason: what
 * is not locked yet, what is locked for ever, what a slot is not for.
 * Unconfirmed on silicon (U17).
 */
import type { SlotInfo } from '../../ports.ts'
import type { Dead } from './dead.ts'
import { allRules, isConfigLocked, isDataLocked, type SlotView } from './slotViews.ts'

export type Act = 'generate' | 'ask' | 'sign' | 'agree' | 'attest' | 'read' | 'write' | 'lock'

export type Reason = readonly [
  code:
    | 'ERR_ELEMENT_NOT_LOCKED'
    | 'ERR_ELEMENT_LOCKED'
    | 'ERR_ELEMENT_SLOT_EMPTY'
    | 'ERR_ELEMENT_BUSY'
    | 'ERR_ELEMENT_COUNTER_LIMIT'
    | 'ERR_ELEMENT_POLICY',
  why: string,
  hint?: string,
]

export const setupHint = 'Set the part up first: "countersign element setup".'

export function reasonOf(
  config: Uint8Array,
  rules: SlotView,
  holds: SlotInfo['state'],
  act: Act,
  dead: Dead | undefined,
): Reason {
  if (!isConfigLocked(config)) {
    return ['ERR_ELEMENT_NOT_LOCKED', 'works once its configuration is locked', setupHint]
  }
  const needsData: readonly Act[] = ['sign', 'agree', 'attest', 'read']
  if (!isDataLocked(config) && needsData.includes(act)) {
    return ['ERR_ELEMENT_NOT_LOCKED', 'works once its data zone is locked', setupHint]
  }
  const changes: readonly Act[] = ['generate', 'write', 'lock']
  if (rules.isLocked && changes.includes(act)) {
    return ['ERR_ELEMENT_LOCKED', 'is locked for ever']
  }
  if (rules.isKey && holds === 'empty' && act !== 'generate') {
    return ['ERR_ELEMENT_SLOT_EMPTY', 'holds no key', 'Make one first, or name another slot.']
  }
  if (dead !== undefined && usesKey(rules, act)) return deaths[dead]
  if (isAllowed(config, rules, act)) {
    return [
      'ERR_ELEMENT_BUSY',
      `refused this (${act}), which its configuration allows`,
      'Try again. Does another program use the element, or does its supply fail?',
    ]
  }
  return [
    'ERR_ELEMENT_POLICY',
    `does not allow this (${act}) by its configuration`,
    'See "countersign element info" for what each slot is for.',
  ]
}

const deaths: Readonly<Record<Dead, Reason>> = {
  usedUp: [
    'ERR_ELEMENT_COUNTER_LIMIT',
    'has no uses left: its key could be used a number of times, and was',
    'Name another slot; a counter never goes back.',
  ],
  switchedOff: [
    'ERR_ELEMENT_POLICY',
    'is switched off: its key serves while a latch of the chip is set',
    'The latch is set by whoever holds the key of VolatileKeyPermission, or by secure boot, and lost with the power.',
  ],
  untold: [
    'ERR_ELEMENT_POLICY',
    'refused this: the uses of its key are counted, and may be used up',
    'How many it has stands in a slot that is not read in clear. Name another slot.',
  ],
}

/** A use that the rules of the slot give to its key. */
function usesKey(rules: SlotView, act: Act): boolean {
  return (
    (act === 'sign' && rules.uses.includes('sign')) ||
    (act === 'agree' && rules.uses.includes('ecdh'))
  )
}

/**
 * Then a refusal came of what is over: the volatile memory was lost twice, or another program has
 * made the key that was missing.
 */
function isAllowed(config: Uint8Array, rules: SlotView, act: Act): boolean {
  if (rules.isConditional) return false
  switch (act) {
    case 'sign':
    case 'agree':
      return usesKey(rules, act)
    case 'ask':
      return rules.tellsPublicKey
    case 'generate':
      return rules.isKey && mayGenerate(config, rules)
    case 'attest':
      return rules.tellsPublicKey && !attestingSlots(config).some((each) => each.isConditional)
    case 'read':
      return rules.isReadable
    case 'write':
      return rules.isReadable && rules.isWritable
    case 'lock':
      return false
  }
}

function attestingSlots(config: Uint8Array): readonly SlotView[] {
  return allRules(config).filter(({ uses }) => uses.includes('attest'))
}

/** Until the data zone is locked, GenKey goes everywhere where a key fits. */
export function mayGenerate(config: Uint8Array, rules: SlotView): boolean {
  return !isDataLocked(config) || rules.takesGenKey
}
