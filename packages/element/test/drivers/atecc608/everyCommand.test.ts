/**
 * Every command on the emulated part, judged by OpenSSL (through Node): what the chip says it
 * signed, agreed, derived or encrypted must be that to someone who knows nothing of either.
 */
import assert from 'node:assert/strict'
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { after, before, test } from 'node:test'
import { paperTime } from '../../../src/bus/time.ts'
import { ccmOpen, ccmSeal } from '../../../src/drivers/atecc608/aesCcm.ts'
import { aesDecrypt, aesEncrypt, aesMultiply } from '../../../src/drivers/atecc608/aesCommand.ts'
import { gcmOpen, gcmSeal } from '../../../src/drivers/atecc608/aesGcm.ts'
import { cbcDecrypt, cbcEncrypt } from '../../../src/drivers/atecc608/aesModes.ts'
import * as agree from '../../../src/drivers/atecc608/agree.ts'
import * as basics from '../../../src/drivers/atecc608/basics.ts'
import * as boot from '../../../src/drivers/atecc608/boot.ts'
import { parseChipConfig, writeChipConfig } from '../../../src/drivers/atecc608/config.ts'
import { crc16 } from '../../../src/drivers/atecc608/crc.ts'
import * as digests from '../../../src/drivers/atecc608/digests.ts'
import { derivedKey, macValue, nonceValue } from '../../../src/drivers/atecc608/hostMath.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import * as macs from '../../../src/drivers/atecc608/macs.ts'
import * as secured from '../../../src/drivers/atecc608/secured.ts'
import { type ChipSession, openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { readKeyRules, readSlotRules } from '../../../src/drivers/atecc608/slotRules.ts'
import * as verifying from '../../../src/drivers/atecc608/verify.ts'
import * as zones from '../../../src/drivers/atecc608/zones.ts'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { pointOfSpki, spkiOfPoint } from '../../../src/signer.ts'
import { of } from './recorder.ts'
import { bytes, hexOf, serialHex } from './scripted.ts'

/** SlotConfig and KeyConfig of the slots that differ from the blank part's. */
const slots: Readonly<Record<number, readonly [slotConfig: number, keyConfig: number]>> = {
  0: [0x2087, 0x0033], // a private key that may do everything
  4: [0x8080, 0x001c], // the secret that masks reads and writes, and the I/O protection key
  5: [0x44c4, 0x003c], // read and written under slot 4 only
  6: [0x8080, 0x0018], // AES
  7: [0x4487, 0x0033], // a private key that the host brings under slot 4
  9: [0x0000, 0x0030], // a public key, also of SecureBoot
  11: [0x2080, 0x001c], // a secret that DeriveKey rolls
}
const serial = bytes(serialHex)
const secretKey = of('3c', 32)
const aesKey = bytes('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f')
const rolled = of('42', 32)
const hostNonce = of('21', 20)
const secret: secured.SharedSecret = { key: secretKey, slot: 4, hostNonce, serial }
const host = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const hostPoint = pointOfSpki(host.publicKey.export({ type: 'spki', format: 'der' }))

let chip: ChipSession
before(async () => {
  const time = paperTime()
  const part = new EmulatedPart(coreOf(blankEeprom({ serial, revision: 3 })), { time })
  chip = await openChipSession(i2cWire(emulatedI2c([part]), time), time)
  await lockConfiguration()
  await fillSlots()
  await zones.lockDataUnchecked(chip)
  await zones.writeZone(chip, { kind: 'data', slot: 9 }, 0, storedPoint(hostPoint))
})
after(() => chip.close())

async function lockConfiguration(): Promise<void> {
  const found = parseChipConfig(await zones.readConfig(chip))
  const wanted = writeChipConfig({
    ...found,
    slots: found.slots.map((rules, slot) => {
      const given = slots[slot]
      return given === undefined ? rules : readSlotRules(given[0])
    }),
    keys: found.keys.map((rules, slot) => {
      const given = slots[slot]
      return given === undefined ? rules : readKeyRules(given[1])
    }),
    options: { ...found.options, ioProtection: true, kdfAes: true, ioProtectionSlot: 4 },
    secureBoot: {
      mode: 1,
      persist: false,
      randomNonce: false,
      digestSlot: 0,
      publicKeySlot: 9,
    },
  })
  await zones.writeConfigZone(chip, wanted)
  const written = await zones.readConfig(chip)
  assert.equal(hexOf(written), hexOf(wanted))
  await assert.rejects(zones.lockConfig(chip, crc16(written) ^ 1), { code: 'ERR_ELEMENT_POLICY' })
  await zones.lockConfig(chip, crc16(written))
  await chip.refresh()
}

async function fillSlots(): Promise<void> {
  const contents = { 4: secretKey, 6: aesKey, 11: rolled }
  for (const [slot, content] of Object.entries(contents)) {
    await zones.writeBlocks(chip, { kind: 'data', slot: Number(slot) }, 0, content)
  }
}

/** Four bytes of padding before each coordinate. */
function storedPoint(point: Uint8Array): Uint8Array {
  const stored = new Uint8Array(72)
  stored.set(point.subarray(0, 32), 4)
  stored.set(point.subarray(32), 40)
  return stored
}

function keyOf(point: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(spkiOfPoint(point)), format: 'der', type: 'spki' })
}

