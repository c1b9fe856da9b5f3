/** `pkcs11:` URLs: RFC 7512 §2.3 and its examples (§3), and what we refuse of them. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parsePkcs11Url } from '../../src/drivers/pkcs11/url.ts'

const lib = 'module-path=/usr/lib/softhsm/libsofthsm2.so'

function refused(url: string, message?: RegExp): void {
  const expected = message === undefined ? {} : { message }
  assert.throws(() => parsePkcs11Url(url), { code: 'ERR_ELEMENT_URL', ...expected }, url)
}

suite('pkcs11: URLs', () => {
  test('token, key, module and PIN file are read', () => {
    assert.deepEqual(
      parsePkcs11Url(`pkcs11:token=dev;object=devkey?${lib}&pin-source=file:/run/pin`),
      {
        token: 'dev',
        object: 'devkey',
        modulePath: '/usr/lib/softhsm/libsofthsm2.so',
        pinFile: '/run/pin',
      },
    )
  })

  test('what RFC 7512 §3 writes percent-encoded is decoded', () => {
    const url = `pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate?${lib}`
    const { token, manufacturer, model, object } = parsePkcs11Url(url)
    assert.equal(token, 'The Software PKCS#11 Softtoken')
    assert.equal(manufacturer, 'Snake Oil, Inc.')
    assert.equal(model, '1.0')
    assert.equal(object, 'my-certificate')
    assert.equal(
      parsePkcs11Url(`pkcs11:token=My%20token%25%20created%20by%20Joe;object=a?${lib}`).token,
      'My token% created by Joe',
    )
    assert.equal(
      parsePkcs11Url(`pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1?${lib}`)
        .token,
      'Name with a small A with acute: á',
    )
    // The last example there has a question mark inside the query.
    assert.equal(
      parsePkcs11Url('pkcs11:token=a?module-path=/opt/a?b/lib.so').modulePath,
      '/opt/a?b/lib.so',
    )
  })

  test('pin-source is a file, in the three ways of writing one', () => {
    for (const source of ['file:/run/pin', 'file:///run/pin', '/run/pin']) {
      assert.equal(parsePkcs11Url(`pkcs11:token=a?${lib}&pin-source=${source}`).pinFile, '/run/pin')
    }
    for (const source of ['|/usr/bin/pin', 'file:pin', 'file://host/pin', 'http://host/pin', '']) {
      refused(`pkcs11:token=a?${lib}&pin-source=${source}`)
    }
  })

  test('a PIN in the URL is refused, with where to put it, and not repeated', () => {
    for (const url of [
      `pkcs11:token=a?${lib}&pin-value=271828`,
      `pkcs11:token=a;pin-value=271828?${lib}`,
    ]) {
      assert.throws(
        () => parsePkcs11Url(url),
        (error: Error) => !JSON.stringify([error.message, error]).includes('271828'),
      )
    }
    assert.throws(() => parsePkcs11Url(`pkcs11:token=a?${lib}&pin-value=271828`), {
      code: 'ERR_ELEMENT_URL',
      hint: /pin-source=file:/,
    })
  })

  test('what is not known, twice there, empty or misspelt is refused', () => {
    for (const part of [
      'tokens=b',
      'id=%01',
      'slot-id=1',
      'library-version=2.4',
      'x-vendor=1',
      'type=public',
      'token=b',
      'object=',
      'object',
      '=b',
      'Token=b',
      ' object=b',
    ]) {
      refused(`pkcs11:token=a;${part}?${lib}`)
    }
    for (const part of ['module-name=softhsm2', 'pin_source=/a', 'x-vendor=1', lib, '']) {
      refused(`pkcs11:token=a?${lib}&${part}`)
    }
  })

  test('a token must be named, and a module by its whole path', () => {
    refused(`pkcs11:?${lib}`, /names no token/)
    refused(`pkcs11:object=a?${lib}`, /names no token/)
    refused('pkcs11:token=a', /module-path/)
    refused('pkcs11:token=a?module-path=libsofthsm2.so', /module-path/)
    refused('pkcs11:', undefined)
    refused('PKCS11:token=a', undefined)
    refused('', undefined)
  })

  test('broken encodings, control characters and lengths beyond the limits are refused', () => {
    for (const value of [
      'a%',
      'a%2',
      'a%zz',
      '%ff',
      '%c3%28',
      'a b',
      'a"b',
      'a%00b',
      'a%0ab',
      'a#b',
      'a\\b',
      'é',
      'a'.repeat(65),
    ]) {
      refused(`pkcs11:token=${value}?${lib}`)
    }
    refused(`pkcs11:token=a?module-path=/${'a'.repeat(2048)}`, /2048/)
    assert.equal(parsePkcs11Url(`pkcs11:token=${'a'.repeat(64)}?${lib}`).token?.length, 64)
  })
})
