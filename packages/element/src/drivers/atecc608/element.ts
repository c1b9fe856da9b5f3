/**
 * The ATECC608 as the port of secure elements: slots and rules from its configuration, one command
 * or one sequence for each act. What the chip refuses with its one word for everything (0F) is
 * explained from its state, so that the caller hears what to do.
 */
import { createHash } from 'node:crypto'
import { concat, hex } from '@countersign/core/codec'
import type { BusTime } from '../../bus/ports.ts'
import {
  type Attestation,
  type ElementCounters,
  type ElementData,
  type ElementEphemeral,
  type ElementInfo,
  type ElementState,
  elementError,
  isElementError,
  type LockConfirmation,
  type LockTarget,
  lockWords,
  type SecureElement,
  type SlotInfo,
} from '../../ports.ts'
import { requireDigest, requirePoint, requireRandomLength } from '../../signer.ts'
import { ecdh } from './agree.ts'
import { attestSlot } from './attest.ts'
import {
  counterCount,
  counterValueMax,
  incrementCounter,
  keyValid,
  random,
  readCounter,
  requireSlot,
  revision,
} from './basics.ts'
import { crc16 } from './crc.ts'
import { deathOf } from './dead.ts'
import { makeEphemeral, type TempKeyHolder } from './ephemeral.ts'
import { createKey, loadNonce, publicKeyOf, signExternal } from './keys.ts'
import { type Act, mayGenerate, reasonOf, setupHint } from './refusals.ts'
import { allRules, isConfigLocked, isDataLocked, rulesOf } from './slotViews.ts'
import { type ChipSession, openChipSession, type SessionOptions } from './session.ts'
import type { ChipWire } from './wire.ts'
import {
  lockConfig,
  lockDataUnchecked,
  lockSlot,
  readConfig,
  readZone,
  writeZone,
  type Zone,
} from './zones.ts'

/** Opens the chip on this wire: wakes it, reads who it is, lets it idle. Writes nothing. */
export async function openAtecc608(
  wire: ChipWire,
  time: BusTime,
  options: SessionOptions = {},
): Promise<SecureElement> {
  return new Atecc608(await openChipSession(wire, time, options))
}

class Atecc608 implements SecureElement {
  readonly #chip: ChipSession
  readonly #tempKey: TempKeyHolder = {}

  constructor(chip: ChipSession) {
    this.#chip = chip
  }

  async info(): Promise<ElementInfo> {
    const told = await revision(this.#chip)
    return {
      kind: 'atecc608',
      vendor: 'Microchip',
      model: models[told[3] ?? 0] ?? 'ATECC608',
      revision: hex(told),
      serial: this.#chip.serial,
      capabilities: ['ecdh', 'ephemeral', 'data', 'counters', 'attestation', 'lock'],
    }
  }

  async state(): Promise<ElementState> {
    const config = await readConfig(this.#chip)
    return {
      config: isConfigLocked(config) ? 'locked' : 'open',
      data: isDataLocked(config) ? 'locked' : 'open',
    }
  }

  async slots(): Promise<readonly SlotInfo[]> {
    const config = await readConfig(this.#chip)
    const slots: SlotInfo[] = []
    for (const rules of allRules(config).filter(({ isKey }) => isKey)) {
      const { slot, uses, isLocked } = rules
      const canGenerate = !isLocked && isConfigLocked(config) && mayGenerate(config, rules)
      const state = await this.#holds(config, slot)
      slots.push({ slot, curve: 'P-256', state, uses, canGenerate, locked: isLocked })
    }
    return slots
  }

  async generateKey(slot: number): Promise<Uint8Array> {
    return this.#act(requireSlot(slot), 'generate', () => createKey(this.#chip, slot))
  }

  async publicKey(slot: number): Promise<Uint8Array> {
    return this.#act(requireSlot(slot), 'ask', () => publicKeyOf(this.#chip, slot))
  }

  async sign(slot: number, digest: Uint8Array): Promise<Uint8Array> {
    requireSlot(slot)
    requireDigest(digest)
    return this.#act(slot, 'sign', () =>
      this.#chip.sequence(async (line) => {
        await loadNonce(line, digest)
        return signExternal(line, slot)
      }),
    )
  }

