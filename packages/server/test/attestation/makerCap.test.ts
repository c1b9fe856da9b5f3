/** What a foreign maker's anchor gives at most holds for its devices, also after they have renewed. */
import assert from 'node:assert/strict'
import { afterEach, suite, test } from 'node:test'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Assurance } from '../../src/ports.ts'
import { ask, enrolled, refusal } from '../authority/estClient.ts'
import { type House, makeHouse, newKey, requestFor, verified } from '../authority/house.ts'
import {
  type AttestedHouse,
  askNonce,
  attestedHouse,
  attestedRequest,
  enrolAttested,
  nextKey,
  request,
  serial,
  vectors,
} from './world.ts'

let open: AttestedHouse | undefined
let maker: House | undefined
afterEach(async () => {
  await open?.close()
  await maker?.close()
  open = maker = undefined
})

/** Who comes with the certificate that it was born with, of a maker that gives so much. */
async function born(assuranceCap: Assurance): Promise<{ house: House; peer: VerifiedPeer }> {
  open = await attestedHouse()
  const { house } = open
  maker = await makeHouse({ now: house.clock.now() })
  const root = maker.authority.cas().find(({ name }) => name === 'maker')
  await house.registry.addAnchor({ der: root?.der ?? new Uint8Array(), assuranceCap })
  const csr = await requestFor(serial, newKey().signer)
  const order = { product: 'default', origin: 'element', assurance: 0, actor: 'x' } as const
  const { der } = await maker.authority.issueIdevid({ csr, ...order })
  return { house, peer: await verified(house, der, 'maker') }
}

/** The device comes, and shows what its element says of a next key. */
async function renewed(house: House, leaf: Uint8Array, csr: Uint8Array): Promise<Assurance> {
  const peer = await verified(house, leaf, 'owner')
  await house.registry.admit(peer, 'https')
  assert.equal((await askNonce(house, { peer })).status, 200)
  const { der } = enrolled(await ask(house, 'simplereenroll', { csr, peer }))
  const next = await verified(house, der, 'owner')
  return (await house.registry.admit(next, 'https')).device.assurance
}

const nextRequest = (): Promise<Uint8Array> =>
  attestedRequest(vectors.next.evidence, { key: nextKey })

suite('the cap of a foreign maker', () => {
  for (const [cap, level] of [
    [0, 0],
    [1, 1],
    [4, 3],
  ] as const) {
    test(`of ${cap} makes level ${level} of a chip, before and after a renewal`, async () => {
      const { house, peer } = await born(cap)
      assert.equal((await askNonce(house, { peer })).status, 200)
      const csr = await attestedRequest(vectors.evidence)
      const { der } = enrolled(await ask(house, 'simpleenroll', { csr, peer }))
      assert.equal((await house.registry.find(serial)).assurance, level)
      assert.equal(await renewed(house, der, await nextRequest()), level)
    })
  }

  test('holds when the first key showed nothing', async () => {
    const { house, peer } = await born(1)
    const { der } = enrolled(
      await ask(house, 'simpleenroll', { csr: await request(nextKey), peer }),
    )
    assert.equal(await renewed(house, der, await attestedRequest(vectors.evidence)), 1)
  })

  test('holds when the same key shows evidence later', async () => {
    const { house, peer } = await born(1)
    const { der } = enrolled(await ask(house, 'simpleenroll', { csr: await request(), peer }))
    assert.equal(await renewed(house, der, await attestedRequest(vectors.evidence)), 1)
  })

  test('makes no second element of its chip', async () => {
    const { house, peer } = await born(0)
    assert.equal((await askNonce(house, { peer })).status, 200)
    const csr = await attestedRequest(vectors.evidence)
    enrolled(await ask(house, 'simpleenroll', { csr, peer }))
    const twin = attestedRequest(vectors.next.evidence, { key: nextKey, name: 'TH-2' })
    assert.equal(refusal(await enrolAttested(house, twin)), '409 ERR_ELEMENT_USED')
  })
})
