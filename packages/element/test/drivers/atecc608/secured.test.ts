/**
 * Encrypted reads and writes, and answers that prove themselves. Session keys, masks and MACs were
 * computed by a foreign program (hashlib for Python) from the layouts of the public documents.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ecdhEncrypted, kdf } from '../../../src/drivers/atecc608/agree.ts'
import { secureBootMasked } from '../../../src/drivers/atecc608/boot.ts'
import {
  derivedKey,
  deriveKeyMac,
  genDigValue,
  genKeyValue,
  macValue,
  nonceValue,
} from '../../../src/drivers/atecc608/hostMath.ts'
import {
  readEncrypted,
  type SharedSecret,
  writeEncrypted,
  writePrivateKey,
} from '../../../src/drivers/atecc608/secured.ts'
import { verifyWithMac } from '../../../src/drivers/atecc608/verify.ts'
import { of, Recorder, r } from './recorder.ts'
import { bytes, hexOf } from './scripted.ts'

const serial = bytes('0123a1b2c3d4e5f6ee')
const hostNonce = of('21', 20)
const secret: SharedSecret = { key: of('3c', 32), slot: 4, hostNonce, serial }
const randOut = r('a7', 32)
const tempKey = bytes('503bb7607e9f9716ed1906bc23882db42a981c3a27b19a2c6fda7588ba05d45e')
const sessionKey = 'f1a1f14ac3ae705a11723c421dae122cc841be394eb7bf8e332470a3ecee9821'
const plain = Uint8Array.from({ length: 32 }, (_, index) => index)
const masked = 'f1a0f349c7ab765d197b364911a31c23d850ac2a5aa2a9992b3d6ab8f0f3863e'
const agreement = [`1b 16 00 00 00 ${r('21', 20)} f6 85`, '07 15 02 04 00 33 48'] as const

test('a nonce and a GenDig give the same key on both sides', () => {
  assert.equal(hexOf(nonceValue(bytes(randOut), hostNonce, 0)), hexOf(tempKey))
  assert.equal(hexOf(genDigValue(tempKey, secret.key, 4, serial)), sessionKey)
})

test('an encrypted read is unmasked', async () => {
  const line = new Recorder(randOut, '00', masked)
  assert.equal(hexOf(await readEncrypted(line, 5, 0, secret)), hexOf(plain))
  line.sent(...agreement, '07 02 82 28 00 0a 50')
})

test('where the slot has NoMac, the host says what goes into the digest', async () => {
  const line = new Recorder(randOut, '00', masked)
  const read = await readEncrypted(line, 5, 0, { ...secret, noMac: true })
  assert.equal(hexOf(read), hexOf(plain))
  line.sent(agreement[0], '0b 15 02 04 00 15 02 04 00 d2 ec', '07 02 82 28 00 0a 50')
})

test('an encrypted write is masked and proves whose it is', async () => {
  const line = new Recorder(randOut, '00', '00')
  await writeEncrypted(line, 5, 0, plain, secret)
  const mac = '69d0c4c9d59e5ea92b49e5759c30f469e0efd677b4eb1edc12308d2f1835e199'
  line.sent(...agreement, `47 12 c2 28 00 ${masked} ${mac} 10 da`)
})

test('a private key goes in clear, or masked with a longer mask', async () => {
  const open = new Recorder('00')
  await writePrivateKey(open, 2, of('17', 32))
  open.sent(`4b 46 00 02 00 00000000 ${r('17', 32)} ${r('00', 32)} fd 7a`)

  const line = new Recorder(randOut, '00', '00')
  await writePrivateKey(line, 2, of('17', 32), secret)
  const key = 'f1a1f14ad4b9674d06652b550ab9053bdf56a92e59a0a899243367b4fbf98f36562309cb'
  const mac = '8df57e0921ab52ef8aaa995acc8cb8978a438857287ba8b833468d35062d258e'
  line.sent(...agreement, `4b 46 40 02 00 ${key} ${mac} 04 9b`)
})

const ioKey = of('4d', 32)
const outNonce = '202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f'
const maskedSecret = '19ef084532cdad754dc652a7c2f732c10ba6f7a384948faff1ac096a759c65c9'

test('a shared secret under the I/O key is unmasked', async () => {
  const line = new Recorder(maskedSecret + outNonce)
  assert.equal(hexOf(await ecdhEncrypted(line, 2, of('d4', 64), ioKey)), r('99', 32))
  line.sent(`47 43 0e 02 00 ${r('d4', 64)} e0 55`)
})

test('64 bytes of a KDF have two masks', async () => {
  const second = '85e4679e90960948d743021006f73dc0cbbac67dbed0d0cd9109b645eb620d3c'
  const line = new Recorder(maskedSecret + second + outNonce)
  const key = await kdf(line, {
    algorithm: 'prf',
    source: 'tempKey',
    target: 'output',
    details: 0x0102,
    message: Buffer.from('abc'),
    ioKey,
  })
  assert.equal(hexOf(key), r('99', 32) + r('98', 32))
})

test('a verdict with a MAC is believed only with that MAC', async () => {
  const input = {
    message: of('5a', 32),
    signature: of('c3', 64),
    key: of('d4', 64),
    hostNonce: of('6b', 32),
    ioKey,
  }
  const mac = '4b9998f5def46f55e118dc6ee7669091e84bfce95f511b7b5d2176dcc711c8ed'
  const line = new Recorder('00', mac)
  assert.equal(await verifyWithMac(line, input), true)
  line.sent(
    `47 16 63 00 00 ${r('5a', 32)} ${r('6b', 32)} d9 42`,
    `87 45 a2 04 00 ${r('c3', 64)} ${r('d4', 64)} 39 91`,
  )
  assert.equal(await verifyWithMac(new Recorder('00', mac.replace('4b', '4a')), input), false)
  // The chip says itself that the signature is wrong; and a plain "done" proves nothing.
  assert.equal(await verifyWithMac(new Recorder('00', '01'), input), false)
  await assert.rejects(verifyWithMac(new Recorder('00', '00'), input), {
    code: 'ERR_ELEMENT_PARSE',
  })
})

test('a secure boot with a masked digest is believed only with its MAC', async () => {
  const input = {
    mode: 'full',
    digest: of('31', 32),
    signature: of('c3', 64),
    ioKey,
    hostNonce,
  } as const
  const mac = '9ba86364a6d1ca98f225ebfb4ada5ac13cae6fbd0dbbd98bd21dafd4f7ea0fc3'
  const line = new Recorder(randOut, mac)
  assert.equal(await secureBootMasked(line, input), true)
  const digest = '24d95bea13fed57366af7644b9b5586bdc023bf293a28579cfc2f98507ae902a'
  line.sent(agreement[0], `67 80 85 00 00 ${digest} ${r('c3', 64)} 72 31`)
  assert.equal(await secureBootMasked(new Recorder(randOut, r('00', 32)), input), false)
  assert.equal(await secureBootMasked(new Recorder(randOut, '01'), input), false)
})

test('keys and MACs that a host foresees', () => {
  const derive = deriveKeyMac(secret.key, 4, 5, serial)
  assert.equal(hexOf(derive), 'bb4c377c8f8ab818f945ba8f25f2ef5827565a93bdd1affeb3bd74118ac5e948')
  const derived = derivedKey(secret.key, 4, 5, serial, tempKey)
  assert.equal(hexOf(derived), '3b2e9d44163c6349978d54ca28f8d2b0c20385b0215a3173df74e839232df63d')
  const challenge = of('31', 32)
  assert.equal(
    hexOf(macValue(secret.key, challenge, 0x40, 5, serial)),
    '7121c80ca79c06425ccbc2f205dd75c683ccd3df6103f15416e5750d5699ce09',
  )
  assert.equal(
    hexOf(macValue(secret.key, challenge, 0x00, 5, serial)),
    '0d9a17bf37176a5fdda8822af363b5cfe210bce3eb5041594ab441218daeab9a',
  )
  const digest = genKeyValue(tempKey, 8, 2, serial, of('d4', 64))
  assert.equal(hexOf(digest), 'e6fb2a15d456d5bd1eea774454cadfff852833c696f6f5a4621eb115b4f45b5a')
})
