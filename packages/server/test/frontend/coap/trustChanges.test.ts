/** What is believed changes while a context lives: its certificate is followed, its anchor goes. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type CoapMessage, codeText } from '@countersign/core/coap'
import { fromHex, fromUtf8 } from '@countersign/core/codec'
import { euiFromCertificate, macAddressName } from '@countersign/core/credential'
import { anchorOf } from '../../../src/compose/anchors.ts'
import { fingerprintOf } from '../../../src/frontend/peerChain.ts'
import { ask, enrolled } from '../../authority/estClient.ts'
import { day, newKey, requestFor, verified } from '../../authority/house.ts'
import { shown, type TestDevice } from '../house.ts'
import { type NarrowDevice, required } from './device.ts'
import { CoapHouse } from './house.ts'

describe('a context on the coap door', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  /** As the device has it from the https road. */
  async function renewed({ identity }: NarrowDevice): Promise<TestDevice> {
    const peer = await verified(house.house, identity.leaf.der, 'owner')
    const { key, signer } = newKey()
    const address = macAddressName(fromHex(required(euiFromCertificate(identity.leaf))))
    const csr = await requestFor(identity.row.serial, signer, [address])
    const leaf = enrolled(await ask(house.house, 'simplereenroll', { peer, csr }))
    return { ...identity, ...shown(leaf.der, key), leaf, privateKey: key }
  }

  it('gives way to one of the next certificate with the first message of that one', async () => {
    const device = await house.device()
    assert.equal(said(await device.first('a', { number: 1 })), '2.04 ')
    const next = house.narrow(await renewed(device))
    assert.equal(said(await device.post('a', { number: 2 })), '2.04 ')
    assert.equal(said(await next.first('a', { number: 3 })), '2.04 ')
    const [row, ...more] = await house.rows()
    assert.deepEqual(more, [])
    assert.equal(row?.fingerprint, fingerprintOf(next.identity.leaf.der))
    assert.equal(row.device, device.identity.row.id)
  })

  it('of a certificate that was followed lives as long as the overlap', async () => {
    const device = await house.device()
    assert.equal(said(await device.first('a', { number: 1 })), '2.04 ')
    const { leaf } = await renewed(device)
    const { registry, clock } = house.house
    await registry.admit(await verified(house.house, leaf.der, 'owner'), 'https')
    await house.idle()
    assert.equal(said(await device.post('a', { number: 2 })), '2.04 ')
    clock.time += 6 * day
    assert.equal(said(await device.post('a', { number: 3 })), '2.04 ')
    clock.time += 2 * day
    assert.equal(said(await device.post('a', { number: 4 })), '4.03 ERR_CERT_SUPERSEDED')
    assert.equal((await house.messages()).length, 3)
    assert.equal((await house.rows())[0]?.state, 'tombstone')
  })

  it('ends with the anchor that its certificate hangs on', async () => {
    const factory = house.narrow(await house.factoryDevice('FACTORY-1'))
    const device = await house.device()
    for (const one of [factory, device]) assert.equal(said(await one.first('a', {})), '2.04 ')
    const { registry, notices } = house.house
    const anchors = (await registry.listAnchors()).map(anchorOf)
    house.judge.setAnchors(anchors.filter(({ role }) => role !== 'maker'))
    notices.tell({ kind: 'anchors' })
    await house.idle()
    const states = (await house.rows()).map((row) => [row.device, row.state, row.reason])
    assert.deepEqual(
      new Map(states.map(([of, ...state]) => [of, state])),
      new Map([
        [factory.identity.row.id, ['tombstone', 'ERR_CHAIN_UNKNOWN_ISSUER']],
        [device.identity.row.id, ['live', null]],
      ]),
    )
    assert.equal(said(await factory.post('a', {})), '4.03 ERR_CHAIN_UNKNOWN_ISSUER')
    assert.equal(said(await device.post('a', {})), '2.04 ')
  })
})

function said({ code, payload }: CoapMessage): string {
  return `${codeText(code)} ${fromUtf8(payload)}`
}
