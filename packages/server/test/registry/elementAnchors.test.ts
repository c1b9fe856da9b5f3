/** Whom elements are believed by is nobody for TLS, and nobody of TLS speaks for elements. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import { Judge, parseCertificate } from '@countersign/core/credential'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { anchorOf } from '../../src/compose/anchors.ts'
import { certificate, manifests } from '../attestation/world.ts'
import { type House, openHouse } from './house.ts'

suite('anchors of elements', () => {
  let house: House
  beforeEach(async () => {
    house = await openHouse()
  })
  afterEach(() => house.dispose())

  async function judge(): Promise<Judge> {
    const anchors = (await house.registry.listAnchors()).map(anchorOf)
    const clock = { now: () => Date.UTC(2026, 5, 1) }
    return new Judge({ crypto: nodeCrypto, clock, anchors })
  }

  const asDevice = { role: 'maker', purpose: 'clientAuth' } as const

  test('no chain of TLS ends in a root of attestation; the same root of a maker is one', async () => {
    const { registry } = house
    // Not what a root of elements issues, but what it would take to get in.
    const leaf = certificate('leafForTls')
    const { fingerprint } = await registry.addAnchor({
      role: 'attestation',
      der: certificate('root'),
    })
    const strict = await judge()
    assert.throws(() => strict.judge(leaf, [], asDevice), { code: 'ERR_CHAIN_UNKNOWN_ISSUER' })
    await registry.removeAnchor(fingerprint)
    await registry.addAnchor({ role: 'maker', der: certificate('root') })
    assert.equal((await judge()).judge(leaf, [], asDevice).role, 'maker')
  })

  test('a certificate has one role', async () => {
    const der = certificate('root')
    await house.registry.addAnchor({ role: 'maker', der })
    await assert.rejects(house.registry.addAnchor({ role: 'attestation', der }), {
      code: 'ERR_ANCHOR_EXISTS',
    })
  })

  test('are listed by their role, and removed like any other', async () => {
    const { registry } = house
    const signer = fromHex(manifests.signer)
    await registry.addAnchor({ role: 'attestation', der: certificate('root') })
    const { fingerprint } = await registry.addAnchor({ role: 'manifest', der: signer })
    const rolesOf = async (...args: Parameters<typeof registry.allAnchors>) =>
      (await registry.allAnchors(...args)).map(({ role }) => role).toSorted()
    assert.deepEqual(await rolesOf(), ['attestation', 'manifest'])
    assert.deepEqual(await rolesOf('manifest'), ['manifest'])
    assert.deepEqual(await registry.listAnchors(), [])
    await registry.removeAnchor(fingerprint)
    assert.deepEqual(await rolesOf(), ['attestation'])
  })

  test('have no scope but a cap, and must be what they serve as', async () => {
    const { registry } = house
    const der = certificate('root')
    for (const scope of [{ product: 'default' }, { serialPattern: 'A*' }, { notAfter: 1 }]) {
      await assert.rejects(registry.addAnchor({ role: 'attestation', der, ...scope }), {
        code: 'ERR_ANCHOR_SCOPE',
      })
    }
    await assert.rejects(registry.addAnchor({ role: 'attestation', der: certificate('leaf') }), {
      code: 'ERR_ANCHOR_NOT_A_CA',
    })
    const row = await registry.addAnchor({ role: 'attestation', der, assuranceCap: 1 })
    assert.equal(row.assuranceCap, 1)
    // A signer is no CA, and may be a leaf.
    const signer = fromHex(manifests.signer)
    assert.equal(parseCertificate(signer).extensions.basicConstraints?.ca, false)
    assert.equal((await registry.addAnchor({ role: 'manifest', der: signer })).role, 'manifest')
    for (const role of ['owner', 'server', 'operator'] as const) {
      await assert.rejects(registry.addAnchor({ role, der }), { code: 'ERR_ANCHOR_ROLE' })
    }
  })
})
