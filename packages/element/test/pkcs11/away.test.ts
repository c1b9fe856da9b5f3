/**
 * Tokens that go away, come back, answer nonsense or lie. SoftHSM does the real work; failures are put
 * in front of its calls.
 */
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { suite, test } from 'node:test'
import { openPkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { CryptokiError } from '../../src/drivers/pkcs11/returnValues.ts'
import { spkiOfPoint } from '../../src/signer.ts'
import { assertSigns, digest, message } from './signs.ts'
import { between, changing, type SoftToken, skip, softTokens } from './softhsm.ts'

/** PKCS#11 v2.40, Appendix B: what says that the token, or our standing with it, is gone. */
const goneValues = {
  CKR_TOKEN_NOT_PRESENT: 0xe0,
  CKR_TOKEN_NOT_RECOGNIZED: 0xe1,
  CKR_DEVICE_REMOVED: 0x32,
  CKR_SESSION_HANDLE_INVALID: 0xb3,
  CKR_SESSION_CLOSED: 0xb0,
  CKR_USER_NOT_LOGGED_IN: 0x101,
  CKR_CRYPTOKI_NOT_INITIALIZED: 0x190,
} as const

suite('a token that goes away', { skip }, () => {
  const make = softTokens()
  const real = (label: string): SoftToken => make(label)

  test('pulled, it is gone for as long as it is away, and works by itself when it is back', async () => {
    const token = real('pulled')
    const element = await openPkcs11Element(token.url('key'))
    await element.generateKey(0)
    await assertSigns(element)
    token.pull()
    for (let turn = 0; turn < 3; turn++) {
      await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_GONE' })
      await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_GONE' })
      await assert.rejects(element.info(), { code: 'ERR_ELEMENT_GONE' })
    }
    token.putBack()
    await assertSigns(element)
    await element.close()
  })

  test('two elements on one token both come back', async () => {
    const token = real('shared')
    const one = await openPkcs11Element(token.url('one'))
    const other = await openPkcs11Element(token.url('other'))
    await one.generateKey(0)
    await other.generateKey(0)
    token.pull()
    await assert.rejects(one.sign(0, digest), { code: 'ERR_ELEMENT_GONE' })
    token.putBack()
    // The other has not noticed that it was away.
    await assertSigns(one)
    await assertSigns(other)
    await one.close()
    await assertSigns(other)
    await other.close()
  })

  test('a token that stays is not disturbed by one that is away', async () => {
    const [leaver, stayer] = [real('leaver'), real('stayer')]
    const left = await openPkcs11Element(leaver.url('key'))
    const stays = await openPkcs11Element(stayer.url('key'))
    await left.generateKey(0)
    await stays.generateKey(0)
    leaver.pull()
    const signing = Promise.all(Array.from({ length: 50 }, () => assertSigns(stays)))
    await assert.rejects(left.sign(0, digest), { code: 'ERR_ELEMENT_GONE' })
    await assert.rejects(left.sign(0, digest), { code: 'ERR_ELEMENT_GONE' })
    await signing
    await stays.close()
    leaver.putBack()
    await assertSigns(left)
    await left.close()
  })

  test('one that was never there is said so, with how to look for it', async () => {
    const token = real('there')
    const url = token.url('key').replace('token=there', 'token=nowhere')
    await assert.rejects(openPkcs11Element(url), {
      code: 'ERR_ELEMENT_BUS',
      where: 'pkcs11:token=nowhere',
      hint: /--list-token-slots$/,
    })
  })

  test('a module that is not there is said so', async () => {
    const url = real('lib')
      .url('key')
      .replace(/module-path=[^&]+/, 'module-path=/nowhere/lib.so')
    await assert.rejects(openPkcs11Element(url), {
      code: 'ERR_ELEMENT_MODULE',
      where: '/nowhere/lib.so',
    })
  })

  for (const [name, value] of Object.entries(goneValues)) {
    test(`${name} in the middle of a signature: gone once, and opened again by the next`, async () => {
      const token = real(name.slice(4, 20).toLowerCase())
      let pull = false
      const load = between((call) => {
        if (!pull || (call !== 'sign' && call !== 'signNow')) return
        pull = false
        throw new CryptokiError('C_Sign', value)
      })
      const element = await openPkcs11Element(token.url('key'), { load })
      await element.generateKey(0)
      for (let turn = 0; turn < 10; turn++) {
        await assertSigns(element)
        pull = true
        await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_GONE' })
      }
      await assertSigns(element)
      await element.close()
    })
  }

  test('pulled with many signatures under way: each fails or verifies, and none is forgotten', async () => {
    const token = real('crowd')
    let calls = 0
    const load = between((call) => {
      if ((call === 'sign' || call === 'signNow') && ++calls === 40) {
        throw new CryptokiError('C_Sign', goneValues.CKR_DEVICE_REMOVED)
      }
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    const spki = Buffer.from(spkiOfPoint(await element.publicKey(0)))
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 200 }, () => element.sign(0, digest)),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'ERR_ELEMENT_GONE')
      else assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, outcome.value))
    }
    assert.ok(outcomes.some(({ status }) => status === 'rejected'))
    await assertSigns(element)
    await element.close()
  })

  test('a login that was lost is not taken for a key that is gone', async () => {
    const token = real('logged-out')
    let isOut = false
    const load = changing((call, _, answer) => {
      if (!isOut) return answer()
      if (call === 'find') return []
      if (call === 'isLoggedIn') return false
      // The next login mends it.
      if (call === 'login') isOut = false
      return answer()
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    isOut = true
    await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_GONE' })
    await assertSigns(element)
    await element.close()
  })

  test('another token under the same label is not taken for the one that was there', async () => {
    const token = real('twin')
    let serial: string | undefined
    const load = changing((call, _, answer) => {
      const info = answer()
      return call === 'tokenInfo' && serial !== undefined ? { ...(info as object), serial } : info
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    serial = 'another'
    await assert.rejects(
      // The slot answers with another serial number: the connection is dropped, and not renewed.
      element.sign(1, digest),
      { code: 'ERR_ELEMENT_GONE' },
    )
    await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_SWAPPED' })
    serial = undefined
    await assertSigns(element)
    await element.close()
  })
})