/** A signature over a digest, as the host of a chip has only that. */
function isSignature(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = { key: keyOf(point), dsaEncoding: 'ieee-p1363' } as const
  return verify('sha256', message, key, signature)
}

function hostSign(message: Uint8Array): Uint8Array {
  return sign('sha256', message, { key: host.privateKey, dsaEncoding: 'ieee-p1363' })
}

function sha256(message: Uint8Array): Uint8Array {
  return createHash('sha256').update(message).digest()
}

const message = Buffer.from('what is signed')

test('Random and Info', async () => {
  const first = await basics.random(chip)
  assert.notEqual(hexOf(first), hexOf(await basics.random(chip)))
  assert.equal(hexOf(await basics.revision(chip)), '00006003')
  assert.equal((await basics.deviceState(chip)).length, 4)
})

test('GenKey and Sign', async () => {
  const point = await keys.createKey(chip, 0)
  assert.equal(hexOf(await keys.publicKeyOf(chip, 0)), hexOf(point))
  assert.equal(await basics.keyValid(chip, 0), true)
  for (const source of ['tempKey', 'messageDigest'] as const) {
    const signature = await chip.sequence(async (line) => {
      await keys.loadNonce(line, sha256(message), source)
      return keys.signExternal(line, 0, { source })
    })
    assert.ok(isSignature(point, message, signature))
  }
})

test('Verify', async () => {
  const good = hostSign(message)
  const bad = hostSign(Buffer.from('something else'))
  for (const [signature, expected] of [
    [good, true],
    [bad, false],
  ] as const) {
    const verdicts = await chip.sequence(async (line) => {
      await keys.loadNonce(line, sha256(message))
      const external = await verifying.verifyExternal(line, signature, hostPoint)
      await keys.loadNonce(line, sha256(message), 'messageDigest')
      return [external, await verifying.verifyStored(line, 9, signature, 'messageDigest')]
    })
    assert.deepEqual(verdicts, [expected, expected])
    for (const key of [hostPoint, 9]) {
      const input = {
        message: sha256(message),
        signature,
        key,
        hostNonce: of('6b', 32),
        ioKey: secretKey,
      }
      assert.equal(await chip.sequence((line) => verifying.verifyWithMac(line, input)), expected)
    }
  }
})

function hostSecret(point: Uint8Array): string {
  const ecdh = createECDH('prime256v1')
  const { d = '' } = host.privateKey.export({ format: 'jwk' })
  ecdh.setPrivateKey(Buffer.from(d, 'base64url'))
  return ecdh.computeSecret(Buffer.concat([Uint8Array.of(4), point])).toString('hex')
}

test('ECDH', async () => {
  const point = await keys.createKey(chip, 0)
  assert.equal(hexOf(await agree.ecdh(chip, 0, hostPoint)), hostSecret(point))
  assert.equal(hexOf(await agree.ecdhCompatible(chip, 0, hostPoint)), hostSecret(point))
  const masked = await agree.ecdhEncrypted(chip, 0, hostPoint, secretKey)
  assert.equal(hexOf(masked), hostSecret(point))
  const ephemeral = await chip.sequence(async (line) => {
    const made = await keys.createEphemeralKey(line)
    return { made, shared: await agree.ecdh(line, 'tempKey', hostPoint) }
  })
  assert.equal(hexOf(ephemeral.shared), hostSecret(ephemeral.made))
})

