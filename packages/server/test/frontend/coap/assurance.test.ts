/** What the key that is shown is worth decides at the coap door too: at each handshake, and while a context lives. */
import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type CoapMessage, codeText } from '@countersign/core/coap'
import { fromUtf8 } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import {
  attestedRequest,
  certificate,
  deviceKey,
  enrolAttested,
  nonces,
  request,
  serial,
  vectors,
} from '../../attestation/world.ts'
import { ask, enrolled } from '../../authority/estClient.ts'
import { newKey, verified } from '../../authority/house.ts'
import { shown, type TestDevice } from '../house.ts'
import { Refused } from './device.ts'
import { CoapHouse } from './house.ts'

const tooLow = 'ERR_ASSURANCE_TOO_LOW'

describe('assurance at the coap door', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create({ house: { random: nonces() } })
    await house.house.registry.addAnchor({ role: 'attestation', der: certificate('root') })
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  /** Its key is attested: level 3, by the word of the root above. */
  async function attested(): Promise<TestDevice> {
    const answer = await enrolAttested(house.house, attestedRequest(vectors.evidence))
    return await holding(enrolled(answer).der, deviceKey)
  }

  /** The same device with another key, of which nobody says anything. */
  async function renewedWithout({ leaf }: TestDevice): Promise<TestDevice> {
    const { key } = newKey()
    const peer = await verified(house.house, leaf.der, 'owner')
    const answer = await ask(house.house, 'simplereenroll', { peer, csr: await request(key) })
    return await holding(enrolled(answer).der, key)
  }

  async function holding(der: Uint8Array, privateKey: KeyObject): Promise<TestDevice> {
    const row = await house.house.registry.find(serial)
    return { ...shown(der, privateKey), row, leaf: parseCertificate(der), privateKey }
  }

  function demand(assuranceMin: 0 | 1 | 3): Promise<unknown> {
    return house.house.registry.setProduct('default', { assuranceMin })
  }

  async function tombstones(): Promise<readonly (string | null)[]> {
    const rows = await house.rows()
    return rows.filter(({ state }) => state === 'tombstone').map(({ reason }) => reason)
  }

  it('refuses the first handshake of a key that is worth too little, and keeps nothing of it', async () => {
    const device = await house.device()
    const { id } = device.identity.row
    await demand(1)
    await assert.rejects(device.first('a', { number: 1 }), Refused)
    await assert.rejects(device.handshake(), Refused)
    assert.deepEqual(await house.messages(), [])
    assert.deepEqual(await house.rows(), [])
    assert.equal(house.door.load.contexts, 0)
    assert.notEqual((await house.house.registry.find(id)).state, 'active')
    const [refusal] = await house.refusals()
    assert.partialDeepStrictEqual(refusal, {
      subject: id,
      code: tooLow,
      road: 'coap',
      where: 'link 0: subjectPublicKeyInfo: assurance',
    })
    await demand(0)
    assert.equal(said(await device.first('a', { number: 1 })), '2.04 ')
  })

  it('ends a live context when its product demands more, and says so under its keys', async () => {
    const device = await house.device()
    assert.equal(said(await device.first('a', { number: 1 })), '2.04 ')
    await demand(1)
    assert.deepEqual(await tombstones(), [tooLow])
    assert.equal(said(await device.post('a', { number: 2 })), `4.03 ${tooLow}`)
    assert.equal((await house.messages()).length, 1)
    assert.equal((await house.refusals()).at(-1)?.['code'], tooLow)
  })

  it('ends it when the root that its level stands under is no anchor any more', async () => {
    const { registry } = house.house
    const device = house.narrow(await attested())
    await demand(3)
    assert.equal(said(await device.first('a', { number: 1 })), '2.04 ')
    assert.deepEqual(await levels(), [3])
    const [root] = await registry.allAnchors('attestation')
    await registry.removeAnchor(root?.fingerprint ?? '')
    assert.deepEqual(await tombstones(), [tooLow])
    assert.equal(said(await device.post('a', { number: 2 })), `4.03 ${tooLow}`)
    await assert.rejects(device.first('a', { number: 2 }), Refused)
    await registry.addAnchor({ role: 'attestation', der: certificate('root') })
    assert.equal(said(await device.first('a', { number: 2 })), '2.04 ')
    assert.deepEqual(await levels(), [3, 3])
  })

  it('judges each certificate by its own key, also while the device has a better one', async () => {
    const identity = await attested()
    const better = house.narrow(identity)
    assert.equal(said(await better.first('a', { number: 1 })), '2.04 ')
    const plain = house.narrow(await renewedWithout(identity))
    assert.equal(said(await plain.first('a', { number: 2 })), '2.04 ')
    assert.deepEqual(await levels(), [3, 0])
    await demand(3)
    assert.equal(said(await plain.post('a', { number: 3 })), `4.03 ${tooLow}`)
    await assert.rejects(plain.first('a', { number: 3 }), Refused)
    assert.equal(said(await better.first('a', { number: 4 })), '2.04 ')
    assert.deepEqual(await levels(), [3, 0, 3])
  })

  async function levels(): Promise<readonly number[]> {
    const messages = await house.messages()
    return messages.map(({ body }) => (JSON.parse(body) as { assurance: number }).assurance)
  }
})

function said({ code, payload }: CoapMessage): string {
  return `${codeText(code)} ${fromUtf8(payload)}`
}
