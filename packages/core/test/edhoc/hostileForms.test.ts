/**
 * Each message cut, made longer, or written in another form of CBOR, given to a side that waits for
 * it; and the same of what the messages carry inside.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { concat, fromHex, hex } from '@countersign/core/codec'
import {
  parseError,
  parsePlaintext2,
  parsePlaintext3,
  parsePlaintext4,
} from '@countersign/core/edhoc'
import { CallerError, PeerError } from '@countersign/core/errors'
import { flips } from '../cose/examples.ts'
import { otherForms } from './cborForms.ts'
import { type Script, scriptOf } from './parties.ts'
import { numbers, take } from './stages.ts'

/** Every method, SUITES_I as an array, certificates by value, and X25519. */
const scripts = [
  'rfc9529-3',
  'm0-s0-x5t-c-14',
  ...[0, 1, 2, 3].map((method) => `m${method}-s2-x5t-c-14`),
  'm1-s3-x5chain1-c5',
].map((id) => scriptOf(id))

for (const script of scripts)
  describe(script.id, () => {
    for (const number of numbers) {
      const sound = fromHex(script.messages[number - 1] ?? '')

      test(`message_${number} is taken as it is, and in no other form of CBOR`, async () => {
        await take(script, number, sound)
        let tried = 0
        for (const [what, bytes] of otherForms(sound)) {
          await refused(script, number, bytes, what)
          tried++
        }
        assert.ok(tried >= (number === 1 ? 14 : 3), `${tried} forms`)
      })

      test(`message_${number} that was cut anywhere is refused`, async () => {
        for (let length = 0; length < sound.length; length++) {
          await refused(script, number, sound.subarray(0, length), `${length} bytes`)
        }
      })

      test(`message_${number} with something in front or behind is refused`, async () => {
        // Padding, labels of both signs, strings, containers, values, itself, what CoAP has there.
        for (const more of [
          '00',
          '07',
          '20',
          '40',
          '60',
          '80',
          'a0',
          'f5',
          'f6',
          'ff',
          hex(sound),
        ]) {
          await refused(script, number, concat(sound, fromHex(more)), `${more} behind it`)
          await refused(script, number, concat(fromHex(more), sound), `${more} in front`)
        }
      })
    }
  })

async function refused(
  script: Script,
  number: (typeof numbers)[number],
  bytes: Uint8Array,
  what: string,
): Promise<void> {
  await assert.rejects(take(script, number, bytes), PeerError, `message_${number}, ${what}`)
}

describe('with X25519, as with P-256 in hostile.test.ts', () => {
  for (const id of ['m0-s0-x5t-c-14', 'm1-s0-x25519', 'm2-s0-x25519'])
    test(`${id}: no message with any bit changed is taken`, async () => {
      const script = scriptOf(id)
      for (const number of numbers) {
        let bit = 0
        for (const flipped of flips(fromHex(script.messages[number - 1] ?? ''))) {
          await assert.rejects(take(script, number, flipped), onlyTheirs, `bit ${bit++}`)
        }
      }
    })
})

/** Or a C_I that became our C_R, which is for the responder's application to choose otherwise. */
function onlyTheirs(error: unknown): boolean {
  const isIdentifier = error instanceof CallerError && error.code === 'ERR_EDHOC_IDENTIFIER'
  return error instanceof PeerError || isIdentifier
}

describe('inside of a message', () => {
  for (const script of scripts)
    test(`${script.id}: the plaintexts have one form of CBOR`, () => {
      const { suite, method } = script
      for (const [bytes, parse] of [
        [script.plaintexts[0], (one: Uint8Array) => parsePlaintext2(one, suite, method)],
        [script.plaintexts[1], (one: Uint8Array) => parsePlaintext3(one, suite, method)],
      ] as const) {
        parse(fromHex(bytes))
        for (const [what, other] of otherForms(fromHex(bytes))) {
          assert.throws(() => parse(other), PeerError, what)
        }
      }
    })

  test('authorization data and errors have one form of CBOR', () => {
    for (const ead of ['2042aabb', '00', '0043000000', '19012c', '1980005818' + '00'.repeat(24)]) {
      parsePlaintext4(fromHex(ead))
      for (const [what, other] of otherForms(fromHex(ead))) {
        assert.throws(() => parsePlaintext4(other), PeerError, `${ead}, ${what}`)
      }
    }
    for (const error of ['01626e6f', '0202', '02820203', '03f5', '04f6']) {
      parseError(fromHex(error))
      for (const [what, other] of otherForms(fromHex(error))) {
        assert.throws(() => parseError(other), PeerError, `${error}, ${what}`)
      }
    }
  })
})