test('ECDH and then KDF, inside', async () => {
  const point = await keys.createKey(chip, 0)
  const info = Buffer.from('a label')
  const key = await chip.sequence(async (line) => {
    await agree.ecdhToTempKey(line, 0, hostPoint)
    return agree.kdf(line, {
      algorithm: 'hkdf',
      source: 'tempKey',
      target: 'output',
      details: 0x02, // the message stands in the input
      message: info,
      ioKey: secretKey,
    })
  })
  // One HMAC over the message: the step that the command does.
  const expected = createHmac('sha256', Buffer.from(hostSecret(point), 'hex'))
    .update(info)
    .digest()
  assert.equal(hexOf(key), expected.toString('hex'))
})

test('SHA and HMAC', async () => {
  for (const length of [0, 1, 63, 64, 65, 200]) {
    const data = of('61', length)
    const digest = await chip.sequence((line) => digests.sha256Inside(line, data))
    assert.equal(hexOf(digest), hexOf(sha256(data)), `${length} bytes`)
    const keyed = await chip.sequence((line) => digests.hmacInside(line, 4, data))
    assert.equal(hexOf(keyed), createHmac('sha256', secretKey).update(data).digest('hex'))
  }
})

test('a SHA that goes on from its context', async () => {
  const digest = await chip.sequence(async (line) => {
    await digests.startSha(line)
    await new digests.ShaStream(line).update(of('61', 64))
    const context = await digests.readShaContext(line)
    await digests.startSha(line)
    await digests.writeShaContext(line, context)
    return new digests.ShaStream(line).end()
  })
  assert.equal(hexOf(digest), hexOf(sha256(of('61', 64))))
})

function aesPart(part: number): Buffer {
  return Buffer.from(aesKey.subarray(part * 16, part * 16 + 16))
}

test('AES by blocks and by modes', async () => {
  const block = of('88', 16)
  for (const part of [0, 1] as const) {
    const secretBlock = await aesEncrypt(chip, { at: 6, part })(block)
    const theirs = createCipheriv('aes-128-ecb', aesPart(part), null).setAutoPadding(false)
    assert.equal(hexOf(secretBlock), theirs.update(block).toString('hex'))
    assert.equal(hexOf(await aesDecrypt(chip, { at: 6, part })(secretBlock)), hexOf(block))
  }
  const iv = of('0f', 16)
  const encrypt = aesEncrypt(chip, { at: 6 })
  const cbc = await cbcEncrypt(encrypt, iv, of('77', 48))
  const open = createDecipheriv('aes-128-cbc', aesPart(0), iv).setAutoPadding(false)
  assert.equal(open.update(cbc).toString('hex'), hexOf(of('77', 48)))
  assert.equal(hexOf(await cbcDecrypt(aesDecrypt(chip, { at: 6 }), iv, cbc)), hexOf(of('77', 48)))
})

test('AES-GCM with the multiplication of the chip, and AES-CCM', async () => {
  const encrypt = aesEncrypt(chip, { at: 6 })
  const nonce = of('0f', 12)
  const aad = Buffer.from('beside')
  const plain = Buffer.from('what nobody may read, in more than a block')
  const key = aesPart(0)
  const gcm = await gcmSeal(encrypt, aesMultiply(chip), nonce, aad, plain)
  const opener = createDecipheriv('aes-128-gcm', key, nonce).setAAD(aad)
  opener.setAuthTag(gcm.subarray(-16))
  assert.equal(
    Buffer.concat([opener.update(gcm.subarray(0, -16)), opener.final()]).toString(),
    plain.toString(),
  )
  assert.deepEqual(Buffer.from(await gcmOpen(encrypt, aesMultiply(chip), nonce, aad, gcm)), plain)
  const ccm = await ccmSeal(encrypt, nonce, aad, plain, 8)
  const options = { authTagLength: 8 }
  const ccmOpener = createDecipheriv('aes-128-ccm', key, nonce, options)
  ccmOpener.setAuthTag(ccm.subarray(-8))
  ccmOpener.setAAD(aad, { plaintextLength: plain.length })
  assert.equal(ccmOpener.update(ccm.subarray(0, -8)).toString(), plain.toString())
  assert.deepEqual(Buffer.from(await ccmOpen(encrypt, nonce, aad, ccm, 8)), plain)
})

