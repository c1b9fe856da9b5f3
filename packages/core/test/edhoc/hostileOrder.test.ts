/** Messages of another handshake, of another place in this one, and of this side itself. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { Initiator, Responder } from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { type Script, scriptOf } from './parties.ts'
import { accepted, numbers, take, underway } from './stages.ts'

const scripts = [
  'rfc9529-3',
  'm1-s0-x25519',
  ...[0, 1, 2, 3].map((method) => `m${method}-s2-x5t-c-14`),
].map((id) => scriptOf(id))

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof PeerError && error.code === code

for (const script of scripts)
  describe(script.id, () => {
    const messages = script.messages.map((text) => fromHex(text))

    test('a message in the place of another is refused, as are the ones that a side wrote itself', async () => {
      // A side's own message in the place of the next one is a reflection.
      for (const place of numbers)
        for (const number of numbers) {
          const message = messages[number - 1] ?? assert.fail()
          const given = take(script, place, message)
          if (number === place) await given
          else await assert.rejects(given, PeerError, `message_${number} as message_${place}`)
        }
    })

    test('a replayed message_1 gets an answer, and the message_3 of before is not taken', async () => {
      const [first, second] = [await underway(drawn(script)), await underway(drawn(script))]
      const again = await underway(drawn(script), first.message1)
      const compose3 = await accepted(first.wait2, first.message2, script.R.trusted)
      const { message3 } = await compose3.send()
      first.wait3.receive(message3).accept(script.I.trusted)
      assert.notEqual(hex(again.message2), hex(first.message2))
      for (const { wait3 } of [again, second]) {
        assert.throws(() => wait3.receive(message3), hasCode('ERR_AEAD_OPEN'))
      }
    })

    test('a message_2 that answers another message_1 is refused', async () => {
      const [first, second] = [await underway(drawn(script)), await underway(drawn(script))]
      const replayed = accepted(second.wait2, first.message2, script.R.trusted)
      await assert.rejects(replayed, PeerError)
    })

    test('a message_4 of another handshake is refused', async () => {
      const found = await Promise.all([finished(drawn(script)), finished(drawn(script))])
      const [first, second] = found
      assert.throws(() => second.next.receive(first.message4), hasCode('ERR_AEAD_OPEN'))
      first.next.receive(first.message4)
    })

    test('a device that is led to itself goes on in neither role', async () => {
      // Somebody carries its own messages back to it, and it is a responder too.
      const { initiator, I, R } = script
      const { next } = new Initiator(initiator).send()
      const itself = { ...R.trusted, credential: I.own.credential }
      const judgeR = await next.receive(messages[1] ?? assert.fail())
      await assert.rejects(judgeR.accept(itself), hasCode('ERR_EDHOC_CREDENTIAL'))

      const { wait3 } = await underway(script)
      const judgeI = wait3.receive(messages[2] ?? assert.fail())
      const same = { ...I.trusted, credential: R.own.credential }
      assert.throws(() => judgeI.accept(same), hasCode('ERR_EDHOC_CREDENTIAL'))
    })
  })

/** With ephemeral keys of its own each time. */
function drawn(script: Script): Script {
  const { ephemeral: _, ...initiator } = script.initiator
  const { ephemeral: __, ...responder } = script.responder
  return { ...script, initiator, responder }
}

async function finished(script: Script) {
  const { wait2, message2, wait3 } = await underway(script)
  const compose3 = await accepted(wait2, message2, script.R.trusted)
  const { message3, next } = await compose3.send()
  return { next, message4: wait3.receive(message3).accept(script.I.trusted).message4() }
}

test('an error message in the place of a message ends the handshake, and is not one elsewhere', async () => {
  const script = scriptOf('m0-s2-x5t-c-14')
  for (const error of ['01626e6f', '0202', '03f5', '04f6']) {
    const { next } = new Initiator(script.initiator).send()
    await assert.rejects(next.receive(fromHex(error)), hasCode('ERR_EDHOC_PEER'))
    assert.throws(() => new Responder(script.responder).receive(fromHex(error)), PeerError)
  }
})
