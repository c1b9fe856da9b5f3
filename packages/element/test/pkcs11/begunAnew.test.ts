/**
 * Libraries that have to be begun anew, as tpm2-pkcs11 has: after an error of its device, and after
 * each change of what is in the token. SoftHSM does the work, and a hand in between plays the rest.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { openPkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { CryptokiError } from '../../src/drivers/pkcs11/returnValues.ts'
import { openTokenKeys } from '../../src/drivers/pkcs11/tokenKeys.ts'
import { assertSigns, digest } from './signs.ts'
import { between, changing, skip, softTokens } from './softhsm.ts'

/** PKCS#11 v2.40, Appendix B. */
const generalError = 0x05
/** What C_GetInfo of tpm2-pkcs11 1.9.0 answers. */
const tpmLibrary = { manufacturer: 'tpm2-software.github.io', description: 'TPM2.0 Cryptoki' }

suite('a library that has to be begun anew', { skip }, () => {
  const make = softTokens()

  test('broken by an error of its device it is, before the next login', async () => {
    const token = make('broken')
    let isBroken = false
    let logins = 0
    const load = between((call) => {
      if (call === 'initialize') isBroken = false
      if (call === 'login') logins++
      if (isBroken && (call === 'login' || call.startsWith('sign'))) {
        throw new CryptokiError('C_Sign', generalError)
      }
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    for (let turn = 0; turn < 5; turn++) {
      await assertSigns(element)
      isBroken = true
      await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_BUS' })
      await assertSigns(element)
    }
    assert.equal(logins, 6)
    await element.close()
  })

  test('a login that fails so is tried once for each call, never twice', async () => {
    const token = make('stubborn')
    let isDown = false
    let logins = 0
    const load = between((call) => {
      if (!isDown || (call !== 'login' && !call.startsWith('sign'))) return
      if (call === 'login') logins++
      throw new CryptokiError('C_Login', generalError)
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    isDown = true
    for (let turn = 0; turn < 4; turn++) {
      await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_BUS' })
    }
    // The first one was a signature.
    assert.equal(logins, 3)
    isDown = false
    await assertSigns(element)
    await element.close()
  })

  test('spoiled by changes it is after each, when nobody is inside of it', async () => {
    const token = make('spoiled')
    let isSpoiled = false
    let [inside, begun, made] = [0, 0, 0]
    const load = changing((call, _, real) => {
      if (call === 'library') return tpmLibrary
      if (call === 'finalize') assert.equal(inside, 0)
      if (call === 'initialize') {
        isSpoiled = false
        begun++
      }
      if (call === 'generatePair') {
        assert.equal(isSpoiled, false)
        isSpoiled = true
        made++
      }
      const answer = real()
      if (!(answer instanceof Promise)) return answer
      inside++
      return answer.finally(() => inside--)
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    begun = 0
    await element.generateKey(0)
    const signing = Array.from({ length: 40 }, () => assertSigns(element))
    const making = [1, 2, 3, 1].map((slot) => element.generateKey(slot))
    await Promise.all([...signing, ...making])
    for (const slot of [0, 1, 2, 3]) await assertSigns(element, slot)
    assert.equal(made, 5)
    assert.equal(begun, made)
    await element.close()
  })

  test('one that is not spoiled by them is left alone', async () => {
    const token = make('sound')
    let begun = 0
    const load = between((call) => {
      if (call === 'initialize') begun++
    })
    const keys = await openTokenKeys(token.url(), { load })
    begun = 0
    for (const label of ['a', 'b', 'c']) await keys.generate(label, ['P-256'])
    await keys.destroy('b')
    assert.equal(begun, 0)
    await keys.close()
  })
})