test('encrypted writes and reads', async () => {
  const plain = bytes('f0'.repeat(16) + '0d'.repeat(16))
  await chip.sequence((line) => secured.writeEncrypted(line, 5, 0, plain, secret))
  const read = await chip.sequence((line) => secured.readEncrypted(line, 5, 0, secret))
  assert.equal(hexOf(read), hexOf(plain))
  await assert.rejects(zones.readZone(chip, { kind: 'data', slot: 5 }, 0, 32), {
    code: 'ERR_ELEMENT_POLICY',
  })
  const wrong = { ...secret, key: of('3d', 32) }
  await assert.rejects(
    chip.sequence((line) => secured.writeEncrypted(line, 5, 0, plain, wrong)),
    { code: /ERR_ELEMENT_(POLICY|VERIFY_FAILED)/ },
  )
})

test('PrivWrite under the secret', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const {
    d = '',
    x = '',
    y = '',
  } = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })).export({
    format: 'jwk',
  })
  const raw = new Uint8Array(Buffer.from(d, 'base64url'))
  await chip.sequence((line) => secured.writePrivateKey(line, 7, raw, secret))
  const point = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  assert.equal(hexOf(await keys.publicKeyOf(chip, 7)), point.toString('hex'))
})

test('MAC and CheckMac', async () => {
  const challenge = of('31', 32)
  const response = await macs.mac(chip, 0x40, 4, challenge)
  assert.equal(hexOf(response), hexOf(macValue(secretKey, challenge, 0x40, 4, serial)))
  // The other side's MAC: opcode, mode, slot, and the parts of its serial.
  const other = bytes(
    `08 40 04 00 000000 ${hexOf(serial.subarray(4, 8))} ${hexOf(serial.subarray(2, 4))}`,
  )
  const input = { mode: 0, slot: 4, challenge, other }
  assert.equal(await macs.checkMac(chip, { ...input, response }), true)
  assert.equal(await macs.checkMac(chip, { ...input, response: of('00', 32) }), false)
})

test('DeriveKey rolls a secret', async () => {
  const randOut = await chip.sequence(async (line) => {
    const random = await keys.randomNonce(line, hostNonce)
    await macs.deriveKey(line, 0, 11)
    return random
  })
  const expected = derivedKey(rolled, 0, 11, serial, nonceValue(randOut, hostNonce, 0))
  const keyed = await chip.sequence((line) => digests.hmacInside(line, 11, message))
  assert.equal(hexOf(keyed), createHmac('sha256', expected).update(message).digest('hex'))
})

test('Counter', async () => {
  const value = await basics.readCounter(chip, 1)
  assert.equal(await basics.incrementCounter(chip, 1), value + 1)
  assert.equal(await basics.readCounter(chip, 1), value + 1)
})

test('SecureBoot, in clear and under the secret', async () => {
  const digest = sha256(message)
  for (const [signature, expected] of [
    [hostSign(message), true],
    [hostSign(Buffer.from('other code')), false],
  ] as const) {
    const input = { mode: 'full', digest, signature } as const
    assert.equal(await chip.sequence((line) => boot.secureBoot(line, input)), expected)
    const masked = { ...input, ioKey: secretKey, hostNonce }
    assert.equal(await chip.sequence((line) => boot.secureBootMasked(line, masked)), expected)
  }
})

test('SelfTest and UpdateExtra', async () => {
  assert.deepEqual(await boot.selfTest(chip), [])
  await boot.writeExtra(chip, 'userExtra', 0x42)
  assert.equal((await zones.readConfig(chip))[84], 0x42)
  await assert.rejects(boot.writeExtra(chip, 'userExtra', 0x43), { code: 'ERR_ELEMENT_POLICY' })
})

test('a slot that is locked stays as it is', async () => {
  const zone = { kind: 'data', slot: 9 } as const
  await zones.lockSlot(chip, 9)
  await assert.rejects(zones.writeZone(chip, zone, 0, of('77', 4)), { code: 'ERR_ELEMENT_POLICY' })
  assert.equal(hexOf(await zones.readZone(chip, zone, 4, 32)), hexOf(hostPoint.subarray(0, 32)))
})
