/** PINs: where they come from, and that none is wasted. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { openPkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { CryptokiError } from '../../src/drivers/pkcs11/returnValues.ts'
import { between, changing, pin, skip, softTokens } from './softhsm.ts'

function counting(): { readonly load: ReturnType<typeof between>; logins: number } {
  const counter = {
    logins: 0,
    load: between((call) => {
      if (call === 'login') counter.logins++
    }),
  }
  return counter
}

suite('the PIN of a token', { skip }, () => {
  const make = softTokens()

  test('a wrong PIN is tried once and not again, the right one then works', async () => {
    const token = make('once')
    const counter = counting()
    writeFileSync(token.pinFile, 'wrong\n')
    try {
      for (let turn = 0; turn < 5; turn++) {
        const opening = openPkcs11Element(token.url('key'), { load: counter.load })
        await assert.rejects(opening, { code: 'ERR_ELEMENT_PIN' })
      }
      assert.equal(counter.logins, 1)
    } finally {
      writeFileSync(token.pinFile, `${pin}\n`)
    }
    const element = await openPkcs11Element(token.url('key'), { load: counter.load })
    assert.equal(counter.logins, 2)
    await element.close()
  })

  test('a PIN that became wrong while the token was away is tried once', async () => {
    const token = make('changed')
    const counter = counting()
    const element = await openPkcs11Element(token.url('key'), { load: counter.load })
    token.pull()
    await assert.rejects(element.info(), { code: 'ERR_ELEMENT_GONE' }).catch(() => undefined)
    await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_GONE' })
    token.putBack()
    writeFileSync(token.pinFile, 'not the one\n')
    try {
      for (let turn = 0; turn < 5; turn++) {
        await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_PIN' })
      }
      assert.equal(counter.logins, 2)
    } finally {
      writeFileSync(token.pinFile, `${pin}\n`)
    }
    await element.generateKey(0)
    await element.close()
  })

  // CKF_ values of PKCS#11 v2.40 §3.2.
  for (const [name, flag] of [
    ['CKF_USER_PIN_FINAL_TRY', 0x20000],
    ['CKF_USER_PIN_LOCKED', 0x40000],
  ] as const) {
    test(`${name} stops before anything is tried`, async () => {
      const token = make(name.slice(9).toLowerCase())
      let logins = 0
      const load = changing((call, _, real) => {
        if (call === 'login') logins++
        if (call !== 'tokenInfo') return real()
        const info = real() as { readonly flags: number }
        return { ...info, flags: info.flags | flag }
      })
      await assert.rejects(openPkcs11Element(token.url('key'), { load }), {
        code: 'ERR_ELEMENT_PIN',
        hint: /./,
      })
      assert.equal(logins, 0)
    })
  }

  test('a PIN that was locked works when it is unlocked', async () => {
    const token = make('unlocked')
    let isLocked = true
    const load = between((call) => {
      // CKR_PIN_LOCKED: here from the token itself, without a flag before.
      if (call === 'login' && isLocked) throw new CryptokiError('C_Login', 0xa4)
    })
    await assert.rejects(openPkcs11Element(token.url('key'), { load }), { code: 'ERR_ELEMENT_PIN' })
    isLocked = false
    await (await openPkcs11Element(token.url('key'), { load })).close()
  })

  test('a low count of tries does not stop the right PIN', async () => {
    const token = make('low')
    const load = changing((call, _, real) => {
      if (call !== 'tokenInfo') return real()
      const info = real() as { readonly flags: number }
      return { ...info, flags: info.flags | 0x10000 }
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.close()
  })

  test('a file that others may read is refused', async () => {
    const token = make('open')
    for (const mode of [0o640, 0o604, 0o660]) {
      chmodSync(token.pinFile, mode)
      await assert.rejects(openPkcs11Element(token.url('key')), { code: 'ERR_ELEMENT_MODE' })
    }
    chmodSync(token.pinFile, 0o600)
  })

  test('a file that is missing, empty, long or of several lines is refused', async () => {
    const token = make('files')
    const missing = token.url('key').replace(token.pinFile, `${token.pinFile}.not`)
    await assert.rejects(openPkcs11Element(missing), { code: 'ERR_ELEMENT_PIN' })
    for (const text of ['', '\n', 'one\ntwo\n', `${'1'.repeat(300)}\n`]) {
      writeFileSync(token.pinFile, text)
      await assert.rejects(openPkcs11Element(token.url('key')), { code: 'ERR_ELEMENT_PIN' })
    }
    writeFileSync(token.pinFile, `${pin}\n`)
  })

  test('COUNTERSIGN_PIN_FILE serves where the URL names none, and somebody is asked where neither does', async () => {
    const token = make('sources')
    const url = token.url('key').replace(/&pin-source=.*$/, '')
    await assert.rejects(openPkcs11Element(url), { code: 'ERR_ELEMENT_PIN', hint: /pin-source/ })
    process.env['COUNTERSIGN_PIN_FILE'] = token.pinFile
    try {
      await (await openPkcs11Element(url)).close()
    } finally {
      delete process.env['COUNTERSIGN_PIN_FILE']
    }
    const asked: string[] = []
    const askPin = async (label: string): Promise<string> => {
      asked.push(label)
      return pin
    }
    await (await openPkcs11Element(url, { askPin })).close()
    assert.deepEqual(asked, ['sources'])
  })

  test('no error tells the PIN', async () => {
    const token = make('silent')
    writeFileSync(token.pinFile, 'secret-secret\n')
    const error: unknown = await openPkcs11Element(token.url('key')).catch((one: unknown) => one)
    writeFileSync(token.pinFile, `${pin}\n`)
    const { inspect } = await import('node:util')
    assert.match(inspect(error, { depth: 9 }), /ERR_ELEMENT_PIN/)
    assert.doesNotMatch(inspect(error, { depth: 9 }), /secret-secret/)
  })
})
