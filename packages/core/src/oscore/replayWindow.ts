/**
 * OSCORE replay window (RFC 8613 §7.4, §3.2.2). Accepts each Partial IV of a sender once: `verify`
 * before the message is opened, `accept` after that has succeeded and before anything can wait.
 *
 * To outlive a crash (Appendix B.1.2) its caller writes a snapshot down together with what the
 * request caused. Two requests may be on their way to the store at once, so a snapshot holds all
 * that was accepted so far, not what one of them did: take it in the turn in which the write is
 * handed to a store that keeps the order of its writes, and it only grows. A store without that
 * order keeps what `mergeWindows` makes of the two. A crash between the writes then costs a request
 * whose number was written by its neighbour: it is refused when it comes again, and its sender
 * sends it under a new number. That is the safe side; no number is accepted twice.
 *
 * A window that was lost accepts nothing until a request has been proved fresh: see freshness.ts.
 */
import { oscoreError, useError } from './errors.ts'
import { sequenceNumberMax } from './partialIv.ts'

/** RFC 8613 §3.2.2. */
export const replayWindowSize = 32
const allAccepted = 0xffff_ffff

export interface WindowSnapshot {
  /** The highest number accepted; -1 before the first. */
  readonly highest: number
  /** 32 bits. Bit n: the number n below the highest was accepted. */
  readonly accepted: number
}

/** What is left of a window after a crash: it, or nothing. */
export type WindowState = WindowSnapshot | 'lost'

export class ReplayWindow {
  #highest: number
  #accepted: number
  #isLost: boolean
  #stored: WindowState

  /** A new one, for new keys alone, or one that was written down. */
  constructor(state: WindowState = { highest: -1, accepted: 0 }) {
    const { highest, accepted } = state === 'lost' ? { highest: -1, accepted: 0 } : state
    if (!isSnapshot({ highest, accepted })) {
      throw useError('ERR_OSCORE_PARAMETER', 'this is no snapshot of a replay window')
    }
    this.#highest = highest
    this.#accepted = accepted
    this.#isLost = state === 'lost'
    this.#stored = state
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /**
   * Throws PeerError ERR_OSCORE_REPLAY for what was accepted or is too old to tell, and
   * ERR_OSCORE_FRESHNESS for everything while the window is lost.
   */
  verify(number: number): void {
    if (this.#isLost) {
      throw oscoreError('ERR_OSCORE_FRESHNESS', 'the replay window of this context was lost')
    }
    this.#verifyNew(number)
  }

  accept(number: number): void {
    this.verify(number)
    this.#add(number)
  }

  /**
   * Of a lost window, before a request is opened that may show that it is fresh. A number gets one
   * chance: recorded requests that come again cost no second answer.
   */
  verifyUnproven(number: number): void {
    if (!this.#isLost) throw useError('ERR_OSCORE_PARAMETER', 'this replay window is not lost')
    this.#verifyNew(number)
  }

  /** The request has been opened, and was answered with a challenge. */
  challenge(number: number): void {
    this.verifyUnproven(number)
    this.#add(number)
  }

  /** The request is fresh: it is accepted, and what is newer can be (RFC 8613 Appendix B.1.2). */
  recover(number: number): void {
    this.verifyUnproven(number)
    this.#highest = number
    this.#accepted = allAccepted
    this.#isLost = false
  }

  /** What to write down. It holds everything that was accepted so far. */
  snapshot(): WindowState {
    return this.#isLost ? 'lost' : { highest: this.#highest, accepted: this.#accepted >>> 0 }
  }

  /** The caller has written it down where a crash does not reach it. */
  stored(state: WindowState): void {
    this.#stored = mergeWindows(this.#stored, state)
  }

  /** Whether the number stays refused, whenever the process ends. */
  isStored(number: number): boolean {
    return this.#stored !== 'lost' && refusal(this.#stored, number) !== undefined
  }

  #verifyNew(number: number): void {
    const what = refusal({ highest: this.#highest, accepted: this.#accepted }, number)
    if (what !== undefined) throw oscoreError('ERR_OSCORE_REPLAY', `Partial IV ${number} ${what}`)
  }

  #add(number: number): void {
    const age = this.#highest - number
    if (age >= 0) {
      this.#accepted |= 1 << age
      return
    }
    this.#accepted = shifted(this.#accepted, -age) | 1
    this.#highest = number
  }
}

/** All that one or the other has accepted, in either order; lost is less than anything. */
export function mergeWindows(one: WindowState, other: WindowState): WindowState {
  if (one === 'lost') return other
  if (other === 'lost') return one
  const highest = Math.max(one.highest, other.highest)
  const bitsOf = (each: WindowSnapshot): number => shifted(each.accepted, highest - each.highest)
  return { highest, accepted: (bitsOf(one) | bitsOf(other)) >>> 0 }
}

/** Whether `ReplayWindow.snapshot` can have made it. */
export function isSnapshot({ highest, accepted }: WindowSnapshot): boolean {
  if (!Number.isInteger(accepted) || accepted < 0 || accepted > allAccepted) return false
  if (highest === -1) return accepted === 0
  const isNumber = Number.isInteger(highest) && highest >= 0 && highest <= sequenceNumberMax
  return isNumber && (accepted & 1) === 1
}

/** Why a number is not taken; undefined when it is. */
function refusal({ highest, accepted }: WindowSnapshot, number: number): string | undefined {
  const age = highest - number
  if (age < 0) return undefined
  if (age >= replayWindowSize) return 'is below the replay window'
  return ((accepted >>> age) & 1) === 1 ? 'was already accepted' : undefined
}

/** A shift by 32 or more would leave the bits where they are. */
function shifted(bits: number, by: number): number {
  return by < replayWindowSize ? bits << by : 0
}
