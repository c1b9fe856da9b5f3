/**
 * Each command as it goes over the wire. Heads are written from the command tables; counts and CRCs
 * were computed by a foreign program (crccheck for Python: CRC-16/ARC with its bits reversed).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aesDecrypt, aesEncrypt, aesMultiply } from '../../../src/drivers/atecc608/aesCommand.ts'
import * as agree from '../../../src/drivers/atecc608/agree.ts'
import * as basics from '../../../src/drivers/atecc608/basics.ts'
import * as boot from '../../../src/drivers/atecc608/boot.ts'
import * as digests from '../../../src/drivers/atecc608/digests.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import * as macs from '../../../src/drivers/atecc608/macs.ts'
import type { CommandLine } from '../../../src/drivers/atecc608/session.ts'
import * as verify from '../../../src/drivers/atecc608/verify.ts'
import * as zones from '../../../src/drivers/atecc608/zones.ts'
import { of, Recorder, r } from './recorder.ts'
import { bytes, hexOf } from './scripted.ts'

type Row = readonly [
  what: string,
  packet: string,
  answer: string,
  call: (line: CommandLine) => Promise<unknown>,
]

const point = of('d4', 64)
const signature = of('c3', 64)
const word = '0a0b0c0d'
const block = r('a7', 32)

const rows: readonly Row[] = [
  ['Info revision', '07 30 00 00 00 03 5d', word, basics.revision],
  ['Info key valid', '07 30 01 03 00 0f d7', word, (l) => basics.keyValid(l, 3)],
  ['Info state', '07 30 02 00 00 00 d8', word, basics.deviceState],
  ['Info pin', '07 30 03 00 00 03 52', word, (l) => basics.gpio(l)],
  ['Info pin high', '07 30 03 03 00 0c 52', word, (l) => basics.gpio(l, true)],
  ['Info pin low', '07 30 03 02 00 05 d2', word, (l) => basics.gpio(l, false)],
  ['Info permit', '07 30 04 03 00 8f df', word, (l) => basics.volatileKeyPermit(l, true)],
  ['Random', '07 1b 00 00 00 24 cd', block, (l) => basics.random(l)],
  ['Random, seed kept', '07 1b 01 00 00 27 47', block, (l) => basics.random(l, true)],
  ['Counter read', '07 24 00 00 00 0c fd', word, (l) => basics.readCounter(l, 0)],
  ['Counter increment', '07 24 01 01 00 06 f7', word, (l) => basics.incrementCounter(l, 1)],

  [
    'Nonce of 32',
    `27 16 03 00 00 ${r('5a', 32)} 50 b0`,
    '00',
    (l) => keys.loadNonce(l, of('5a', 32)),
  ],
  [
    'Nonce of 64 for a digest',
    `47 16 63 00 00 ${r('5a', 32)} ${r('6b', 32)} d9 42`,
    '00',
    (l) => keys.loadNonce(l, bytes(r('5a', 32) + r('6b', 32)), 'messageDigest'),
  ],
  [
    'Nonce into AltKeyBuf',
    `27 16 83 00 00 ${r('5a', 32)} 3b 31`,
    '00',
    (l) => keys.loadNonce(l, of('5a', 32), 'alternateKey'),
  ],
  [
    'random Nonce',
    `1b 16 00 00 00 ${r('21', 20)} f6 85`,
    block,
    (l) => keys.randomNonce(l, of('21', 20)),
  ],
  [
    'random Nonce, seed kept',
    `1b 16 01 00 00 ${r('21', 20)} cf 36`,
    block,
    (l) => keys.randomNonce(l, of('21', 20), { keepSeed: true }),
  ],
  [
    'random Nonce over TempKey',
    `1b 16 00 00 80 ${r('21', 20)} e5 7c`,
    block,
    (l) => keys.randomNonce(l, of('21', 20), { fromTempKey: true }),
  ],

  ['GenKey create', '07 40 04 02 00 85 07', r('d4', 64), (l) => keys.createKey(l, 2)],
  ['GenKey ephemeral', '07 40 04 ff ff 8e 07', r('d4', 64), keys.createEphemeralKey],
  ['GenKey public', '07 40 00 02 00 06 85', r('d4', 64), (l) => keys.publicKeyOf(l, 2)],
  ['GenKey digest', '07 40 08 02 00 45 04', r('d4', 64), (l) => keys.digestPrivateSlot(l, 2)],
  ['GenKey stored', '0a 40 10 09 00 000000 54 f8', '00', (l) => keys.digestPublicSlot(l, 9)],

  ['Sign external', '07 41 80 00 00 28 05', r('c3', 64), (l) => keys.signExternal(l, 0)],
  [
    'Sign external of MsgDigBuf',
    '07 41 a0 00 00 7b 85',
    r('c3', 64),
    (l) => keys.signExternal(l, 0, { source: 'messageDigest' }),
  ],
  [
    'Sign internal with serial',
    '07 41 40 01 00 1d 85',
    r('c3', 64),
    (l) => keys.signInternal(l, 1, { includeSerial: true }),
  ],
  [
    'Sign internal for an invalidation',
    '07 41 01 01 00 35 8f',
    r('c3', 64),
    (l) => keys.signInternal(l, 1, { forInvalidate: true }),
  ],

  [
    'Verify external',
    `87 45 02 04 00 ${r('c3', 64)} ${r('d4', 64)} e1 94`,
    '00',
    (l) => verify.verifyExternal(l, signature, point),
  ],
  [
    'Verify external of MsgDigBuf',
    `87 45 22 04 00 ${r('c3', 64)} ${r('d4', 64)} 02 10`,
    '00',
    (l) => verify.verifyExternal(l, signature, point, 'messageDigest'),
  ],
  [
    'Verify stored',
    `47 45 00 0b 00 ${r('c3', 64)} 53 63`,
    '00',
    (l) => verify.verifyStored(l, 11, signature),
  ],
  [
    'Verify validate external',
    `47 45 01 0b 00 ${r('c3', 64)} 6c cb`,
    '00',
    (l) => verify.validateExternal(l, 11, signature),
  ],
  [
    'Verify validate',
    `5a 45 03 0b 00 ${r('c3', 64)} ${r('e5', 19)} 8f a0`,
    '00',
    (l) => verify.validateKey(l, 11, signature, of('e5', 19)),
  ],
  [
    'Verify invalidate',
    `5a 45 07 0b 00 ${r('c3', 64)} ${r('e5', 19)} 70 67`,
    '00',
    (l) => verify.invalidateKey(l, 11, signature, of('e5', 19)),
  ],

  ['ECDH', `47 43 0c 02 00 ${r('d4', 64)} fd c1`, block, (l) => agree.ecdh(l, 2, point)],
  [
    'ECDH of TempKey',
    `47 43 0d 00 00 ${r('d4', 64)} d5 ec`,
    block,
    (l) => agree.ecdh(l, 'tempKey', point),
  ],
  [
    'ECDH compatible',
    `47 43 00 02 00 ${r('d4', 64)} f7 0e`,
    block,
    (l) => agree.ecdhCompatible(l, 2, point),
  ],
  [
    'ECDH to the next slot',
    `47 43 00 02 00 ${r('d4', 64)} f7 0e`,
    '00',
    (l) => agree.ecdhToNextSlot(l, 2, point),
  ],
  [
    'ECDH into TempKey',
    `47 43 08 02 00 ${r('d4', 64)} f1 4b`,
    '00',
    (l) => agree.ecdhToTempKey(l, 2, point),
  ],
  [
    'ECDH into a slot',
    `47 43 05 05 00 ${r('d4', 64)} 71 a1`,
    '00',
    (l) => agree.ecdhToSlot(l, 5, point),
  ],

  [
    'Read of a word',
    '07 02 00 15 00 17 5d',
    word,
    (l) => zones.readZone(l, { kind: 'config' }, 84, 4),
  ],
  [
    'Read of a block',
    '07 02 82 40 03 89 a6',
    block,
    (l) => zones.readZone(l, { kind: 'data', slot: 8 }, 96, 32),
  ],
  [
    'Read of the one-time zone',
    '07 02 01 00 00 1d a7',
    word,
    (l) => zones.readZone(l, { kind: 'otp' }, 0, 4),
  ],
  [
    'Write of a block',
    `27 12 82 40 03 ${r('77', 32)} f8 e1`,
    '00',
    (l) => zones.writeZone(l, { kind: 'data', slot: 8 }, 96, of('77', 32)),
  ],
  [
    'Write of a word',
    `0b 12 00 05 00 ${r('77', 4)} 13 fc`,
    '00',
    (l) => zones.writeZone(l, { kind: 'config' }, 20, of('77', 4)),
  ],
  ['Lock configuration', '07 17 00 34 12 9d 64', '00', (l) => zones.lockConfig(l, 0x1234)],
  ['Lock data', '07 17 01 34 12 9e ee', '00', (l) => zones.lockData(l, 0x1234)],
  ['Lock slot', '07 17 22 00 00 7e 08', '00', (l) => zones.lockSlot(l, 8)],

  ['SHA start', '07 47 00 00 00 2e 85', '00', digests.startSha],
  ['HMAC start', '07 47 04 05 00 a7 c7', '00', (l) => digests.startHmac(l, 5)],
  ['SHA public key', '07 47 03 09 00 24 ea', '00', (l) => digests.updateWithPublicKey(l, 9)],
  ['SHA read context', '07 47 06 00 00 ae 82', r('9c', 40), digests.readShaContext],
  [
    'SHA write context',
    `2f 47 07 28 00 ${r('9c', 40)} f2 c1`,
    '00',
    (l) => digests.writeShaContext(l, of('9c', 40)),
  ],

  ['GenDig of a slot', '07 15 02 05 00 3a c8', '00', (l) => macs.genDig(l, 'slot', 5)],
  [
    'GenDig with other data',
    `0b 15 02 05 00 ${r('0f', 4)} ae e7`,
    '00',
    (l) => macs.genDig(l, 'slot', 5, of('0f', 4)),
  ],
  [
    'GenDig of a shared nonce',
    `27 15 03 00 00 ${r('0f', 32)} f2 4d`,
    '00',
    (l) => macs.genDig(l, 'sharedNonce', 0, of('0f', 32)),
  ],
  ['GenDig of a counter', '07 15 04 01 00 b9 8f', '00', (l) => macs.genDig(l, 'counter', 1)],
  ['GenDig of rules', '07 15 05 02 00 b5 05', '00', (l) => macs.genDig(l, 'keyConfig', 2)],
  ['MAC', `27 08 00 05 00 ${r('31', 32)} 56 d5`, block, (l) => macs.mac(l, 0, 5, of('31', 32))],
  ['MAC of TempKey', '07 08 45 05 00 a4 a5', block, (l) => macs.mac(l, 0x45, 5)],
  [
    'CheckMac',
    `54 28 00 05 00 ${r('31', 32)} ${r('42', 32)} ${r('53', 13)} 9a f2`,
    '00',
    (l) =>
      macs.checkMac(l, {
        mode: 0,
        slot: 5,
        challenge: of('31', 32),
        response: of('42', 32),
        other: of('53', 13),
      }),
  ],
  ['DeriveKey', '07 1c 04 05 00 83 0f', '00', (l) => macs.deriveKey(l, 4, 5)],
  [
    'DeriveKey with its MAC',
    `27 1c 00 05 00 ${r('42', 32)} 40 78`,
    '00',
    (l) => macs.deriveKey(l, 0, 5, of('42', 32)),
  ],

  [
    'AES encrypt',
    `17 51 00 06 00 ${r('88', 16)} 89 84`,
    r('99', 16),
    (l) => aesEncrypt(l, { at: 6 })(of('88', 16)),
  ],
  [
    'AES decrypt by a part of TempKey',
    `17 51 81 ff ff ${r('88', 16)} 7b 25`,
    r('99', 16),
    (l) => aesDecrypt(l, { at: 'tempKey', part: 2 })(of('88', 16)),
  ],
  [
    'AES multiply',
    `27 51 03 00 00 ${r('99', 16)} ${r('88', 16)} 48 e9`,
    r('aa', 16),
    (l) => aesMultiply(l)(of('99', 16), of('88', 16)),
  ],
  [
    'KDF: HKDF of a slot, given out',
    '10 56 52 05 00 00000005 68656c6c6f 37 44',
    block,
    (l) =>
      agree.kdf(l, {
        algorithm: 'hkdf',
        source: 'slot',
        sourceSlot: 5,
        target: 'output',
        details: 0,
        message: Buffer.from('hello'),
      }),
  ],
  [
    'KDF: PRF into AltKeyBuf',
    '0e 56 0c 00 00 02010003 616263 c5 34',
    '00',
    (l) =>
      agree.kdf(l, {
        algorithm: 'prf',
        source: 'tempKey',
        target: 'alternateKey',
        details: 0x0102,
        message: Buffer.from('abc'),
      }),
  ],
  [
    'KDF: PRF of 64 bytes',
    '0e 56 10 00 00 02010003 616263 90 b7',
    r('a7', 64),
    (l) =>
      agree.kdf(l, {
        algorithm: 'prf',
        source: 'tempKey',
        target: 'output',
        details: 0x0102,
        message: Buffer.from('abc'),
      }),
  ],
  [
    'KDF: AES from slot to slot',
    `1b 56 2a 05 07 00000000 ${r('61', 16)} 85 b3`,
    '00',
    (l) =>
      agree.kdf(l, {
        algorithm: 'aes',
        source: 'slot',
        sourceSlot: 5,
        target: 'slot',
        targetSlot: 7,
        details: 0,
        message: of('61', 16),
      }),
  ],

  [
    'SecureBoot full',
    `67 80 05 00 00 ${r('31', 32)} ${r('c3', 64)} bf ce`,
    '00',
    (l) => boot.secureBoot(l, { mode: 'full', digest: of('31', 32), signature }),
  ],
  [
    'SecureBoot stored, and no more until the power goes',
    `27 80 46 00 00 ${r('31', 32)} 6e c8`,
    '00',
    (l) => boot.secureBoot(l, { mode: 'fullStore', digest: of('31', 32), prohibit: true }),
  ],
  ['SelfTest', '07 77 3b 00 00 9d fb', '00', (l) => boot.selfTest(l)],
  ['SelfTest of one', '07 77 01 00 00 2d ff', '00', (l) => boot.selfTest(l, ['rng'])],
  ['UpdateExtra', '07 20 00 42 00 05 71', '00', (l) => boot.writeExtra(l, 'userExtra', 0x42)],
  [
    'UpdateExtra of the address',
    '07 20 01 6a 00 06 83',
    '00',
    (l) => boot.writeExtra(l, 'userExtraAdd', 0x6a),
  ],
  ['UpdateExtra of uses', '07 20 02 05 00 09 38', '00', (l) => boot.decrementUses(l, 5)],
]

for (const [what, packet, answer, call] of rows) {
  test(`${what}: its bytes`, async () => {
    const line = new Recorder(answer)
    await call(line)
    line.sent(packet)
  })
}

test('a value is read low byte first', async () => {
  assert.equal(await basics.readCounter(new Recorder('ffff1f00'), 0), 2_097_151)
  assert.equal(await basics.keyValid(new Recorder('01000000'), 3), true)
  assert.equal(await basics.keyValid(new Recorder('00000000'), 3), false)
})

test('the fixed pattern of an open part is not a random number', async () => {
  const notLocked = { code: 'ERR_ELEMENT_NOT_LOCKED' }
  const pattern = r('ffff0000', 8)
  await assert.rejects(basics.random(new Recorder(pattern)), notLocked)
  await assert.rejects(keys.randomNonce(new Recorder(pattern), of('21', 20)), notLocked)
})

test('a verdict is an answer and no error', async () => {
  assert.equal(await verify.verifyExternal(new Recorder('00'), signature, point), true)
  assert.equal(await verify.verifyExternal(new Recorder('01'), signature, point), false)
  await assert.rejects(verify.verifyExternal(new Recorder('05'), signature, point), {
    code: 'ERR_ELEMENT_ECC',
  })
})

test('failed self-tests are named, and a status in their place is an error', async () => {
  assert.deepEqual(await boot.selfTest(new Recorder('21')), ['rng', 'sha'])
  await assert.rejects(boot.selfTest(new Recorder('0f')), { code: 'ERR_ELEMENT_POLICY' })
  await assert.rejects(boot.selfTest(new Recorder('ff')), { code: 'ERR_ELEMENT_CRC' })
})

test('a digest is cut into blocks, and its rest goes with the end', async () => {
  const line = new Recorder('00', '00', block)
  assert.equal(hexOf(await digests.sha256Inside(line, of('61', 67))), block)
  line.sent(
    '07 47 00 00 00 2e 85',
    `47 47 01 40 00 ${r('61', 64)} cc 78`,
    `0a 47 02 03 00 ${r('61', 3)} fc d2`,
  )
})

test('a keyed digest begins with its slot', async () => {
  const line = new Recorder('00', block)
  assert.equal(hexOf(await digests.hmacInside(line, 5, of('61', 3))), block)
  line.sent('07 47 04 05 00 a7 c7', `0a 47 02 03 00 ${r('61', 3)} fc d2`)
})

test('a digest may come in pieces and stay in the chip', async () => {
  const line = new Recorder('00', block)
  const stream = new digests.ShaStream(line)
  for (const length of [10, 0, 50, 4]) await stream.update(of('61', length))
  await stream.end('messageDigest')
  line.sent(`47 47 01 40 00 ${r('61', 64)} cc 78`, '07 47 42 00 00 06 80')
})

test('any run of a zone is read by blocks and words, and cut to what was asked', async () => {
  // Slot 8 from byte 30 to 70: words at 28, a block at 32, words at 64 and 68.
  const line = new Recorder('00010203', r('b1', 32), '10111213', '20212223')
  const read = await zones.readZone(line, { kind: 'data', slot: 8 }, 30, 41)
  assert.equal(hexOf(read), `0203${r('b1', 32)}1011121320 2122`.replaceAll(' ', ''))
  assert.deepEqual(
    line.packets.map((packet) => packet.slice(2, 10)),
    ['02024700', '02824001', '02024002', '02024102'],
  )
})

test('the tail of a slot of 36 bytes is a word', async () => {
  const line = new Recorder(block, word)
  await zones.readZone(line, { kind: 'data', slot: 0 }, 0, 36)
  assert.deepEqual(
    line.packets.map((packet) => packet.slice(2, 10)),
    ['02820000', '02020001'],
  )
})

test('before the data lock a slot is filled by blocks', async () => {
  const line = new Recorder('00', '00', '00')
  await zones.writeBlocks(line, { kind: 'data', slot: 9 }, 0, of('77', 72))
  assert.deepEqual(
    line.packets.map((packet) => [packet.slice(2, 10), packet.slice(10, -4)]),
    [
      ['12824800', r('77', 32)],
      ['12824801', r('77', 32)],
      ['12824802', r('77', 8) + r('00', 24)],
    ],
  )
})

test('an open configuration is written but for what Write cannot change', async () => {
  const line = new Recorder(...Array.from({ length: 13 }, () => '00'))
  await zones.writeConfigZone(line, new Uint8Array(128))
  const addresses = line.packets.map((packet) => packet.slice(4, 10))
  assert.deepEqual(addresses, [
    '000400',
    '000500',
    '000600',
    '000700',
    '800800',
    '001000',
    '001100',
    '001200',
    '001300',
    '001400',
    '001600',
    '001700',
    '801800',
  ])
})

test('what has no sense is refused before anything is sent', async () => {
  const line = new Recorder()
  const slot = { code: 'ERR_ELEMENT_SLOT' }
  const argument = { code: 'ERR_ELEMENT_ARGUMENT' }
  await assert.rejects(async () => keys.signExternal(line, 16), slot)
  await assert.rejects(async () => keys.createKey(line, -1), slot)
  await assert.rejects(basics.readCounter(line, 2), argument)
  await assert.rejects(keys.loadNonce(line, new Uint8Array(33)), argument)
  await assert.rejects(keys.randomNonce(line, new Uint8Array(19)), argument)
  await assert.rejects(async () => verify.verifyExternal(line, signature, of('d4', 63)), argument)
  await assert.rejects(zones.readZone(line, { kind: 'config' }, 120, 9), argument)
  await assert.rejects(zones.writeZone(line, { kind: 'config' }, 18, of('77', 4)), argument)
  await assert.rejects(zones.writeBlocks(line, { kind: 'otp' }, 4, of('77', 4)), argument)
  await assert.rejects(digests.writeShaContext(line, new Uint8Array(100)), argument)
  await assert.rejects(async () => boot.writeExtra(line, 'userExtra', 256), argument)
  await assert.rejects(async () => aesEncrypt(line, { at: 6 })(of('88', 15)), argument)
  await assert.rejects(
    agree.kdf(line, {
      algorithm: 'aes',
      source: 'tempKey',
      target: 'output',
      details: 0,
      message: new Uint8Array(15),
    }),
    argument,
  )
  assert.deepEqual(line.packets, [])
})
