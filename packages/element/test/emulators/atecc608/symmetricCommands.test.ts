/**
 * MAC, CheckMac, PrivWrite, DeriveKey, AES, KDF, SecureBoot, SelfTest and UpdateExtra. Expected
 * bytes were computed with Python (hashlib, hmac, cryptography); the product in GF(2^128) is X_1 of
 * test case 2 of the GCM specification, the AES block that of FIPS 197 Appendix C.1.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { Chip } from '../../../src/emulators/atecc608/chip.ts'
import { ask, chipOn, memory, type Setup } from './packets.ts'

const numbers32 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const key44 = '44'.repeat(32)
const random = `16 00 0000 ${'00'.repeat(20)}`
const fixed = `16 03 0000 ${numbers32}`

function chipWith(setup: Setup = {}): Chip {
  return chipOn(
    memory({
      ...setup,
      slots: { 4: ['8020', '1c00'], ...setup.slots },
      data: { 4: key44, ...setup.data },
    }),
  )
}

test('MAC over slot and challenge, with and without serial, or TempKey', () => {
  const chip = chipWith()
  assert.equal(
    ask(chip, `08 00 0400 ${numbers32}`),
    'e5a86bd39413aada69b446018c563e62526c35b57f249436f22d2cfbc1b37732',
  )
  assert.equal(
    ask(chip, `08 40 0400 ${numbers32}`),
    'ca19609428a4648b3c569e776c464620307de3d879f00f556883e9cffeaa528d',
  )
  ask(chip, random)
  assert.equal(
    ask(chip, '08 41 0400'),
    '6595686a735f2ecd29c2574433e4f9537f6a72c39d52d01a2552d36c68b2320b',
  )
  assert.equal(ask(chip, '08 41 0400'), '0f', 'TempKey is gone')
  ask(chip, fixed)
  assert.equal(
    ask(chip, '08 05 0400'),
    'f7948c394509006d3f0d6d2448c6cc2c749cfc9868abcaa8f95c1272db099ca1',
  )
  ask(chip, fixed)
  assert.equal(ask(chip, '08 01 0400'), '0f', 'the source is another')
})

test('CheckMac says whether the response fits', () => {
  const chip = chipWith()
  const response = '53ee3ca1e38d3c7d355ba35eab7ac9679de7fa1071c3c374182d8294d033fd20'
  const other = '808182838485868788898a8b8c'
  assert.equal(ask(chip, `28 00 0400 ${numbers32} ${response} ${other}`), '00')
  assert.equal(ask(chip, `28 00 0400 ${numbers32} ${response} ${other.replace('8c', '8d')}`), '01')
})

const authorizing = `28 01 0400 ${'00'.repeat(32)} 3c407391fea2a48612e22b776e0cbe9d9bb40a4eb008b2b06b5834292595fe78 ${'00'.repeat(13)}`

test('a key that asks for authorization works after a CheckMac over the own nonce, until sleep', () => {
  const chip = chipWith({
    slots: { 6: ['8020', '9c04'] },
    data: { 6: key44 },
  })
  assert.equal(ask(chip, '47 04 0600'), '0f')
  ask(chip, random)
  assert.equal(ask(chip, authorizing), '00')
  assert.equal(ask(chip, '30 02 0000'), '00240000', 'slot 4 is authorized')
  assert.equal(ask(chip, '47 04 0600'), '00')
  chip.sleep()
  assert.equal(ask(chip, '47 04 0600'), '0f')
})

test('a good CheckMac over TempKey copies the key above into it, where ReadKey is 0', () => {
  const data = { 5: '606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f' }
  const copied = (slot4: string, slot5: string, keyConfig5 = '1c00'): string => {
    const chip = chipWith({ slots: { 4: [slot4, '1c00'], 5: [slot5, keyConfig5] }, data })
    ask(chip, random)
    assert.equal(ask(chip, authorizing), '00')
    // MAC with TempKey, given by a host, in the place of the key.
    return ask(chip, `08 06 0000 ${numbers32}`)
  }
  const macUnder5 = '0752b44c78780d902e6ecaa0d3cf519f784e6eca161cf50135c37557785205c9'
  assert.equal(copied('8020', '8020'), macUnder5)
  assert.equal(copied('8f20', '8020'), '0f', 'ReadKey of the key that was shown')
  assert.equal(copied('8020', '8f20'), '0f', 'ReadKey of the key above')
  assert.equal(copied('8020', '8020', '3300'), '0f', 'a private key')
  assert.equal(copied('8020', '8020', '1c10'), '0f', 'a key that waits for the latch')
  const odd = chipWith({ slots: { 5: ['8020', '1c00'], 6: ['8020', '1c00'] }, data })
  ask(odd, random)
  const shown5 = '82664ef8fcc4a33b92fe4b673de38eb9afd411d9b7c1a45eb2bfaf2edbc1369b'
  assert.equal(ask(odd, `28 01 0500 ${'00'.repeat(32)} ${shown5} ${'00'.repeat(13)}`), '00')
  assert.equal(ask(odd, `08 06 0000 ${numbers32}`), macUnder5, 'an odd slot: itself')
  const chip = chipWith({ slots: { 5: ['8020', '1c00'] }, data })
  ask(chip, random)
  assert.equal(ask(chip, `28 01 0400 ${'00'.repeat(77)}`), '01')
  assert.equal(ask(chip, `08 06 0000 ${numbers32}`), '0f', 'a wrong one')
})

test('while UseLock is on, only its key is used before it was authorized', () => {
  const chip = chipWith({
    slots: { 6: ['8020', '1c00'] },
    data: { 6: key44 },
    config: { 68: '4a' },
  })
  assert.equal(ask(chip, '47 04 0600'), '0f')
  assert.equal(ask(chip, '47 04 0400'), '00')
  ask(chip, random)
  assert.equal(ask(chip, authorizing), '00')
  assert.equal(ask(chip, '47 04 0600'), '00')
})

test('the latch is set by the key of VolatileKeyPermission, survives sleep, and frees a key', () => {
  const chip = chipWith({
    slots: { 6: ['8020', '1c10'] },
    data: { 6: key44 },
    config: { 69: '84' },
  })
  assert.equal(ask(chip, '47 04 0600'), '0f')
  assert.equal(ask(chip, '30 04 0300'), '0f', 'not authorized')
  assert.equal(ask(chip, '30 04 0000'), '00000000')
  ask(chip, random)
  ask(chip, authorizing)
  assert.equal(ask(chip, '30 04 0300'), '00000000', 'written')
  assert.equal(ask(chip, '30 04 0000'), '01000000')
  chip.sleep()
  assert.equal(ask(chip, '30 04 0000'), '01000000')
  assert.equal(ask(chip, '47 04 0600'), '00')
  assert.equal(ask(chip, '30 04 0200'), '00000000')
})

test('PrivWrite: in clear before the data lock, encrypted after it', () => {
  const scalar = `00000000${'33'.repeat(32)}`
  const point = '51a7580833898ea1b183cbd7350a4099078c6ef1c1e18e970cd7683035f25e7d'
  const slots = { 2: ['8744', '3300'] } as const
  const open = chipWith({ slots, locks: 'config' })
  assert.equal(ask(open, `46 00 0200 ${'00'.repeat(68)}`), '05', 'zero is no key')
  assert.equal(ask(open, `46 00 0200 ${scalar}${'00'.repeat(32)}`), '00')
  assert.equal(ask(open, '40 00 0200').slice(0, 64), point)

  const chip = chipWith({ slots })
  assert.equal(ask(chip, `46 00 0200 ${scalar}${'00'.repeat(32)}`), '0f')
  ask(chip, random)
  ask(chip, '15 02 0400')
  assert.equal(
    ask(
      chip,
      '46 40 0200' +
        'adacda966f8dd987a64f197866b4d921b0d348de9014421bff9fc1c35552894a9ceba659' +
        'b0da1d46cb5392c9736b697883c133a4e89ae66d316fe85ca3be33f04f2b1027',
    ),
    '00',
  )
  assert.equal(ask(chip, '40 00 0200').slice(0, 64), point)
})

test('DeriveKey rolls a key, or creates one of its parent when the MAC is right', () => {
  const eeprom = memory({
    slots: { 4: ['8020', '1c00'], 5: ['8020', '1c00'], 6: ['80b4', '1c00'] },
    data: { 4: key44, 5: '55'.repeat(32) },
  })
  const chip = chipOn(eeprom)
  ask(chip, random)
  assert.equal(ask(chip, '1c 00 0500'), '00')
  assert.equal(
    hex(eeprom.read(5, 0, 32)),
    '01608cdb5d3634b9a861f5a00eb9c0194459ad697fc16ea36478f6e161f22233',
  )
  ask(chip, random)
  assert.equal(ask(chip, '1c 00 0600'), '0f', 'without a MAC')
  ask(chip, random)
  const mac = 'cedc41e08529a98df17db16706b8b536aa9ec4b7b71f9571ff26d47ec826e0b2'
  assert.equal(ask(chip, `1c 00 0600 ${mac}`), '00')
  assert.equal(
    hex(eeprom.read(6, 0, 32)),
    'b3cf4d68a6a1e63c53fcd1c7514294ec7fbd773106b911bd52a006297e8a75dc',
  )
})

test('AES of one block under a slot or TempKey, and the product of GCM', () => {
  const block = '00112233445566778899aabbccddeeff'
  const chip = chipWith({ slots: { 5: ['8020', '1800'] }, data: { 5: numbers32 } })
  assert.equal(ask(chip, `51 00 0500 ${block}`), '69c4e0d86a7b0430d8cdb78070b4c55a')
  assert.equal(ask(chip, `51 40 0500 ${block}`), 'e18a556701fe934a34ba4c026b35f6c1')
  assert.equal(ask(chip, '51 01 0500 69c4e0d86a7b0430d8cdb78070b4c55a'), block)
  assert.equal(ask(chip, `51 80 0500 ${block}`), '03', 'behind the slot')
  assert.equal(ask(chip, `51 00 0400 ${block}`), '0f', 'no AES key')
  ask(chip, fixed)
  assert.equal(ask(chip, `51 00 ffff ${block}`), '69c4e0d86a7b0430d8cdb78070b4c55a')
  assert.equal(ask(chip, `51 40 ffff ${block}`), 'e18a556701fe934a34ba4c026b35f6c1')
  assert.equal(
    ask(chip, '51 03 0000 66e94bd4ef8a2c3b884cfa59ca342b2e 0388dace60b6a392f328c2b971b2fe78'),
    '5e2ec746917062882c85b0685353deb7',
  )
  assert.equal(ask(chipWith({ config: { 13: '00' } }), `51 00 0500 ${block}`), '0f', 'AES is off')
})

test('KDF by the PRF of TLS 1.2', () => {
  const seed = `6b657920657870616e73696f6e${'01'.repeat(20)}`
  const long =
    '3d7f73edacabc0cb7704439b0ddc83b8f5b1a3edf9f9d2bb96459476558ae5f1' +
    '492854eaaab800c482849bfc04545e28d9f2a71ce0692205a2033364d7c994ce'
  const chip = chipWith()
  ask(chip, fixed)
  assert.equal(ask(chip, `56 10 0000 01000021 ${seed}`), long.slice(0, 64))
  assert.equal(ask(chip, `56 10 0000 01010021 ${seed}`), long)
  assert.equal(
    ask(chip, `56 10 0000 00000021 ${seed}`),
    'ce13fefa542cc2d25a9eb11fc0abb6c97e2cab3a78299d77789565b9b9d6fedb',
  )
  assert.equal(ask(chip, `56 10 0000 03000021 ${seed}`), '0f', 'no 64 bytes are there')
  ask(chip, `16 23 0000 ${numbers32}${'77'.repeat(32)}`)
  assert.equal(
    ask(chip, `56 10 0000 03000021 ${seed}`),
    'f6303667854748001360f426f03038a377529630d70a075979327ed99aa4932a',
  )
})

test('KDF by HMAC, from every source, to every target', () => {
  const message = '696e666f01'
  const ofNumbers = 'ae85c41cf42b06df615f9c0bbb675f0513fbf62a55da5dd2a65467d01b3c6f08'
  const eeprom = memory({
    slots: { 4: ['8020', '1c00'], 5: ['8020', '1c00'] },
    data: { 4: key44 },
    config: { 90: '0240' },
  })
  const chip = chipOn(eeprom)
  const upper = 'e1bb2914d712fcf6eec21b631a62c718adb97dfc216cd248171aa368a3b0cbde'
  ask(chip, `16 23 0000 ${numbers32}${'77'.repeat(32)}`)
  assert.equal(ask(chip, `56 50 0000 02000005 ${message}`), ofNumbers)
  assert.equal(ask(chip, `56 51 0000 02000005 ${message}`), upper)
  assert.equal(
    ask(chip, `56 52 0400 02000005 ${message}`),
    '31f7e6662cce64d42e806333d830b9e19b0fc4043d1373970eb919bb049987e2',
  )
  assert.equal(
    ask(chip, `56 50 0000 06000005 ${message}`),
    'd3dbc270ada4bfd42baf1210c7487eac8e021d5d9104b1aba3373d9fc6304421',
    'a key of zeros',
  )
  ask(chip, `16 83 0000 ${numbers32}`)
  assert.equal(ask(chip, `56 53 0000 02000005 ${message}`), ofNumbers)
  assert.equal(ask(chip, `56 48 0005 02000005 ${message}`), '00')
  assert.equal(hex(eeprom.read(5, 0, 32)), ofNumbers)
  assert.equal(
    ask(chip, `56 54 0000 02000005 ${message}`),
    `bd4b52cda54e131f696586daf0621753d069293e523b69c06990341454ca272a${'a5'.repeat(32)}`,
  )
})

test('KDF by AES needs its bit in ChipOptions', () => {
  const block = '00112233445566778899aabbccddeeff'
  const chip = chipWith({ config: { 90: '0400' } })
  ask(chip, fixed)
  assert.equal(
    ask(chip, `56 30 0000 00000010 ${block}`),
    `69c4e0d86a7b0430d8cdb78070b4c55a${'00'.repeat(16)}`,
  )
  const without = chipWith()
  ask(without, fixed)
  assert.equal(ask(without, `56 30 0000 00000010 ${block}`), '0f')
})

const firmware = 'c3bf47ea1f4a4a605470313cacb3a44f4a461f68c6faeab07e737610cb5ac835'
const firmwareSignature =
  '7e44e96e91234bd1aea40346ae031588ea33e64e734fe641651f46d443fdee3c' +
  'b911a3e3d5a4fe37af346e748d326d6e85b256b4999cfdde78b8ed67b9695f98'
const bootKey =
  '0000000051a7580833898ea1b183cbd7350a4099078c6ef1c1e18e970cd7683035f25e7d' +
  '000000000110522712b0b5a7cff081685486984a94e6831edac46e7360fa9d834a7a81a1'

test('SecureBoot keeps a digest, knows it again, and may be asked no more', () => {
  const chip = chipWith({
    slots: { 9: ['0000', '1000'], 10: ['0000', '1c00'] },
    data: { 9: bootKey },
    // FullDig, persistent latch; digest in slot 10, key in slot 9.
    config: { 70: '0b9a' },
  })
  assert.equal(ask(chip, `80 06 0000 ${firmware}`), '01', 'nothing is kept')
  assert.equal(ask(chip, `80 07 0000 ${firmware}${firmwareSignature}`), '00')
  assert.equal(ask(chip, '30 04 0000'), '01000000')
  assert.equal(ask(chip, `80 06 0000 ${firmware}`), '00')
  assert.equal(ask(chip, `80 06 0000 ${firmware.replace('c3', 'c4')}`), '01')
  assert.equal(ask(chip, `80 45 0000 ${firmware}${firmwareSignature}`), '00')
  assert.equal(ask(chip, `80 05 0000 ${firmware}${firmwareSignature}`), '0f', 'prohibited')
  chip.sleep()
  assert.equal(ask(chip, `80 05 0000 ${firmware}${firmwareSignature}`), '0f')
})

test('SecureBoot over an encrypted digest answers a MAC', () => {
  const chip = chipWith({
    slots: { 9: ['0000', '1000'] },
    data: { 9: bootKey },
    config: { 70: '1190', 90: '0240' },
  })
  assert.equal(ask(chip, `80 05 0000 ${firmware}${firmwareSignature}`), '0f', 'no random nonce')
  ask(chip, random)
  assert.equal(
    ask(
      chip,
      `80 85 0000 2fa331aeb63a6ee32feaecaeca0d222cb0cd069e8399583c42d2d143461615e3${firmwareSignature}`,
    ),
    'e75d40e9fbb824cc12efc84d797cfbf5422d80476e7531d0808da992c1a692fd',
  )
})

test('SelfTest of a sound part, and UpdateExtra', () => {
  const eeprom = memory({ slots: { 6: ['a020', '1c00'] } })
  const chip = chipOn(eeprom)
  assert.equal(ask(chip, '77 3b 0000'), '00')
  assert.equal(ask(chip, '77 00 0000'), '00')
  assert.equal(ask(chip, '77 04 0000'), '03')
  assert.equal(ask(chip, '20 00 3100'), '00')
  assert.equal(ask(chip, '20 00 3200'), '0f', 'once')
  assert.equal(ask(chip, '20 01 c200'), '00')
  assert.equal(hex(eeprom.read('config', 84, 2)), '31c2')
  assert.equal(ask(chip, '20 02 0600'), '00')
  assert.equal(ask(chip, '24 00 0000'), '01000000')
  assert.equal(ask(chip, '20 02 0400'), '0f', 'no limited use')
})
