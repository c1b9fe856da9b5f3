/** One message of a handshake that a script prescribes, given to a side that waits for it. */
import {
  type ComposeMessage3,
  encodeMessage2,
  Initiator,
  Prk2e,
  peerShare,
  Responder,
  type TrustedCredential,
  th2,
  type WaitMessage2,
  type WaitMessage3,
} from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type Script, scriptOf } from './parties.ts'
import { keyOf, printed, traceOf } from './rfc9529.ts'

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

/** message_2 is read, and the responder is one of these. */
export async function accepted(
  wait2: WaitMessage2,
  message2: Uint8Array,
  ...trusted: readonly TrustedCredential[]
): Promise<ComposeMessage3> {
  const judge = await wait2.receive(message2)
  return await judge.accept(...trusted)
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
  const judge = await wait2.receive(number === 2 ? bytes : message2)
  const compose3 = await judge.accept(script.R.trusted)
  if (number !== 4) return
  const { next } = await compose3.send()
  next.receive(bytes)
}

/** message_2 of the second trace with another plaintext, as a responder with its keys writes it. */
export function withPlaintext2(plaintext2: Uint8Array): Uint8Array {
  const trace = traceOf('rfc9529-3')
  const { suite } = scriptOf('rfc9529-3')
  const [gX, gY] = [printed(trace, 'G_X', 'Raw Value'), printed(trace, 'G_Y', 'Raw Value')]
  const gXY = keyOf(trace, 'Y').agree(peerShare(nodeCrypto, suite, gX))
  const hash2 = th2(nodeCrypto, suite, gY, printed(trace, 'message_1'))
  const prk2e = Prk2e.from(nodeCrypto, suite, hash2, gXY)
  return encodeMessage2({ gY, ciphertext2: prk2e.cipher(plaintext2) })
}
