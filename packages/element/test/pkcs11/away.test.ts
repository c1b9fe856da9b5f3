/**
 * Tokens that go away and come back. SoftHSM does the real work, and says itself that a token was
 * pulled; what other libraries say of it is put in the place of its calls.
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

  for (const [name, warm] of [
    ['through the pool', 0],
    // Known to be quick by then.
    ['in this thread', 8],
  ] as const) {
    test(`pulled when a signature begins ${name}: gone until it is back, by the library's own word`, async () => {
      const token = real(`begun-${warm}`)
      const pulled: string[] = []
      let isNow = false
      const load = between((call) => {
        if (!isNow || (call !== 'sign' && call !== 'signNow')) return
        isNow = false
        pulled.push(call)
        token.pull()
      })
      const element = await openPkcs11Element(token.url('key'), { load })
      await element.generateKey(0)
      for (let turn = 0; turn < warm; turn++) await assertSigns(element)
      isNow = true
      for (let turn = 0; turn < 3; turn++) {
        await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_GONE' })
      }
      assert.deepEqual(pulled, [warm === 0 ? 'sign' : 'signNow'])
      token.putBack()
      await assertSigns(element)
      await element.close()
    })
  }

  test('pulled when a secret is derived or a key is made: gone until it is back, and no half of a pair stays', async () => {
    const token = real('other-acts')
    let at: string | undefined
    const load = between((call) => {
      if (call !== at) return
      at = undefined
      token.pull()
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    const point = await element.generateKey(0)
    for (const [call, code, act] of [
      ['derive', 'ERR_ELEMENT_GONE', () => element.ecdh?.(0, point)],
      // SoftHSM says CKR_GENERAL_ERROR here, and no more.
      ['generatePair', 'ERR_ELEMENT_BUS', () => element.generateKey(1)],
    ] as const) {
      at = call
      await assert.rejects(async () => act(), { code })
      assert.equal(at, undefined)
      await assert.rejects(async () => act(), { code: 'ERR_ELEMENT_GONE' })
      token.putBack()
      await assertSigns(element)
    }
    assert.deepEqual(
      (await element.slots()).map(({ state }) => state),
      ['key', 'empty', 'empty', 'empty'],
    )
    await element.close()
  })

  for (const [name, value] of Object.entries(goneValues)) {
    test(`a library that answers ${name} to a signature: gone once, and opened again by the next`, async () => {
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
      if ((call === 'sign' || call === 'signNow') && ++calls === 40) token.pull()
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
    const failed = outcomes.filter(({ status }) => status === 'rejected').length
    assert.ok(failed > 0 && failed < outcomes.length, `${failed} failed`)
    token.putBack()
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
