/**
 * A key pair in TempKey: made there by GenKey, taken by one ECDH, never in the EEPROM. An idle chip
 * keeps it as long as it has its supply. Sleep and the watchdog end it, and so does whatever else
 * takes TempKey: a signature, an attestation, another such key; the chip refuses then. Only a key
 * that another program has made there meanwhile is not told from ours: the secret is another one.
 */
import {
  type ElementEphemeral,
  type ElementError,
  elementError,
  isElementError,
} from '../../ports.ts'
import { requirePoint } from '../../signer.ts'
import { ecdh } from './agree.ts'
import { parseChipConfig } from './config.ts'
import { createEphemeralKey } from './keys.ts'
import { setupHint } from './refusals.ts'
import type { ChipSession } from './session.ts'
import { isConfigLocked } from './slotViews.ts'
import { readConfig } from './zones.ts'

/** Whose key is in TempKey, as far as this driver put one there. */
export interface TempKeyHolder {
  latest?: object
}

export async function makeEphemeral(
  chip: ChipSession,
  holder: TempKeyHolder,
  agreements: number,
): Promise<ElementEphemeral> {
  if (agreements !== 1) throw onlyOnce(chip, agreements)
  const mine = {}
  holder.latest = mine
  const point = await explained(createEphemeralKey(chip), () => whyNotMade(chip))
  let isSpent = false
  return {
    point,
    async agree(peer) {
      requirePoint(peer)
      if (isSpent) throw spent(chip)
      // Gone with the first try, also with one that fails.
      isSpent = true
      if (holder.latest !== mine) throw gone(chip)
      return await explained(ecdh(chip, 'tempKey', peer), () => whyNotAgreed(chip))
    },
  }
}

/** The chip has one word (0F) for everything that it does not do. */
async function explained<T>(
  act: Promise<T>,
  why: () => Promise<ElementError | undefined>,
): Promise<T> {
  try {
    return await act
  } catch (error) {
    if (!isElementError(error) || error.code !== 'ERR_ELEMENT_POLICY') throw error
    throw (await why()) ?? error
  }
}

async function whyNotMade(chip: ChipSession): Promise<ElementError | undefined> {
  if (isConfigLocked(await readConfig(chip))) return undefined
  return elementError(
    'ERR_ELEMENT_NOT_LOCKED',
    'an ephemeral key is made once the configuration is locked',
    {},
    { where: chip.where, hint: setupHint },
  )
}

async function whyNotAgreed(chip: ChipSession): Promise<ElementError | undefined> {
  const { options } = parseChipConfig(await readConfig(chip))
  // Its values are unconfirmed on silicon; with 0 nothing is protected.
  return options.ecdhProtection === 0 ? gone(chip) : undefined
}

function gone(chip: ChipSession): ElementError {
  return elementError(
    'ERR_ELEMENT_WATCHDOG',
    'the ephemeral key is not in the element any more: it slept, or did something else since',
    {},
    { where: chip.where, hint: 'Make a new one. Does another program use the element?' },
  )
}

function onlyOnce(chip: ChipSession, agreements: number): ElementError {
  return elementError(
    'ERR_ELEMENT_UNSUPPORTED',
    'an ephemeral key of this element agrees once',
    { agreements },
    {
      where: chip.where,
      hint: 'Choose a method in which the other end signs, or keys of the host.',
    },
  )
}

function spent(chip: ChipSession): ElementError {
  return elementError(
    'ERR_ELEMENT_ARGUMENT',
    'an ephemeral key agrees once',
    {},
    { where: chip.where, hint: 'Ask the element for a new one.' },
  )
}
