/** What a token answers, as values of ours: return values, points, serial numbers, its pace. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pointOf } from '../../src/drivers/pkcs11/keys.ts'
import { Pace } from '../../src/drivers/pkcs11/pace.ts'
import { CryptokiError, codeOf, nameOf, translated } from '../../src/drivers/pkcs11/returnValues.ts'
import { serialOf } from '../../src/drivers/pkcs11/serial.ts'
import { skip } from './softhsm.ts'

/** The base point of P-256 (SEC 2 §2.4.2), uncompressed. */
const bare = Buffer.from(
  '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
  'hex',
)
const wrapped = Buffer.concat([Buffer.from('0441', 'hex'), bare])

suite('return values', () => {
  test('every one that pkcs11js knows is in the table, by name and number', { skip }, async () => {
    const library: Readonly<Record<string, unknown>> = (await import('pkcs11js')).default
    const known = Object.entries(library).filter(([name]) => name.startsWith('CKR_'))
    assert.ok(known.length > 80)
    for (const [name, value] of known) assert.equal(nameOf(Number(value)), name)
  })

  test('what a vendor defined is an answer that we do not know', () => {
    for (const value of [0x8000_0000, 0x8000_0001, 0xffff_ffff, 0x204, 0x999]) {
      assert.equal(codeOf(value), 'ERR_ELEMENT_PARSE')
      assert.match(nameOf(value), /^CKR_0x[0-9a-f]{8}$/)
    }
  })

  test('an error names the call and the value, and where', () => {
    const told = translated(new CryptokiError('C_Sign', 0x32), 'pkcs11:token=dev')
    assert.ok(told instanceof Error)
    assert.equal(told.message, 'the token answered CKR_DEVICE_REMOVED to C_Sign')
    assert.equal((told as Error & { where: string }).where, 'pkcs11:token=dev')
    const other = new TypeError('ours')
    assert.equal(translated(other, 'x'), other)
  })
})

suite('CKA_EC_POINT', () => {
  test('is taken as an OCTET STRING and bare', () => {
    assert.deepEqual(Buffer.from(pointOf(wrapped, 'P-256') ?? []), bare.subarray(1))
    assert.deepEqual(Buffer.from(pointOf(bare, 'P-256') ?? []), bare.subarray(1))
  })

  test('with a bit flipped, cut, longer or of another curve is refused', () => {
    for (const value of [wrapped, bare]) {
      for (let bit = 0; bit < value.length * 8; bit++) {
        const bent = Buffer.from(value)
        bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.equal(pointOf(bent, 'P-256'), undefined, `bit ${bit}`)
      }
      assert.equal(pointOf(Buffer.concat([value, Buffer.of(0)]), 'P-256'), undefined)
      assert.equal(pointOf(value, 'P-384'), undefined)
    }
    for (let length = 0; length < wrapped.length; length++) {
      if (length === bare.length) continue
      assert.equal(pointOf(wrapped.subarray(0, length), 'P-256'), undefined)
    }
    assert.equal(pointOf(wrapped.subarray(0, bare.length), 'P-256'), undefined)
    assert.equal(pointOf(undefined, 'P-256'), undefined)
  })
})

suite('serial numbers of tokens', () => {
  test('hex stays, in lower case, and another text becomes hex', () => {
    assert.equal(serialOf('BE3083365B6F398E'), 'be3083365b6f398e')
    assert.equal(serialOf('DENK0104001'), '44454e4b30313034303031')
    assert.equal(serialOf('123'), '313233')
    assert.equal(serialOf(''), '')
  })
})

function paceOf(...times: number[]): Pace {
  const pace = new Pace()
  for (const time of times) pace.took(time)
  return pace
}

suite('the pace of a token', () => {
  test('is not known before four signatures', () => {
    assert.equal(paceOf(0.1, 0.1, 0.1).state, 'unknown')
    assert.equal(paceOf(0.1, 0.1, 0.1, 0.1).state, 'direct')
  })

  test('is judged by the best of them: the first one pays for more than the token', () => {
    assert.equal(paceOf(30, 9, 0.2, 12).state, 'direct')
    assert.equal(paceOf(6, 5, 4, 4).state, 'pooled')
  })

  test('a pause now and then changes nothing, slow calls in a row do, and for good', () => {
    const pace = paceOf(0.1, 0.1, 0.1, 0.1)
    for (let turn = 0; turn < 1000; turn++) pace.took(turn % 20 === 0 ? 8 : 0.05)
    assert.equal(pace.state, 'direct')
    for (let turn = 0; turn < 4; turn++) pace.took(5)
    assert.equal(pace.state, 'pooled')
    for (let turn = 0; turn < 1000; turn++) pace.took(0.01)
    assert.equal(pace.state, 'pooled')
  })
})
