/** Key pairs of a session in a token: what is asked for, that none stays, and what ends one. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { suite, test } from 'node:test'
import { attribute } from '../../src/drivers/pkcs11/constants.ts'
import { openPkcs11Element, type Pkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { CryptokiError } from '../../src/drivers/pkcs11/returnValues.ts'
import type { ElementEphemeral } from '../../src/ports.ts'
import { pointOfSpki } from '../../src/signer.ts'
import { between, changing, skip, softTokens } from './softhsm.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const peer = pointOfSpki(publicKey.export({ type: 'spki', format: 'der' }))

function makeIn(element: Pkcs11Element, agreements?: number): Promise<ElementEphemeral> {
  return element.ephemeral?.(agreements) ?? assert.fail('no ephemeral keys')
}

suite('ephemeral keys in a token', { skip }, () => {
  const make = softTokens()

  test('every object is destroyed: of a key that was used, and of one that was not when the next is made', async () => {
    const token = make('balanced')
    let objects = 0
    const load = between((call) => {
      if (call === 'generatePair') objects += 2
      if (call === 'derive') objects++
      if (call === 'destroy') objects--
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await (await makeIn(element)).agree(peer)
    assert.equal(objects, 0)
    await (await makeIn(element, 2)).agree(peer)
    // The private half, which may agree once more.
    assert.equal(objects, 1)
    await makeIn(element)
    assert.equal(objects, 1)
    await Promise.all([makeIn(element), makeIn(element)])
    assert.equal(objects, 1)
    assert.equal(token.tool('--list-objects').toString(), '')
    await element.close()
  })

  test('the next one ends it, and so does a token that was away: an error that passes', async () => {
    const token = make('ended')
    let derived = 0
    const load = between((call) => void (derived += call === 'derive' ? 1 : 0))
    const element = await openPkcs11Element(token.url('key'), { load })
    const first = await makeIn(element)
    const second = await makeIn(element)
    await assert.rejects(first.agree(peer), { code: 'ERR_ELEMENT_GONE' })
    assert.equal((await second.agree(peer)).length, 32)
    const third = await makeIn(element)
    token.pull()
    await assert.rejects(element.slots(), { code: 'ERR_ELEMENT_GONE' })
    token.putBack()
    await assert.rejects(third.agree(peer), { code: 'ERR_ELEMENT_GONE' })
    await assert.rejects(third.agree(peer), { code: 'ERR_ELEMENT_ARGUMENT' })
    assert.equal((await (await makeIn(element)).agree(peer)).length, 32)
    // The token was not asked with a handle that may be another object's by then.
    assert.equal(derived, 2)
    await element.close()
  })

  test('a handle that the token does not know any more is an error that passes', async () => {
    const token = make('unknown')
    let isLost = false
    const load = between((call) => {
      // CKR_KEY_HANDLE_INVALID (PKCS#11 v2.40, Appendix B).
      if (call === 'derive' && isLost) throw new CryptokiError('C_DeriveKey', 0x60)
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    const key = await makeIn(element)
    isLost = true
    await assert.rejects(key.agree(peer), { code: 'ERR_ELEMENT_GONE' })
    await element.close()
  })

  test('a token that keeps it for ever, or takes no key of a session, is refused', async () => {
    const token = make('stays')
    let isLying = false
    let destroyed = 0
    const load = changing((call, args, real) => {
      if (call === 'destroy') destroyed++
      if (call === 'attribute' && isLying && args[2] === attribute.token) return Buffer.of(1)
      // CKR_TEMPLATE_INCONSISTENT.
      if (call === 'generatePair' && !isLying) throw new CryptokiError('C_GenerateKeyPair', 0xd1)
      return real()
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await assert.rejects(makeIn(element), { code: 'ERR_ELEMENT_UNSUPPORTED' })
    isLying = true
    const staying = { code: 'ERR_ELEMENT_CONFIG', message: /stays in the token/ }
    await assert.rejects(makeIn(element), staying)
    assert.equal(destroyed, 2)
    await element.close()
  })
})
