/**
 * Secure boot from the driver to the emulated ATECC608: what is kept between boots, the latch that
 * lets a key serve after a good boot, the prohibition, and the form that the bus cannot read. Code
 * is signed by OpenSSL (through Node).
 */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { volatileKeyPermit } from '../../../src/drivers/atecc608/basics.ts'
import {
  type SecureBootInput,
  secureBoot,
  secureBootMasked,
} from '../../../src/drivers/atecc608/boot.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import { pointOfSpki } from '../../../src/signer.ts'
import { memory, type Setup } from '../../emulators/atecc608/packets.ts'
import { type OnEmulator, onEmulator } from './onEmulator.ts'
import { of } from './recorder.ts'
import { hexOf } from './scripted.ts'

const maker = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const point = pointOfSpki(maker.publicKey.export({ type: 'spki', format: 'der' }))
const refused = { code: 'ERR_ELEMENT_POLICY' }

function code(text: string): { readonly digest: Uint8Array; readonly signature: Uint8Array } {
  const key = { key: maker.privateKey, dsaEncoding: 'ieee-p1363' } as const
  return {
    digest: createHash('sha256').update(text).digest(),
    signature: sign('sha256', Buffer.from(text), key),
  }
}

const [one, two] = [code('firmware 1'), code('firmware 2')]
const forged = { digest: two.digest, signature: one.signature }

/** SecureBoot word: mode, persist (8), random nonce (10), kept slot and key slot above. */
function setup(word: string, keptSlot = 7): Setup {
  const y = hexOf(point.subarray(32))
  return {
    slots: {
      0: ['8720', '3310'], // waits for the latch
      6: ['8f80', '1c00'], // the I/O protection key
      [keptSlot]: ['9f8f', '1c00'], // not read, not written by anyone but SecureBoot
      15: ['0f0f', '3000'],
    },
    data: {
      0: `00000000${'11'.repeat(32)}`,
      6: '66'.repeat(32),
      15: `00000000${hexOf(point.subarray(0, 32))}00000000${y}`,
    },
    config: { 70: word, 90: '0660' },
  }
}

function boot({ chip }: OnEmulator, input: SecureBootInput): Promise<boolean> {
  return chip.sequence((line) => secureBoot(line, input))
}

function masked({ chip }: OnEmulator, input: SecureBootInput, key = of('66', 32)) {
  return chip.sequence((line) =>
    secureBootMasked(line, { ...input, ioKey: key, hostNonce: of('21', 20) }),
  )
}

async function signs({ chip }: OnEmulator): Promise<Uint8Array> {
  return chip.sequence(async (line) => {
    await keys.loadNonce(line, of('5a', 32))
    return keys.signExternal(line, 0)
  })
}

test('with the digest kept, a boot is a comparison, and frees the key that waits for it', async () => {
  const on = await onEmulator(memory(setup('0bf7')))
  const short = { mode: 'fullStore', digest: one.digest } as const
  assert.equal(await boot(on, short), false, 'nothing was copied yet')
  assert.equal(await boot(on, { mode: 'fullCopy', ...forged }), false)
  assert.equal(await boot(on, short), false)
  await assert.rejects(signs(on), refused)

  assert.equal(await boot(on, { mode: 'fullCopy', ...one }), true)
  assert.equal(hexOf(on.eeprom.read(7, 0, 32)), hexOf(one.digest))
  on.powerCycle()
  await assert.rejects(signs(on), refused, 'a new power needs a new boot')
  assert.equal(await boot(on, { ...short, digest: two.digest }), false)
  await assert.rejects(signs(on), refused)
  assert.equal(await boot(on, short), true)
  assert.equal(hexOf(await volatileKeyPermit(on.chip)), '01000000')
  assert.equal((await signs(on)).length, 64)

  assert.equal(await boot(on, { mode: 'fullCopy', ...two }), true, 'an update')
  assert.equal(await boot(on, short), false, 'the old one is not the firmware any more')
  assert.equal(await boot(on, { ...short, digest: two.digest }), true)
})

test('with the signature kept, the short form is verified with it', async () => {
  const on = await onEmulator(memory(setup('02f9', 9)))
  const short = { mode: 'fullStore', digest: one.digest } as const
  assert.equal(await boot(on, short), false)
  assert.equal(await boot(on, { mode: 'fullCopy', ...one }), true)
  assert.equal(hexOf(on.eeprom.read(9, 0, 64)), hexOf(one.signature))
  assert.equal(await boot(on, short), true)
  assert.equal(await boot(on, { ...short, digest: two.digest }), false)
  await assert.rejects(signs(on), refused, 'without the bit a boot sets no latch')
})

test('with nothing kept, only the whole form', async () => {
  const on = await onEmulator(memory(setup('01f7')))
  assert.equal(await boot(on, { mode: 'full', ...one }), true)
  assert.equal(await boot(on, { mode: 'full', ...forged }), false)
  await assert.rejects(boot(on, { mode: 'fullStore', digest: one.digest }), refused)
  await assert.rejects(boot(on, { mode: 'fullCopy', ...one }), refused)
  const off = await onEmulator(memory(setup('00f7')))
  await assert.rejects(boot(off, { mode: 'full', ...one }), refused)
})

test('after a boot with the prohibition there is none until the power goes', async () => {
  const on = await onEmulator(memory(setup('01f7')))
  assert.equal(await boot(on, { mode: 'full', ...forged, prohibit: true }), false)
  assert.equal(await boot(on, { mode: 'full', ...one, prohibit: true }), true)
  on.part.sleep()
  await assert.rejects(boot(on, { mode: 'full', ...one }), refused)
  on.powerCycle()
  assert.equal(await boot(on, { mode: 'full', ...one }), true)
})

test('masked: each form, its proof, and none under another key or a nonce of the host', async () => {
  const on = await onEmulator(memory(setup('1bf7')))
  await assert.rejects(boot(on, { mode: 'full', ...one }), refused, 'a random nonce is asked for')
  assert.equal(await masked(on, { mode: 'full', ...one }), true)
  assert.equal(await masked(on, { mode: 'full', ...forged }), false)
  assert.equal(await masked(on, { mode: 'full', ...one }, of('67', 32)), false)
  assert.equal(await masked(on, { mode: 'fullCopy', ...one }), true)
  assert.equal(hexOf(on.eeprom.read(7, 0, 32)), hexOf(one.digest), 'kept in clear, inside')
  assert.equal(await masked(on, { mode: 'fullStore', digest: one.digest }), true)
  assert.equal(await masked(on, { mode: 'fullStore', digest: two.digest }), false)
})

test('the slot of what is kept must not be locked', async () => {
  const on = await onEmulator(memory({ ...setup('03f7'), slotLocks: [7] }))
  await assert.rejects(boot(on, { mode: 'fullCopy', ...one }), refused)
  assert.equal(await boot(on, { mode: 'full', ...one }), true)
})
