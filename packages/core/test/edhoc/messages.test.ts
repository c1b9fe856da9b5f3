/** Parts of messages by their rules, and hostile bytes: flipped, cut, made longer. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { concat, fromHex, hex } from '@countersign/core/codec'
import { encodeByteIdentifier, encodeCredentialReference } from '@countersign/core/cose'
import {
  type ErrorMessage,
  edhocLimits,
  encodeEad,
  encodeError,
  encodeMessage1,
  encodeMessage2,
  encodePlaintext2,
  encodePlaintext3,
  encodeSealed,
  knownEad,
  methods,
  parseError,
  parseMessage1,
  parseMessage2,
  parseMessage3,
  parseMessage4,
  parsePlaintext2,
  parsePlaintext3,
  parsePlaintext4,
  suites,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { printed, traceOf } from './rfc9529.ts'

const [suite2, method0, method3] = [suites.get(2), methods.get(0), methods.get(3)]
assert.ok(suite2 && method0 && method3)

const trace = traceOf('rfc9529-3')
/** message_1 of the trace up to G_X, and its end. */
const start = hex(printed(trace, 'message_1')).slice(0, -2)
const withEnd = (end: string): Uint8Array => fromHex(start + end)

describe('identifiers', () => {
  test('one byte that is an integer travels as one, every other string as a string', () => {
    // RFC 9528 §3.3.2.
    for (const [identifier, encoded] of [
      ['', '40'],
      ['00', '00'],
      ['0e', '0e'],
      ['17', '17'],
      ['18', '4118'],
      ['1f', '411f'],
      ['20', '20'],
      ['2d', '2d'],
      ['37', '37'],
      ['38', '4138'],
      ['40', '4140'],
      ['ff', '41ff'],
      ['abcd', '42abcd'],
    ] as const) {
      assert.equal(hex(encodeByteIdentifier(fromHex(identifier))), encoded)
      assert.equal(hex(parseMessage1(withEnd(encoded)).cI), identifier)
    }
  })

  test('in no other form, and no longer than the limit', () => {
    for (const byte of Array.from({ length: 256 }, (_, value) => value)) {
      const isInteger = byte <= 0x17 || (byte >= 0x20 && byte <= 0x37)
      const end = `41${byte.toString(16).padStart(2, '0')}`
      if (isInteger) assert.throws(() => parseMessage1(withEnd(end)), { code: 'ERR_CBOR_VALUE' })
      else assert.equal(parseMessage1(withEnd(end)).cI[0], byte)
    }
    for (const end of ['1818', '3818', '190100', 'f6', '6131', '8100', 'a0', 'c000']) {
      assert.throws(() => parseMessage1(withEnd(end)), PeerError, end)
    }
    const { identifierBytesMax: max } = edhocLimits
    assert.equal(parseMessage1(withEnd(`5840${'aa'.repeat(max)}`)).cI.length, max)
    assert.throws(() => parseMessage1(withEnd(`5841${'aa'.repeat(max + 1)}`)), {
      code: 'ERR_CBOR_SIZE',
    })
  })

  test('a kid alone travels bare; beside another parameter, in its map', () => {
    for (const [idCred, onWire] of [
      ['a1044132', '32'],
      ['a1044118', '4118'],
      ['a10442abcd', '42abcd'],
      ['a1182282 2e48 79f2a41b510c1f9b', 'a11822822e4879f2a41b510c1f9b'],
      ['a20441321822822e4879f2a41b510c1f9b', 'a20441321822822e4879f2a41b510c1f9b'],
    ].map(([one = '', other = '']) => [one.replaceAll(' ', ''), other] as const)) {
      const bytes = fromHex(`${onWire}480943305c899f5c54`)
      const plaintext = parsePlaintext3(bytes, suite2, method3)
      assert.equal(hex(encodeCredentialReference(plaintext.reference)), idCred)
      assert.equal(hex(encodePlaintext3(plaintext)), hex(bytes))
    }
    for (const onWire of [
      'a0',
      'a1044132',
      'a10442abcd',
      'a10432',
      'a1182241ff',
      'a1182cf6',
      '4132',
      '1818',
      'f5',
      '6131',
    ]) {
      const bytes = fromHex(`${onWire}480943305c899f5c54`)
      assert.throws(() => parsePlaintext3(bytes, suite2, method3), PeerError, onWire)
    }
  })
})

