/**
 * Fuzzes both sides of EDHOC: a message is given to a side that waits for it, and nothing but the
 * message of this handshake is taken. `node fuzz/edhocSides.ts --seconds N --seed S`
 *
 * The first byte of an input says which message the rest stands for, the second in which handshake.
 */
import { concat, equalBytes, fromHex } from '@countersign/core/codec'
import { CallerError, PeerError } from '@countersign/core/errors'
import { type Script, scriptOf } from '../packages/core/test/edhoc/parties.ts'
import { type Number, numbers, take } from '../packages/core/test/edhoc/stages.ts'
import { fuzzAsync } from './fuzz.ts'

/** Every method, certificates by reference and by value, claims sets by kid, both curves. */
const scripts = [
  'rfc9529-2',
  'rfc9529-3',
  ...[0, 1, 2, 3].map((method) => `m${method}-s2-x5t-c-14`),
  'm0-s3-x5chain1-c5',
  'm1-s0-x25519',
].map((id) => scriptOf(id))

const corpus = scripts.flatMap((script, at) =>
  numbers.map((number) => concat(Uint8Array.of(number - 1, at), messageOf(script, number))),
)
// Errors stand where message_2 and message_4 do.
for (const error of ['01626e6f', '0202', '03f5']) corpus.push(fromHex(`0102${error}`))

await fuzzAsync('edhocSides', corpus, async (input) => {
  const [first = 0, second = 0] = input
  const number = numbers[first % numbers.length] ?? 1
  const script = scripts[second % scripts.length]
  if (script === undefined) throw new Error('no script')
  const message = input.subarray(2)
  await takeOrRefuse(script, number, message)
  if (!equalBytes(message, messageOf(script, number))) throw new Error('another message was taken')
})

async function takeOrRefuse(script: Script, number: Number, message: Uint8Array): Promise<void> {
  try {
    await take(script, number, message)
  } catch (error) {
    if (!(error instanceof CallerError) || error.code !== 'ERR_EDHOC_IDENTIFIER') throw error
    // C_I became the C_R of the script: an application would have chosen another one.
    throw new PeerError(error.code, error.message)
  }
}

function messageOf({ messages }: Script, number: Number): Uint8Array {
  return fromHex(messages[number - 1] ?? '')
}
