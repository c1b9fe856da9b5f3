/** The level of the key that is shown decides at the mqtts door too. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { enrolled as leafOf, ask } from '../../authority/estClient.ts'
import { newKey, requestFor, verified } from '../../authority/house.ts'
import { type Shown, shown, type TestDevice } from '../house.ts'
import { MqttHouse, topicOf } from './house.ts'

suite('assurance at the mqtts door', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
    device = await house.device()
  })
  after(() => house.close())

  async function setLevel(who: TestDevice, assurance: 0 | 3): Promise<void> {
    const { store, registry, notices } = house.house
    const [key] = await registry.keysOf(who.row.id)
    await store.apply({
      writes: [{ kind: 'update', table: 'key', key: key?.spkiHash ?? '', set: { assurance } }],
    })
    notices.tell({ kind: 'device', id: who.row.id })
  }

  async function renewed(who: TestDevice): Promise<Shown> {
    const { key, signer } = newKey()
    const csr = await requestFor(who.row.serial, signer)
    const peer = await verified(house.house, who.leaf.der, 'owner')
    const leaf = leafOf(await ask(house.house, 'simplereenroll', { csr, peer }))
    return shown(leaf.der, key)
  }

  test('each certificate is judged by its own key, also while the device has a better one', async () => {
    const { registry } = house.house
    await setLevel(device, 3)
    const better = await house.enter(device, 'a')
    const plain = await renewed(device)
    const worse = await house.enter(plain, 'b')
    await worse.deliver(topicOf(device, 'x'), '1')
    await better.deliver(topicOf(device, 'y'), '2')
    const levels = (await house.messages(device)).map(
      ({ body }) => (JSON.parse(body) as { assurance: number }).assurance,
    )
    assert.deepEqual(levels, [0, 3])
    await registry.setProduct('default', { assuranceMin: 2 })
    assert.equal(await worse.ended(), 0x87)
    assert.equal(await house.lastRefusal(), 'ERR_ASSURANCE_TOO_LOW')
    await better.deliver(topicOf(device, 'z'), '3')
    await assert.rejects(house.enter(plain, 'b'))
  })
})