  async random(length: number): Promise<Uint8Array> {
    requireRandomLength(length)
    const blocks: Uint8Array[] = []
    for (let had = 0; had < length; had += 32) blocks.push(await random(this.#chip))
    return concat(...blocks).slice(0, length)
  }

  async ecdh(slot: number, peer: Uint8Array): Promise<Uint8Array> {
    requireSlot(slot)
    requirePoint(peer)
    return this.#act(slot, 'agree', () => ecdh(this.#chip, slot, peer))
  }

  async ephemeral(agreements = 1): Promise<ElementEphemeral> {
    return await makeEphemeral(this.#chip, this.#tempKey, agreements)
  }

  async attest(slot: number, nonce: Uint8Array): Promise<Attestation> {
    requireSlot(slot)
    return this.#act(slot, 'attest', () => attestSlot(this.#chip, slot, nonce))
  }

  readonly data: ElementData = {
    slots: async () => {
      const config = await readConfig(this.#chip)
      return allRules(config)
        .filter(({ isReadable }) => isReadable)
        .map(({ slot, size, isWritable, isLocked }) => ({
          slot,
          size,
          writable: isDataLocked(config) && isWritable && !isLocked,
        }))
    },
    read: async (slot, offset, length) =>
      this.#act(requireSlot(slot), 'read', () =>
        readZone(this.#chip, { kind: 'data', slot }, offset, length),
      ),
    write: async (slot, offset, bytes) =>
      this.#act(requireSlot(slot), 'write', () => writeData(this.#chip, slot, offset, bytes)),
  }

  readonly counters: ElementCounters = {
    count: counterCount,
    valueMax: counterValueMax,
    read: async (counter) => readCounter(this.#chip, counter),
    increment: async (counter) => {
      try {
        return await incrementCounter(this.#chip, counter)
      } catch (error) {
        if (!isElementError(error) || error.code !== 'ERR_ELEMENT_POLICY') throw error
        if ((await readCounter(this.#chip, counter)) < counterValueMax) throw error
        throw elementError(
          'ERR_ELEMENT_COUNTER_LIMIT',
          `counter ${counter} is at its highest value`,
          { counter },
          { hint: 'It never goes back; count with the other one.', cause: error },
        )
      }
    },
  }

  /**
   * Configuration: the CRC that its Lock command wants. Data: a digest of what can be seen of it,
   * the configuration and each public key. Slot: the digest of its public key or content.
   */
  async lockDigest(target: LockTarget): Promise<Uint8Array> {
    const config = await readConfig(this.#chip)
    if (target.kind === 'config') {
      const crc = crc16(config)
      return Uint8Array.of(crc & 0xff, crc >> 8)
    }
    if (target.kind === 'slot') return this.#slotDigest(config, requireSlot(target.slot))
    const parts = [config]
    for (const { slot, isKey } of allRules(config)) {
      if (!isKey || (await this.#holds(config, slot)) !== 'key') continue
      parts.push(Uint8Array.of(slot), await publicKeyOf(this.#chip, slot))
    }
    return sha256(concat(...parts))
  }

  async lock(target: LockTarget, { confirm, expected }: LockConfirmation): Promise<void> {
    const config = await readConfig(this.#chip)
    requireUnlocked(config, target)
    const there = await this.lockDigest(target)
    if (confirm !== lockWords || hex(there) !== hex(expected)) {
      throw elementError(
        'ERR_ELEMENT_CONFIRMATION',
        `the ${target.kind} is not locked: the caller did not confirm what is in it`,
        {},
        { where: this.#chip.where, hint: `Give "${lockWords}" and what lockDigest answers now.` },
      )
    }
    switch (target.kind) {
      case 'config':
        await lockConfig(this.#chip, crc16(config))
        return this.#chip.refresh()
      case 'data':
        return lockDataUnchecked(this.#chip)
      case 'slot':
        return this.#act(target.slot, 'lock', () => lockSlot(this.#chip, target.slot))
    }
  }

  close(): Promise<void> {
    return this.#chip.close()
  }

  async #slotDigest(config: Uint8Array, slot: number): Promise<Uint8Array> {
    const { isKey, size } = rulesOf(config, slot)
    if (isKey) return sha256(await this.publicKey(slot))
    return sha256(await this.data.read(slot, 0, size))
  }

  /** Before the configuration is locked there are no rules, and nothing to be known. */
  async #holds(config: Uint8Array, slot: number): Promise<SlotInfo['state']> {
    if (!isConfigLocked(config)) return 'unknown'
    return (await keyValid(this.#chip, slot)) ? 'key' : 'empty'
  }

  async #act<T>(slot: number, act: Act, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (!isElementError(error) || error.code !== 'ERR_ELEMENT_POLICY') throw error
      throw await this.#explain(slot, act, error)
    }
  }

  async #explain(slot: number, act: Act, cause: Error): Promise<Error> {
    const config = await readConfig(this.#chip)
    const rules = rulesOf(config, slot)
    const holds = rules.isKey ? await this.#holds(config, slot) : 'unknown'
    const dead = isConfigLocked(config) ? await deathOf(this.#chip, config, rules) : undefined
    const [code, why, hint] = reasonOf(config, rules, holds, act, dead)
    return elementError(
      code,
      `slot ${slot} of the element ${why}`,
      { slot, serial: this.#chip.serial },
      { where: this.#chip.where, cause, ...(hint === undefined ? {} : { hint }) },
    )
  }
}

/** The last byte of Info. That 3 is the 608B is unconfirmed on silicon (U13). */
const models: Readonly<Record<number, string>> = { 2: 'ATECC608A', 3: 'ATECC608B' }

function requireUnlocked(config: Uint8Array, target: LockTarget): void {
  const locked =
    target.kind === 'config'
      ? isConfigLocked(config)
      : target.kind === 'data'
        ? isDataLocked(config)
        : rulesOf(config, requireSlot(target.slot)).isLocked
  if (locked) throw elementError('ERR_ELEMENT_LOCKED', `the ${target.kind} is locked already`)
  if (target.kind !== 'config' && !isConfigLocked(config)) {
    throw elementError(
      'ERR_ELEMENT_NOT_LOCKED',
      'the configuration is locked first',
      {},
      { hint: setupHint },
    )
  }
}

/**
 * Bytes at any offset. Where they fill a word of the chip in part, what stands beside them is read
 * and written back in one sequence: a write beside, at the same time, is not undone by it.
 */
async function writeData(
  chip: ChipSession,
  slot: number,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  const zone = { kind: 'data', slot } as const
  // Refuses a range that is not inside the slot, and a slot that is not read in clear.
  await readZone(chip, zone, offset, bytes.length)
  if (bytes.length === 0) return
  const end = offset + bytes.length
  const [firstWhole, lastWhole] = [Math.ceil(offset / 4) * 4, Math.floor(end / 4) * 4]
  const part = (from: number, to: number): Promise<void> =>
    writePart(chip, zone, from, bytes.subarray(from - offset, to - offset))
  if (firstWhole > lastWhole) return part(offset, end)
  if (offset < firstWhole) await part(offset, firstWhole)
  await writeZone(chip, zone, firstWhole, bytes.subarray(firstWhole - offset, lastWhole - offset))
  if (lastWhole < end) await part(lastWhole, end)
}

/** Less than a word. */
async function writePart(
  chip: ChipSession,
  zone: Zone,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  const start = offset - (offset % 4)
  await chip.sequence(async (line) => {
    const word = await readZone(line, zone, start, 4)
    word.set(bytes, offset - start)
    await writeZone(line, zone, start, word)
  })
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}
