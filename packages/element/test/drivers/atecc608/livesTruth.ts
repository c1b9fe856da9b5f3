/**
 * What is true in the part at each moment of a life, read from its cells and not from its answers;
 * and whether each change of it was asked for by an act that was under way.
 */
import { createECDH } from 'node:crypto'
import type { Eeprom } from '../../../src/emulators/atecc608/eeprom.ts'
import type { Act } from './livesActs.ts'
import { hexOf } from './scripted.ts'

export const keySlots = [0, 1, 2, 3, 4] as const
const counterBytes = [52, 60] as const

interface Version {
  readonly slots: readonly Uint8Array[]
  /** Steps of each counter: one for every time that its cells changed. */
  readonly counts: readonly [number, number]
}

/** An act between its begin and its end. */
export interface Flight {
  readonly act: Act
  /** The first version that it can have seen. */
  readonly from: number
  readonly drawnFrom: number
  /** The last version that it can have made; undefined while it is under way. */
  until: number | undefined
  /** The key or the step that is put down to it. */
  made: Change | undefined
}

/** A key that was made, or a step of a counter: of one act and no other. */
interface Change {
  readonly version: number
  by: Flight
  /** The act has said that it was its own. */
  isClaimed: boolean
}

export class Truth {
  /** Changes that nobody asked for. */
  readonly wrongs: string[] = []
  readonly #eeprom: Eeprom
  readonly #versions: Version[]
  readonly #flights = new Set<Flight>()
  readonly #changes: Change[] = []
  /** Over, and nothing is put down to them; with a lost answer they may still have made something. */
  readonly #idle: Flight[] = []
  readonly #drawn: string[] = []
  #config: Uint8Array

  constructor(eeprom: Eeprom) {
    this.#eeprom = eeprom
    this.#config = eeprom.read('config', 0, 128)
    this.#versions = [{ slots: this.#slots(), counts: [0, 0] }]
  }

  begin(act: Act): Flight {
    const flight: Flight = {
      act,
      from: this.#last,
      drawnFrom: this.#drawn.length,
      until: undefined,
      made: undefined,
    }
    this.#flights.add(flight)
    return flight
  }

  end(flight: Flight): void {
    this.#flights.delete(flight)
    flight.until = this.#last
    if (flight.made === undefined) this.#idle.push(flight)
  }

  /** The versions that an act can have seen, oldest first. */
  seenBy({ from }: Flight): readonly Version[] {
    return this.#versions.slice(from)
  }

  /**
   * The value that an act answered is that of a change of its own. Of two that were under way, the
   * one to which a change was put down need not be the one that made it.
   */
  claim(flight: Flight, isIt: (version: Version) => boolean): boolean {
    const found = this.#changes.find(
      ({ version, by, isClaimed }) =>
        version > flight.from &&
        !isClaimed &&
        isSame(by.act, flight.act) &&
        isIt(this.#at(version)),
    )
    if (found === undefined) return false
    const { by } = found
    by.made = flight.made
    if (by.made !== undefined) by.made.by = by
    flight.made = found
    found.by = flight
    found.isClaimed = true
    return true
  }