describe('authorization data', () => {
  const items = [
    { label: 1, isCritical: true, value: fromHex('aabb') },
    { label: 0, isCritical: false, value: fromHex('000000') },
    { label: 0, isCritical: false, value: undefined },
    { label: 300, isCritical: false, value: undefined },
  ]
  const encoded = '2042aabb 00 43000000 00 19012c'.replaceAll(' ', '')

  test('a label with its sign, and a value or none', () => {
    assert.equal(hex(encodeEad(items)), encoded)
    assert.deepEqual(parseMessage1(withEnd(`37${encoded}`)).ead, items)
    assert.deepEqual(parsePlaintext4(fromHex(encoded)), items)
  })

  test('padding and what is unknown is passed over, a critical unknown item is not', () => {
    assert.deepEqual(knownEad(items, new Set([1])), items.slice(0, 1))
    assert.deepEqual(knownEad(items, new Set([1, 300])), [items[0], items[3]])
    assert.deepEqual(knownEad(items.slice(1), new Set()), [])
    assert.throws(() => knownEad(items, new Set([300])), { code: 'ERR_EDHOC_EAD' })
  })

  test('a value without a label, another kind of item, too many of them are refused', () => {
    for (const bad of ['40', '004040', '6161', 'f5', '80', '1a00010000', '3a00010000', '0041']) {
      assert.throws(() => parsePlaintext4(fromHex(bad)), PeerError, bad)
    }
    const { eadItemsMax } = edhocLimits
    assert.equal(parsePlaintext4(new Uint8Array(eadItemsMax)).length, eadItemsMax)
    assert.throws(() => parsePlaintext4(new Uint8Array(eadItemsMax + 1)), {
      code: 'ERR_EDHOC_MESSAGE',
    })
  })
})

describe('message_1', () => {
  const g = `5820${hex(printed(trace, 'G_X', 'Raw Value'))}`

  test('SUITES_I is an integer or an array of at least two, none of them twice', () => {
    for (const [suitesI, encoded] of [
      [[2], '02'],
      [[3, 2], '820302'],
      [[24, 25, -21, 2], '841818181934 02'.replace(' ', '')],
    ] as const) {
      const message1 = parseMessage1(fromHex(`03${encoded}${g}37`))
      assert.deepEqual(message1.suitesI, suitesI)
      assert.equal(hex(encodeMessage1(message1)), `03${encoded}${g}37`)
    }
    const many = Array.from({ length: edhocLimits.suitesMax + 1 }, (_, n) => 0x1820 + n)
    const tooMany = `98${many.length.toString(16)}${many.map((n) => n.toString(16)).join('')}`
    for (const bad of ['80', '8102', '820202', '8302', '4102', 'f6', tooMany]) {
      assert.throws(() => parseMessage1(fromHex(`03${bad}${g}37`)), PeerError, bad)
    }
  })

  test('a method that is not known is refused', () => {
    for (const method of ['04', '20', '1864', '37']) {
      assert.throws(() => parseMessage1(fromHex(`${method}02${g}37`)), { code: 'ERR_EDHOC_METHOD' })
    }
  })

  test('a key of an unknown suite has any length up to a limit', () => {
    // The responder answers with its suites; that it can, it has to read so far.
    assert.equal(parseMessage1(ofLength('590800', 2048)).gX.length, 2048)
    assert.throws(() => parseMessage1(ofLength('590801', 2049)), { code: 'ERR_CBOR_SIZE' })
  })

  test('an input beyond the limit of a message is refused unread', () => {
    const long = concat(printed(trace, 'message_1'), new Uint8Array(edhocLimits.messageBytesMax))
    assert.throws(() => parseMessage1(long), { code: 'ERR_CBOR_SIZE' })
  })
})

