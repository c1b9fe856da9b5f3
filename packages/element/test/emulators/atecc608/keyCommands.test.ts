/**
 * GenKey, Sign, Verify, ECDH and the attestation of a key. Points, signatures, digests and secrets
 * were computed with Python (hashlib, and P-256 on its integers); the nonce of every signature here
 * is A5 in each byte.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, chipOn, exchange, memory } from './packets.ts'

const numbers32 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const pointA5 =
  '7e44e96e91234bd1aea40346ae031588ea33e64e734fe641651f46d443fdee3c' +
  '5a096d0971e761340dbb9187aff5746ed0b28703abc49a1acaf21b6a929165d7'
/** Of the scalars 11…11 and 33…33. */
const point0 =
  '0217e617f0b6443928278f96999e69a23a4f2c152bdf6d6cdf66e5b80282d4ed' +
  '194a7debcb97712d2dda3ca85aa8765a56f45fc758599652f2897c65306e5794'
const point3 =
  '51a7580833898ea1b183cbd7350a4099078c6ef1c1e18e970cd7683035f25e7d' +
  '0110522712b0b5a7cff081685486984a94e6831edac46e7360fa9d834a7a81a1'
const r = '7e44e96e91234bd1aea40346ae031588ea33e64e734fe641651f46d443fdee3c'
const externalSignature = `${r}204c386b5e05afac6c27ea4808247dee2ad9ec76f54c1262b8f85ee902da6688`

const point1 =
  'd65a93977caa3d1b081852ff57a79e465f1660577304baead505dd3a48589cf3' +
  '50185e895372df6221ea3a137557e473fddb6755f05bd507c3c533fce9c91285'
const sBy33 = 'be3214bc97db4f96fb327063021bd17e9bd7ba89b243779100e3f4fd13a83361'
const ephemeralSecret = '02e503255fddba1ed09c528a337a3471ff6563d81344d7fe91caefc976b10998'
/** Under SHA-256 of 44…44 and half of the nonce A5…A5. */
const encryptedSecret = '2a6f9a3c0129829c96328d82832042ae99b7fefea6dc460dfc51efbffbaddad7'
const validating = `${r}9cdfaf8d439f17f56d80bbbfe9f92b72b2f3d687afd5d75dbb2b1eddb8d8b3ca`
const invalidating = `${r}11f1872f23f745ee85826ae192d40b56672223fe2cf6844a75abc7e3465ee93c`

/** Slot 0 and 2 device keys, 1 the attestation key, 3 an ECDH key whose secret stays inside. */
function device(locks: 'config' | 'both' = 'both') {
  return memory({
    slots: {
      0: ['8720', '3300'],
      1: ['8220', '3300'],
      2: ['8720', '3300'],
      6: ['8c20', '3300'],
      7: ['8020', '1c00'],
      9: ['0000', '1000'],
    },
    data: {
      0: `00000000${'11'.repeat(32)}`,
      1: `00000000${'22'.repeat(32)}`,
      6: `00000000${'11'.repeat(32)}`,
      9: `00000000${point3.slice(0, 64)}00000000${point3.slice(64)}`,
    },
    locks,
  })
}

test('GenKey makes a key in a slot, in one write, and answers its public key', () => {
  const eeprom = device()
  const chip = chipOn(eeprom)
  assert.equal(ask(chip, '40 00 0200'), '0f', 'the slot is empty')
  assert.equal(ask(chip, '30 01 0200'), '00000000')
  const before = eeprom.writeCount
  assert.equal(ask(chip, '40 04 0200'), pointA5)
  assert.equal(eeprom.writeCount, before + 1)
  assert.equal(ask(chip, '40 00 0200'), pointA5)
  assert.equal(ask(chip, '30 01 0200'), '01000000')
})

test('Sign of a digest that the host loaded, from either register, once', () => {
  const chip = chipOn(device())
  assert.equal(exchange(chip, `27 16 03 0000 ${numbers32} 04ee`), '04000340')
  assert.equal(ask(chip, '41 80 0000'), externalSignature)
  assert.equal(ask(chip, '41 80 0000'), '0f', 'the digest is gone')
  assert.equal(ask(chip, `16 43 0000 ${numbers32}`), '00')
  assert.equal(ask(chip, '41 a0 0000'), externalSignature)
  assert.equal(ask(chip, '41 a0 0000'), '0f')
})

