/**
 * KDF from the driver to the emulated ATECC608: each algorithm with each source and each target,
 * judged by OpenSSL (through Node). What stays inside is made visible by one more derivation of it.
 */
import assert from 'node:assert/strict'
import { createCipheriv, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { type KdfInput, type KdfSource, kdf } from '../../../src/drivers/atecc608/agree.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import type { CommandLine } from '../../../src/drivers/atecc608/session.ts'
import { memory, type Setup } from '../../emulators/atecc608/packets.ts'
import { onEmulator } from './onEmulator.ts'
import { of } from './recorder.ts'
import { bytes, hexOf } from './scripted.ts'

const refused = { code: 'ERR_ELEMENT_POLICY' }
const ioKey = of('66', 32)

const setup: Setup = {
  slots: {
    4: ['8f80', '1c00'],
    5: ['8f80', '1800'], // of AES
    6: ['8f80', '1c00'], // the I/O protection key
    7: ['8f80', '1c00'], // takes what is derived
    9: ['8f80', '1c00'],
  },
  data: { 4: '44'.repeat(32), 5: '55'.repeat(32), 6: '66'.repeat(32), 9: '99'.repeat(32) },
  config: { 72: '03', 73: 'abcd', 90: '0660' },
}

const hmac = (key: Uint8Array, message: Uint8Array): Uint8Array =>
  createHmac('sha256', key).update(message).digest()

/** RFC 5246 §5. */
function prf(key: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  let a = hmac(key, seed)
  let out = hmac(key, Buffer.concat([a, seed]))
  if (length > 32) {
    a = hmac(key, a)
    out = Buffer.concat([out, hmac(key, Buffer.concat([a, seed]))])
  }
  return out
}

/** The key of 32 bytes of each source, and how it comes there. */
const sources: Readonly<
  Record<KdfSource, { key: Uint8Array; load: (l: CommandLine) => Promise<void> }>
> = {
  tempKey: { key: of('1a', 32), load: (line) => keys.loadNonce(line, bytes(both)) },
  upperTempKey: { key: of('1b', 32), load: (line) => keys.loadNonce(line, bytes(both)) },
  slot: { key: of('44', 32), load: async () => undefined },
  alternateKey: {
    key: of('1c', 32),
    load: (line) => keys.loadNonce(line, of('1c', 32), 'alternateKey'),
  },
}
const both = '1a'.repeat(32) + '1b'.repeat(32)
const sourceNames: readonly KdfSource[] = ['tempKey', 'upperTempKey', 'slot', 'alternateKey']

const message = Buffer.from('label and seed')
/** HKDF: the message stands in the input. PRF: 32 bytes of key. */
const hkdf = { algorithm: 'hkdf', details: 0x02, message } as const
const prf32 = { algorithm: 'prf', details: 0x01, message } as const

const derivations = [
  { name: 'HKDF', input: hkdf, expected: (key: Uint8Array) => hmac(key, message) },
  { name: 'PRF', input: prf32, expected: (key: Uint8Array) => prf(key, message, 32) },
] as const

for (const { name, input, expected } of derivations) {
  test(`${name} from each source, to the bus in clear and masked`, async () => {
    const { chip } = await onEmulator(memory(setup))
    for (const source of sourceNames) {
      const { key, load } = sources[source]
      const whole = { ...input, source, sourceSlot: 4, target: 'output' } as const
      for (const more of [{}, { ioKey }]) {
        const answer = await chip.sequence(async (line) => {
          await load(line)
          return kdf(line, { ...whole, ...more })
        })
        assert.equal(hexOf(answer), hexOf(expected(key)), `${source} ${Object.keys(more).join()}`)
      }
    }
  })

  test(`${name} into each target inside, and from there on`, async () => {
    const { chip, eeprom } = await onEmulator(memory(setup))
    for (const target of ['tempKey', 'upperTempKey', 'alternateKey', 'slot'] as const) {
      const answer = await chip.sequence(async (line) => {
        await sources.tempKey.load(line)
        const into = { ...input, source: 'slot', sourceSlot: 4, target, targetSlot: 7 } as const
        assert.equal((await kdf(line, into)).length, 0, 'the bus sees nothing')
        const from: KdfInput = { ...hkdf, source: target, sourceSlot: 7, target: 'output' }
        return kdf(line, from)
      })
      const inside = expected(of('44', 32))
      assert.equal(hexOf(answer), hexOf(hmac(inside, message)), target)
      if (target === 'slot') assert.equal(hexOf(eeprom.read(7, 0, 32)), hexOf(inside))
    }
  })
}

test('PRF gives 64 bytes where they have room, and masks both halves', async () => {
  const { chip, eeprom } = await onEmulator(memory(setup))
  const long = { algorithm: 'prf', details: 0x101, message, source: 'slot', sourceSlot: 4 } as const
  const expected = hexOf(prf(of('44', 32), message, 64))
  for (const more of [{}, { ioKey }]) {
    assert.equal(hexOf(await kdf(chip, { ...long, target: 'output', ...more })), expected)
  }
  await chip.sequence((line) => kdf(line, { ...long, target: 'slot', targetSlot: 9 }))
  assert.equal(hexOf(eeprom.read(9, 0, 64)), expected)
  const upper = await chip.sequence(async (line) => {
    await kdf(line, { ...long, target: 'tempKey' })
    return kdf(line, { ...hkdf, source: 'upperTempKey', target: 'output' })
  })
  assert.equal(hexOf(upper), hexOf(hmac(bytes(expected.slice(64)), message)))
  const tooSmall = { code: 'ERR_ELEMENT_PARSE' }
  await assert.rejects(kdf(chip, { ...long, target: 'slot', targetSlot: 7 }), tooSmall)
  await assert.rejects(kdf(chip, { ...long, target: 'alternateKey' }), tooSmall)
})

test('HKDF takes its message from a slot or TempKey, or with two bytes that the part demands', async () => {
  const { chip } = await onEmulator(memory(setup))
  const out = { algorithm: 'hkdf', source: 'slot', sourceSlot: 4, target: 'output' } as const
  const none = new Uint8Array(32)
  // The length says how much of the slot; the bytes themselves are not looked at.
  const ofSlot = await kdf(chip, { ...out, details: 0x0900, message: none })
  assert.equal(hexOf(ofSlot), hexOf(hmac(of('44', 32), of('99', 32))))
  const ofTempKey = await chip.sequence(async (line) => {
    await keys.loadNonce(line, of('5a', 32))
    return kdf(line, { ...out, details: 0x01, message: none })
  })
  assert.equal(hexOf(ofTempKey), hexOf(hmac(of('44', 32), of('5a', 32))))
  const zeroKey = await kdf(chip, { ...out, details: 0x06, message })
  assert.equal(hexOf(zeroKey), hexOf(hmac(new Uint8Array(32), message)), 'extract without salt')
  const iv = bytes('010203 abcd 06')
  assert.equal(
    hexOf(await kdf(chip, { ...out, details: 0x03, message: iv })),
    hexOf(hmac(of('44', 32), iv)),
  )
  const other = bytes('010203 abce 06')
  await assert.rejects(kdf(chip, { ...out, details: 0x03, message: other }), refused)
})

test('AES derives one block of a slot of AES keys or of TempKey', async () => {
  const { chip } = await onEmulator(memory(setup))
  const block = of('88', 16)
  const encrypted = (key: Uint8Array): string =>
    createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(block).toString('hex')
  const aes = { algorithm: 'aes', details: 0, message: block, target: 'output' } as const
  const ofSlot = await kdf(chip, { ...aes, source: 'slot', sourceSlot: 5 })
  assert.equal(hexOf(ofSlot).slice(0, 32), encrypted(of('55', 16)))
  const ofTempKey = await chip.sequence(async (line) => {
    await keys.loadNonce(line, bytes('1a'.repeat(16) + '2b'.repeat(16)))
    return kdf(line, { ...aes, details: 1, source: 'tempKey' })
  })
  assert.equal(hexOf(ofTempKey).slice(0, 32), encrypted(of('2b', 16)), 'the second sixteen bytes')
  await assert.rejects(kdf(chip, { ...aes, source: 'slot', sourceSlot: 4 }), refused, 'no AES key')
})

/** ChipOptions 11:10: 1 not in clear, 2 not to the bus, 3 registers only; IO protection on, slot 6. */
test('ChipOptions keep what is derived off the bus', async () => {
  for (const [options, clear, maskedOut, slot] of [
    ['0660', true, true, true],
    ['0664', false, true, true],
    ['0668', false, false, true],
    ['066c', false, false, false],
  ] as const) {
    const { chip } = await onEmulator(memory({ ...setup, config: { 90: options } }))
    const from = { ...hkdf, source: 'slot', sourceSlot: 4, targetSlot: 7 } as const
    const tries = [
      [clear, { ...from, target: 'output' }],
      [maskedOut, { ...from, target: 'output', ioKey }],
      [slot, { ...from, target: 'slot' }],
      [true, { ...from, target: 'tempKey' }],
    ] as const
    for (const [allowed, input] of tries) {
      const act = chip.sequence((line) => kdf(line, input))
      if (allowed) await act
      else await assert.rejects(act, refused, `${options} ${input.target}`)
    }
  }
})

test('a private key, a key that is not authorized, and an empty register are no sources', async () => {
  const { chip } = await onEmulator(
    memory({ ...setup, slots: { ...setup.slots, 2: ['8720', '3300'], 4: ['8f80', '9c09'] } }),
  )
  for (const input of [
    { source: 'slot', sourceSlot: 2 },
    { source: 'slot', sourceSlot: 4 },
    { source: 'tempKey' },
    { source: 'alternateKey' },
  ] as const) {
    await assert.rejects(kdf(chip, { ...hkdf, ...input, target: 'output' }), refused)
  }
})