describe('errors', () => {
  const cases: readonly (readonly [ErrorMessage, string])[] = [
    [{ kind: 'unspecified', text: 'no' }, '01626e6f'],
    [{ kind: 'wrong suite', suitesR: [2] }, '0202'],
    [{ kind: 'wrong suite', suitesR: [2, 3] }, '02820203'],
    [{ kind: 'unknown credential' }, '03f5'],
  ]

  test('the three of the standard are read and written', () => {
    for (const [error, encoded] of cases) {
      assert.equal(hex(encodeError(error)), encoded)
      assert.deepEqual(parseError(fromHex(encoded)), error)
    }
  })

  test('one of another code is known to be one', () => {
    assert.deepEqual(parseError(fromHex('04f6')), { kind: 'other', code: 4 })
    assert.deepEqual(parseError(fromHex('2382016161')), { kind: 'other', code: -4 })
  })

  test('success is no error, and each code has its information', () => {
    const tooLong = `0179${(257).toString(16).padStart(4, '0')}${'61'.repeat(257)}`
    const bad = ['00f6', '01', '0102', '02', '0262', '028102', '03', '03f4', '03f6', '04', '03f500']
    for (const encoded of [...bad, tooLong]) {
      assert.throws(() => parseError(fromHex(encoded)), PeerError, encoded)
    }
  })
})

interface Vector {
  readonly id: string
  readonly method: number
  readonly suite: number
  readonly message_1: string
  readonly message_2: string
  readonly message_3: string
  readonly message_4: string
  readonly intermediate: { readonly PLAINTEXT_2: string; readonly PLAINTEXT_3: string }
}

const { vectors }: { vectors: readonly Vector[] } = JSON.parse(
  readFileSync(new URL('../../../../vectors/edhoc-x509.json', import.meta.url), 'utf8'),
)

/** Bytes of a message, and what reads them and writes again what was read. */
type Subject = readonly [name: string, bytes: Uint8Array, again: (bytes: Uint8Array) => Uint8Array]

function subjectsOf(vector: Vector): readonly Subject[] {
  const [suite, method] = [suites.get(vector.suite), methods.get(vector.method)]
  assert.ok(suite && method)
  const { PLAINTEXT_2, PLAINTEXT_3 } = vector.intermediate
  return [
    ['message_1', fromHex(vector.message_1), (b) => encodeMessage1(parseMessage1(b))],
    ['message_2', fromHex(vector.message_2), (b) => encodeMessage2(parseMessage2(b, suite))],
    ['message_3', fromHex(vector.message_3), (b) => encodeSealed(parseMessage3(b, suite))],
    ['message_4', fromHex(vector.message_4), (b) => encodeSealed(parseMessage4(b, suite))],
    [
      'PLAINTEXT_2',
      fromHex(PLAINTEXT_2),
      (b) => encodePlaintext2(parsePlaintext2(b, suite, method)),
    ],
    [
      'PLAINTEXT_3',
      fromHex(PLAINTEXT_3),
      (b) => encodePlaintext3(parsePlaintext3(b, suite, method)),
    ],
  ]
}

describe('messages with certificates', () => {
  test('every message of every vector is read, and written again as it was', () => {
    assert.equal(vectors.length, 20)
    for (const vector of vectors) {
      for (const [name, bytes, again] of subjectsOf(vector)) {
        assert.equal(hex(again(bytes)), hex(bytes), `${vector.id} ${name}`)
      }
    }
  })

  for (const vector of vectors.filter(({ message_2: { length } }) => length < 600)) {
    test(`${vector.id}: with a bit changed it is refused, or it is what it then says`, () => {
      for (const [name, bytes, again] of subjectsOf(vector)) {
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const flipped = bytes.slice()
          flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          const written = orRefused(() => again(flipped))
          // No two encodings mean the same: the transcript could not tell them apart.
          if (written !== undefined) assert.equal(hex(written), hex(flipped), `${name}, bit ${bit}`)
        }
      }
    })

    test(`${vector.id}: cut anywhere or made longer it is refused`, () => {
      for (const [name, bytes, again] of subjectsOf(vector)) {
        for (let length = 0; length < bytes.length; length++) {
          assert.throws(() => again(bytes.subarray(0, length)), PeerError, `${name} ${length}`)
        }
        // A string where a label stands, or anything behind the one string that a message is.
        for (const more of ['40', 'f6', '80']) {
          assert.throws(() => again(concat(bytes, fromHex(more))), PeerError, `${name} ${more}`)
        }
      }
    })
  }
})

function orRefused(read: () => Uint8Array): Uint8Array | undefined {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof PeerError, String(error))
    return undefined
  }
}

/** message_1 of suite -21 with a key of this length. */
function ofLength(head: string, length: number): Uint8Array {
  return fromHex(`0334${head}${'ab'.repeat(length)}37`)
}
