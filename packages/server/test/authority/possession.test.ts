/** The key of a static Diffie-Hellman certificate: its holder shows it before anything is signed. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareStaticKey } from '@countersign/element/softwareStaticKey'
import { requireAgreement } from '../../src/authority/possession.ts'
import { newKey } from './house.ts'

describe('possession of a key that only agrees', () => {
  it('is shown by its holder', async () => {
    const key = newKey()
    await requireAgreement({ spki: key.signer.spki, key: softwareStaticKey(key.key) }, nodeCrypto)
  })

  it('is not shown by the holder of another key, nor by nobody', async () => {
    const key = newKey()
    const other = softwareStaticKey(newKey().key)
    await assert.rejects(requireAgreement({ spki: key.signer.spki, key: other }, nodeCrypto), {
      code: 'ERR_POSSESSION',
    })
    await assert.rejects(requireAgreement({ spki: key.signer.spki }, nodeCrypto), {
      code: 'ERR_ISSUE_POSSESSION',
    })
  })

  it('is not shown by an answer that was given before', async () => {
    const key = newKey()
    const agreeing = softwareStaticKey(key.key)
    const old = await agreeing.agree(nodeCrypto.generateEphemeral('secp256r1').share)
    const replaying = { agree: async () => old }
    await assert.rejects(requireAgreement({ spki: key.signer.spki, key: replaying }, nodeCrypto), {
      code: 'ERR_POSSESSION',
    })
  })

  it('is never claimed for a point that is not on the curve', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
    const last = spki.length - 1
    const off = spki.with(last, (spki[last] ?? 0) ^ 1)
    const key = softwareStaticKey(newKey().key)
    await assert.rejects(requireAgreement({ spki: off, key }, nodeCrypto), {
      code: 'ERR_KEY_SHARE',
    })
  })
})
