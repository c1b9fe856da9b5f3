/** Named keys of a token as signers: of the curves of CAs, and of one key each. */
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { suite, test } from 'node:test'
import { openTokenKeys } from '../../src/drivers/pkcs11/index.ts'
import { CryptokiError } from '../../src/drivers/pkcs11/returnValues.ts'
import { between, skip, softTokens } from './softhsm.ts'

suite('named keys of a token', { skip }, () => {
  const make = softTokens()
  const points = { 'P-256': 128, 'P-384': 192 }
  const message = Buffer.from('a certificate')

  for (const [curve, hash] of [
    ['P-256', 'sha256'],
    ['P-384', 'sha384'],
  ] as const) {
    test(`a key of ${curve} signs with ${hash}, as OpenSSL verifies, also when it is opened again`, async () => {
      const token = make(curve)
      const keys = await openTokenKeys(token.url())
      const made = await keys.generate('ca', [curve])
      const key = createPublicKey({ key: Buffer.from(made.spki), format: 'der', type: 'spki' })
      const listed = token.tool('--list-objects', '--type', 'pubkey').toString()
      // The point, as pkcs11-tool shows it: an OCTET STRING around 04 and the coordinates.
      const [, shown = ''] = /EC_POINT: +([0-9a-f]+)/.exec(listed) ?? []
      assert.ok(shown.endsWith(`04${Buffer.from(made.spki).toString('hex').slice(-points[curve])}`))
      assert.ok(verify(hash, message, key, await made.sign(message)))
      await keys.close()
      const again = await openTokenKeys(token.url())
      assert.ok(verify(hash, message, key, await (await again.signer('ca')).sign(message)))
      await again.close()
    })
  }

  test('a token without P-384 makes a key of P-256', async () => {
    const token = make('small')
    const p384 = Buffer.from('06052b81040022', 'hex')
    const load = between((call, args) => {
      if (call !== 'generatePair') return
      const template = args[1] as readonly { readonly value: unknown }[]
      const isLarge = template.some(({ value }) =>
        Buffer.isBuffer(value) || value instanceof Uint8Array ? p384.equals(value) : false,
      )
      if (isLarge) throw new CryptokiError('C_GenerateKeyPair', 0x140)
    })
    const keys = await openTokenKeys(token.url(), { load })
    const { scheme } = await keys.generate('root', ['P-384', 'P-256'])
    assert.deepEqual(scheme, { kind: 'ecdsa', hash: 'sha256', encoding: 'der' })
    await keys.close()
  })

  test('a label that is taken is refused, one that is not there has no signer', async () => {
    const token = make('labels')
    const keys = await openTokenKeys(token.url())
    await keys.generate('ca', ['P-256'])
    await assert.rejects(keys.generate('ca', ['P-256']), { code: 'ERR_ELEMENT_CONFIG' })
    await assert.rejects(keys.signer('other'), { code: 'ERR_ELEMENT_SLOT_EMPTY' })
    await keys.destroy('ca')
    assert.equal(await keys.has('ca'), false)
    await keys.close()
    await assert.rejects(openTokenKeys(token.url('object')), { code: 'ERR_ELEMENT_URL' })
  })

  test('another key under the label of a signer does not sign for it', async () => {
    const token = make('replaced')
    const keys = await openTokenKeys(token.url())
    const signer = await keys.generate('ca', ['P-256'])
    await signer.sign(message)
    for (const type of ['privkey', 'pubkey']) {
      token.tool('--delete-object', '--type', type, '--label', 'ca')
    }
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'ca', '--id', '01')
    await assert.rejects(signer.sign(message), { code: 'ERR_ELEMENT_SWAPPED' })
    await keys.close()
  })
})
