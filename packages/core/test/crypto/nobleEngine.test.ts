/**
 * The portable provider in an engine that has the language and nothing else: no crypto, no
 * TextEncoder, no Buffer. What comes out is what standards give.
 */
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { after, before, suite, test } from 'node:test'
import { build } from 'esbuild'
import type { QuickJS } from 'quickjs-wasi'
import { bytecodeOfText } from '../tls/quickjs/build.ts'
import { bareEngine } from '../tls/quickjs/engine.ts'

const root = fileURLToPath(new URL('../../../..', import.meta.url))

/** Bytes of heap: the tables of AES alone are 655 kB. */
const memoryLimit = 8_000_000

suite('the portable provider in a small engine', () => {
  let vm: QuickJS
  after(() => vm.dispose())
  before(async () => {
    vm = await bareEngine(memoryLimit)
    vm.evalBytecode(await bytecodeOfText(await bundle())).dispose()
  })

  test('a signature of RFC 8032 §7.1, test 2, verifies, and of another message not', () => {
    const spki =
      '302a300506032b65700321003d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
    const signature =
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
    assert.equal(run('verify', spki, '72', signature), 'true')
    assert.equal(run('verify', spki, '73', signature), 'false')
  })

  test('SHA-256 and HMAC give what FIPS 180-4 and RFC 4231 §4.3 give', () => {
    assert.equal(
      run('hash', '616263'),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    const data = Buffer.from('what do ya want for nothing?').toString('hex')
    assert.equal(
      run('hmac', '4a656665', data),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    )
  })

  test('AES-CCM gives packet vector 1 of RFC 3610 §8', () => {
    const [key, nonce] = ['c0c1c2c3c4c5c6c7c8c9cacbcccdcecf', '00000003020100a0a1a2a3a4a5']
    const data = '08090a0b0c0d0e0f101112131415161718191a1b1c1d1e'
    assert.equal(
      run('seal', 'aes-ccm-16-64-128', key, nonce, '0001020304050607', data),
      '588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0',
    )
  })

  test('shares come of the bytes that the host gives', () => {
    // RFC 7748 §6.1: Alice. FIPS 186-5 §A.2.1: zeros make the key 1, so the share is the base point.
    const alice = '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'
    assert.equal(
      run('share', 'x25519', alice),
      '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
    )
    assert.equal(
      run('share', 'secp256r1', '00'.repeat(48)),
      '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
        '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
    )
  })

  test('the engine has nothing to take randomness or text from', () => {
    for (const name of ['crypto', 'TextEncoder', 'Buffer', 'process']) {
      assert.equal(vm.global.hasOwnProperty(name), false, name)
    }
    assert.ok(vm.global.hasOwnProperty('guest'), 'a name that is there is found')
  })

  function run(name: string, ...digits: readonly string[]): unknown {
    return vm.withScope(() => {
      const guest = vm.global.getProp('guest')
      const given = digits.map((value) => vm.newString(value))
      return vm.dump(vm.callFunction(guest.getProp(name), guest, ...given))
    })
  }
})

/** A program whose functions take and give hexadecimal digits. */
const guest = `
import { nobleCrypto } from '@countersign/core/crypto/noble'
import { fromHex, hex } from '@countersign/core/codec'
let given = ''
const crypto = nobleCrypto({ bytes: () => fromHex(given) })
globalThis.guest = {
  hash: (data) => hex(crypto.hash('sha256', fromHex(data))),
  hmac: (key, data) => hex(crypto.hmac('sha256', crypto.importSecret(fromHex(key)), fromHex(data))),
  seal: (aead, key, ...rest) =>
    hex(crypto.seal(aead, crypto.importSecret(fromHex(key)), ...rest.map(fromHex))),
  share(group, seed) {
    given = seed
    return hex(crypto.generateEphemeral(group).share)
  },
  verify(spki, data, signature) {
    const key = crypto.importPublicKey(fromHex(spki), { kind: 'ed25519' })
    return String(crypto.verify(key, { kind: 'ed25519' }, fromHex(data), fromHex(signature)))
  },
}`

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: guest, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    write: false,
    platform: 'neutral',
    format: 'iife',
    target: 'es2023',
    minify: true,
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}
