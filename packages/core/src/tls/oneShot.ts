/** A state of a handshake: used once, and what it gives birth to goes on. */
import { InvariantError } from '../errors.ts'

export abstract class OneShot {
  #isSpent = false

  /** First thing in each step, before anything can await: no second caller. */
  protected spend(): void {
    if (this.#isSpent) {
      throw new InvariantError('ERR_TLS_SPENT', `${this.constructor.name} was used before`)
    }
    this.#isSpent = true
  }
}