test('the attestation of slot 0 by slot 1: Nonce, GenKey with digest, internal Sign', () => {
  const chip = chipOn(device())
  assert.equal(ask(chip, `16 03 0000 ${numbers32}`), '00')
  assert.equal(ask(chip, '40 08 0000'), point0)
  // Slot 0, source of the host, GenKey; TempKey is valid.
  assert.equal(ask(chip, '30 02 0000'), '50800000')
  // Over the SHA-256 of 595fa057…195499 41 40 0100 8720 3300 50 0000 ee 89abcdef 0123 4567 01 00 00.
  assert.equal(
    ask(chip, '41 40 0100'),
    `${r}5f733df178a79c6c8daf3a37ba653a6c81063ee262f1fbd4ac8f90e3e4200107`,
  )
  assert.equal(ask(chip, '41 40 0100'), '0f', 'TempKey is gone')
})

test('an internal signature is never over what a host loaded, whatever bit 5 says', () => {
  const chip = chipOn(device())
  ask(chip, `16 03 0000 ${numbers32}`)
  assert.equal(ask(chip, '41 00 0100'), '0f')
  ask(chip, `16 43 0000 ${numbers32}`)
  assert.equal(ask(chip, '41 20 0100'), '0f', 'the digest buffer is no source of it')
  assert.equal(ask(chip, '40 08 0000'), point0, 'a refused Sign leaves TempKey')
  assert.equal(ask(chip, '41 60 0100').length, 128)
})

test('a Nonce over TempKey draws no number, and counts as random', () => {
  const chip = chipOn(device())
  const command = `16 00 0080 ${'00'.repeat(20)}`
  assert.equal(ask(chip, command), '0f', 'there is no TempKey')
  ask(chip, `16 03 0000 ${numbers32}`)
  assert.equal(
    ask(chip, command),
    // SHA-256 of 00 01 … 1f, 20 zeros, 16 00 00.
    '6a0cc62f189b55dd2fec171472906ab01827e8092f308a133da926b1ef3ee6fa',
  )
  assert.equal(ask(chip, '30 02 0000'), '00800000')
})

test('the attestation key signs nothing of the host, the device key with ReadKey 7 both', () => {
  const chip = chipOn(device())
  ask(chip, `16 03 0000 ${numbers32}`)
  assert.equal(ask(chip, '41 80 0100'), '0f')
  assert.equal(ask(chip, '41 80 0000'), externalSignature)
})

test('Verify with a point in the packet: right, wrong, and no point', () => {
  const chip = chipOn(device())
  const load = (): string => ask(chip, `16 03 0000 ${numbers32}`)
  load()
  assert.equal(ask(chip, `45 02 0400 ${externalSignature} ${point0}`), '00')
  assert.equal(ask(chip, `45 02 0400 ${externalSignature} ${point0}`), '0f', 'TempKey is gone')
  load()
  assert.equal(ask(chip, `45 02 0400 ${externalSignature} ${point3}`), '01')
  load()
  assert.equal(ask(chip, `45 02 0400 ${'00'.repeat(64)} ${point0}`), '01')
  load()
  assert.equal(ask(chip, `45 02 0400 ${externalSignature} ${'01'.repeat(64)}`), '05')
})

test('Verify with a stored point', () => {
  const chip = chipOn(device())
  ask(chip, `16 03 0000 ${numbers32}`)
  assert.equal(ask(chip, `45 00 0900 ${externalSignature}`), '01')
  // By 33…33, the key of slot 9.
  const signature = `${r}${sBy33}`
  ask(chip, `16 43 0000 ${numbers32}`)
  assert.equal(ask(chip, `45 20 0900 ${signature}`), '00')
})

test('GenKey puts the digest of a stored public key into TempKey', () => {
  const chip = chipOn(device())
  ask(chip, `16 03 0000 ${numbers32}`)
  assert.equal(ask(chip, '40 10 0900 0a0b0c'), '00')
  assert.equal(ask(chip, '30 02 0000'), '59800000')
})

test('ECDH to the bus, to TempKey and into the slot above', () => {
  const secret = '39a10ced504c975c9e089753c8250af85a2521eaa13d721f3395bc7bb45b92f5'
  const eeprom = device()
  const chip = chipOn(eeprom)
  assert.equal(ask(chip, `43 00 0000 ${point3}`), secret)
  assert.equal(ask(chip, `43 0c 0000 ${point3}`), secret)
  assert.equal(ask(chip, `43 08 0000 ${point3}`), '00')
  assert.equal(ask(chip, '30 02 0000'), '10800000')
  assert.equal(ask(chip, `43 0c 0600 ${point3}`), '0f', 'the secret of slot 6 stays inside')
  assert.equal(ask(chip, `43 00 0600 ${point3}`), '00')
  assert.equal(Buffer.from(eeprom.read(7, 0, 32)).toString('hex'), secret)
  assert.equal(ask(chip, `43 00 0000 ${'01'.repeat(64)}`), '05', 'no point')
  assert.equal(ask(chip, `43 00 0100 ${point3}`), '0f', 'no key for this')
})

