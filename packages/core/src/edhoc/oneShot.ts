/** A state of a handshake: used once, and what it gives birth to goes on. */
import { InvariantError } from '../errors.ts'

export abstract class OneShot {
  #isSpent = false

  /**
   * First thing in each step, before anything can await. A message that was made twice would differ
   * in its signature and use a key and an IV twice: what was made is stored and sent again.
   */
  protected spend(): void {
    if (this.#isSpent) {
      throw new InvariantError('ERR_EDHOC_SPENT', `${this.constructor.name} was used before`)
    }
    this.#isSpent = true
  }
}
