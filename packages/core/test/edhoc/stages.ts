/** One message of a handshake that a script prescribes, given to a side that waits for it. */
import { Initiator, Responder, type WaitMessage2, type WaitMessage3 } from '@countersign/core/edhoc'
import type { Script } from './parties.ts'

export type Number = 1 | 2 | 3 | 4
export const numbers: readonly Number[] = [1, 2, 3, 4]

interface Underway {
  readonly message1: Uint8Array
  readonly wait2: WaitMessage2
  readonly message2: Uint8Array
  readonly wait3: WaitMessage3
}

/** Both sides behind message_2, which the initiator has not read; it was an answer to this one. */
export async function underway(script: Script, message1?: Uint8Array): Promise<Underway> {
  const sent = new Initiator(script.initiator).send()
  const compose2 = new Responder(script.responder).receive(message1 ?? sent.message1)
  const { message2, next } = await compose2.send({ own: script.R.own, cR: script.cR })
  return { message1: sent.message1, wait2: sent.next, message2, wait3: next }
}

/**
 * Rejects unless the message is taken. Of message_1 that shows with message_2: a responder answers
 * what anybody may have written, and the initiator knows what it wrote.
 */
export async function take(script: Script, number: Number, bytes: Uint8Array): Promise<void> {
  const { wait2, message2, wait3 } = await underway(script, number === 1 ? bytes : undefined)
  if (number === 3) {
    wait3.receive(bytes).accept(script.I.trusted)
    return
  }
  const judge = wait2.receive(number === 2 ? bytes : message2)
  const compose3 = judge.accept(script.R.trusted)
  if (number !== 4) return
  const { next } = await compose3.send()
  next.receive(bytes)
}