  #at(nth: number): Version {
    const version = this.#versions[nth]
    if (version === undefined) throw new RangeError(`no version ${nth}`)
    return version
  }

  get now(): Version {
    return this.#at(this.#last)
  }

  drew(bytes: Uint8Array): Uint8Array {
    this.#drawn.push(hexOf(bytes))
    return bytes
  }

  /** What the generator gave since the act began. */
  drawnFor({ drawnFrom }: Flight): readonly string[] {
    return this.#drawn.slice(drawnFrom)
  }

  /** A command has written. */
  changed(): void {
    const before = this.now
    const config = this.#eeprom.read('config', 0, 128)
    const isNew = (from: number, to: number): boolean =>
      hexOf(config.subarray(from, to)) !== hexOf(this.#config.subarray(from, to))
    const stepped = counterBytes.map((at) => isNew(at, at + 8))
    if (isNew(0, 52) || isNew(68, 128)) this.wrongs.push('the configuration changed')
    this.#config = config
    const [first, second] = before.counts
    const counts = [first + Number(stepped[0]), second + Number(stepped[1])] as const
    this.#versions.push({ slots: this.#slots(), counts })
    stepped.forEach((isStep, counter) => isStep && this.#explainStep(counter))
    this.now.slots.forEach((_, slot) => this.#explainSlot(before, slot))
  }

  get #last(): number {
    return this.#versions.length - 1
  }

  #slots(): Uint8Array[] {
    return Array.from({ length: 16 }, (_, slot) => {
      const length = slot < 8 ? 36 : slot === 8 ? 416 : 72
      return this.#eeprom.read(slot, 0, length)
    })
  }

  #explainStep(counter: number): void {
    this.#make(
      `counter ${counter} went up`,
      ({ act }) => act.kind === 'increment' && act.counter === counter,
    )
  }

  #explainSlot(before: Version, slot: number): void {
    const [old, now] = [cellsOf(before, slot), cellsOf(this.now, slot)]
    if (hexOf(old) === hexOf(now)) return
    if (keySlots.some((key) => key === slot)) {
      return this.#make(
        `the key of slot ${slot} changed`,
        ({ act }) => act.kind === 'generateKey' && act.slot === slot,
      )
    }
    const isWritten = [...this.#flights].some(
      ({ act }) =>
        act.kind === 'write' &&
        act.slot === slot &&
        now.every((byte, at) => byte === old[at] || byte === act.bytes[at - act.offset]),
    )
    if (!isWritten) this.wrongs.push(`the data of slot ${slot} changed, as nobody had asked`)
  }

  #make(what: string, explains: (flight: Flight) => boolean): void {
    const able = [...this.#flights].filter(explains)
    const flight = able.find((each) => each.made === undefined || this.#handsOn(each))
    if (flight === undefined) {
      this.wrongs.push(`${what}, and nobody had asked for it`)
      return
    }
    flight.made = { version: this.#last, by: flight, isClaimed: false }
    this.#changes.push(flight.made)
  }

  /** What was put down to this flight can have been made by one that is over: then it is free. */
  #handsOn(flight: Flight): boolean {
    const { made } = flight
    if (made === undefined || made.isClaimed) return false
    const other = this.#idle.find(
      ({ act, from, until = 0, made: its }) =>
        its === undefined &&
        isSame(act, flight.act) &&
        from < made.version &&
        made.version <= until,
    )
    if (other === undefined) return false
    other.made = made
    made.by = other
    return true
  }
}

function isSame(a: Act, b: Act): boolean {
  if (a.kind === 'increment') return b.kind === a.kind && b.counter === a.counter
  return a.kind === 'generateKey' && b.kind === a.kind && b.slot === a.slot
}

export function cellsOf({ slots }: Version, slot: number): Uint8Array {
  const cells = slots[slot]
  if (cells === undefined) throw new RangeError(`no slot ${slot}`)
  return cells
}

const publicKeys = new Map<string, Uint8Array | undefined>()

/** X || Y of the private key in the slot: four bytes of padding, then the scalar. */
export function publicKeyIn(version: Version, slot: number): Uint8Array | undefined {
  const cells = hexOf(cellsOf(version, slot).subarray(4, 36))
  if (!publicKeys.has(cells)) {
    if (publicKeys.size > 500) publicKeys.clear()
    publicKeys.set(cells, pointOf(cells))
  }
  return publicKeys.get(cells)
}

function pointOf(scalar: string): Uint8Array | undefined {
  const pair = createECDH('prime256v1')
  try {
    pair.setPrivateKey(Buffer.from(scalar, 'hex'))
    return new Uint8Array(pair.getPublicKey().subarray(1))
  } catch {
    // No scalar of P-256: the slot is empty.
    return undefined
  }
}
