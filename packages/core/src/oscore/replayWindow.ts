/**
 * OSCORE replay window (RFC 8613 §7.4, §3.2.2). Accepts each Partial IV of a sender once: `verify`
 * before the message is opened, `accept` after that has succeeded and before anything can wait.
 * Persistence across restarts is the caller's.
 */
import { oscoreError } from './errors.ts'

/** RFC 8613 §3.2.2. */
export const replayWindowSize = 32

export class ReplayWindow {
  /** The highest number accepted. */
  #highest = -1
  /** Bit n: the number n below the highest was accepted. */
  #accepted = 0

  /** Throws PeerError ERR_OSCORE_REPLAY for what was accepted, or is too old to tell. */
  verify(number: number): void {
    const age = this.#highest - number
    if (age < 0) return
    if (age >= replayWindowSize) throw replay(number, 'is below the replay window')
    if (((this.#accepted >>> age) & 1) === 1) throw replay(number, 'was already accepted')
  }

  accept(number: number): void {
    this.verify(number)
    const age = this.#highest - number
    if (age >= 0) {
      this.#accepted |= 1 << age
      return
    }
    // A shift by 32 or more would leave the bits where they are.
    this.#accepted = -age < replayWindowSize ? (this.#accepted << -age) | 1 : 1
    this.#highest = number
  }
}

function replay(number: number, what: string): Error {
  return oscoreError('ERR_OSCORE_REPLAY', `Partial IV ${number} ${what}`)
}