test('an ephemeral key lives in TempKey, for one ECDH', () => {
  const chip = chipOn(device())
  assert.equal(ask(chip, '40 04 ffff'), pointA5)
  assert.equal(ask(chip, '41 40 0100'), '0f', 'it is nothing to sign')
  assert.equal(ask(chip, `43 0d 0000 ${point3}`), ephemeralSecret)
  assert.equal(ask(chip, `43 0d 0000 ${point3}`), '0f')
  ask(chip, `16 03 0000 ${numbers32}`)
  assert.equal(ask(chip, `43 0d 0000 ${point3}`), '0f', 'what a host loaded is no key')
})

test('the secret goes out encrypted when ChipOptions has an IO key', () => {
  const eeprom = memory({
    slots: { 0: ['8720', '3300'], 4: ['8020', '1c00'] },
    data: { 0: `00000000${'11'.repeat(32)}`, 4: '44'.repeat(32) },
    config: { 90: '0240' },
  })
  assert.equal(ask(chipOn(eeprom), `43 0e 0000 ${point3}`), `${encryptedSecret}${'a5'.repeat(32)}`)
  // The same key in slot 12, and none in 4.
  const above = memory({
    slots: { 0: ['8720', '3300'], 12: ['8020', '1c00'] },
    data: { 0: `00000000${'11'.repeat(32)}`, 12: '44'.repeat(32) },
    config: { 90: '02c0' },
  })
  assert.equal(ask(chipOn(above), `43 0e 0000 ${point3}`), `${encryptedSecret}${'a5'.repeat(32)}`)
})

test('a public key is validated by its parent and used only then', () => {
  const eeprom = memory({
    slots: {
      1: ['8220', '3300'],
      // A validated public key is needed; its parent is slot 10; written while it is not valid.
      9: ['0a10', '1200'],
      10: ['0000', '1000'],
    },
    data: {
      1: `00000000${'22'.repeat(32)}`,
      9: `a0000000${point3.slice(0, 64)}00000000${point3.slice(64)}`,
      10: `00000000${point1.slice(0, 64)}00000000${point1.slice(64)}`,
    },
  })
  const chip = chipOn(eeprom)
  const prepare = (): void => {
    assert.equal(ask(chip, `16 03 0000 ${numbers32}`), '00')
    assert.equal(ask(chip, '40 10 0900 000900'), '00')
  }
  ask(chip, `16 43 0000 ${numbers32}`)
  assert.equal(ask(chip, `45 20 0900 ${r}${sBy33}`), '0f', 'not validated')
  assert.equal(ask(chip, '12 02 4800 a0000000'), '00', 'writable as long as that is so')
  prepare()
  const other = '00010000000000590000 00000000 0000 01 00 00'
  assert.equal(ask(chip, `45 03 0900 ${validating} ${other}`), '00')
  assert.equal(eeprom.byte(9, 0), 0x50)
  assert.equal(ask(chip, `45 20 0900 ${r}${sBy33}`), '00')
  assert.equal(ask(chip, '12 02 4800 a0000000'), '0f', 'not writable any more')
  prepare()
  assert.equal(ask(chip, `45 07 0900 ${validating} ${other}`), '0f', 'signed to validate')
  prepare()
  const inverse = '01010000000000590000 00000000 0000 01 01 00'
  assert.equal(ask(chip, `45 07 0900 ${invalidating} ${inverse}`), '00')
  assert.equal(eeprom.byte(9, 0), 0xa0)
})

test('Verify answers a MAC under the IO key where that was asked for', () => {
  const chip = chipOn(
    memory({
      slots: { 4: ['8020', '1c00'] },
      data: { 4: '44'.repeat(32) },
      config: { 90: '0240' },
    }),
  )
  const nonce = '66'.repeat(32)
  assert.equal(ask(chip, `16 63 0000 ${numbers32} ${nonce}`), '00')
  assert.equal(
    ask(chip, `45 a2 0400 ${externalSignature} ${point0}`),
    'f1215c35cf82224fe0ea57f1f1abc9c282325022d4ccc997b9ad749ddd94be9f',
  )
  ask(chip, `16 03 0000 ${numbers32}`)
  ask(chip, `16 43 0000 ${nonce}`)
  assert.equal(
    ask(chip, `45 82 0400 ${externalSignature} ${point0}`),
    '5549a7602952654d561f9c8a4582accc6fa795875f043448d81c68dcc7c7f4ce',
  )
})
