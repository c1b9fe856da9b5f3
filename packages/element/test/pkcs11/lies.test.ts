/** A token is not believed on its word: SoftHSM does the work, and a hand in between bends answers. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { attribute } from '../../src/drivers/pkcs11/constants.ts'
import { openPkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { assertSigns } from './signs.ts'
import { changing, skip, softTokens } from './softhsm.ts'

suite('a token that lies', { skip }, () => {
  const make = softTokens()
  const lies = [
    ['CKA_EXTRACTABLE', attribute.extractable, 1],
    ['CKA_SENSITIVE', attribute.sensitive, 0],
    ['CKA_TOKEN', attribute.token, 0],
    ['CKA_PRIVATE', attribute.private, 0],
    ['CKA_LOCAL', attribute.local, 0],
    ['CKA_NEVER_EXTRACTABLE', attribute.neverExtractable, 0],
  ] as const

  for (const [name, type, value] of lies) {
    test(`a new key with another ${name} than asked for is refused, and the old one stays`, async () => {
      const token = make(name.slice(4).toLowerCase())
      let isLying = false
      const load = changing((call, args, real) =>
        call === 'attribute' && isLying && args[2] === type ? Buffer.of(value) : real(),
      )
      const element = await openPkcs11Element(token.url('key'), { load })
      const old = await element.generateKey(0)
      isLying = true
      await assert.rejects(element.generateKey(0), {
        code: 'ERR_ELEMENT_CONFIG',
        message: new RegExp(name),
      })
      isLying = false
      assert.deepEqual(await element.publicKey(0), old)
      await assertSigns(element)
      assert.equal(
        token
          .tool('--list-objects')
          .toString()
          .match(/label: +key$/gm)?.length,
        2,
      )
      await element.close()
    })
  }

  test('a public half that is another key is found out by a signature', async () => {
    const token = make('other-half')
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'strange', '--id', '01')
    const strange = token
      .tool('--read-object', '--type', 'pubkey', '--label', 'strange')
      .subarray(-65)
    const load = changing((call, args, real) =>
      call === 'attribute' && args[2] === attribute.ecPoint ? strange : real(),
    )
    const element = await openPkcs11Element(token.url('key'), { load })
    await assert.rejects(element.generateKey(0), {
      code: 'ERR_ELEMENT_CONFIG',
      message: /does not verify/,
    })
    assert.equal((await element.slots())[0]?.state, 'empty')
    await element.close()
  })

  test('a key that wants its PIN for each signature is refused', async () => {
    const token = make('always')
    const load = changing((call, args, real) =>
      call === 'attribute' && args[2] === attribute.alwaysAuthenticate ? Buffer.of(1) : real(),
    )
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'key', '--id', '01')
    const element = await openPkcs11Element(token.url('key'), { load })
    await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_UNSUPPORTED' })
    await element.close()
  })
})
