import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { anchorOf } from '../../../src/compose/anchors.ts'
import type { Gatekeeper } from '../../../src/ports.ts'
import { type TestDevice, turn } from '../house.ts'
import type { MqttClient } from './client.ts'
import { Held, MqttHouse, storesMessage, topicOf } from './house.ts'

describe('a connection', () => {
  let house: MqttHouse
  /** Stands before every admission. */
  let judging: (() => Promise<void>) | undefined
  let device: TestDevice
  before(async () => {
    const registry: Gatekeeper = {
      admit: async (peer, road) => {
        await judging?.()
        return await house.house.registry.admit(peer, road)
      },
      admitApplication: (peer) => house.house.registry.admitApplication(peer),
      isDevice: (id) => house.house.registry.isDevice(id),
      refused: (refusal) => house.house.registry.refused(refusal),
    }
    house = await MqttHouse.create({ parts: { registry } })
  })
  beforeEach(async () => {
    judging = undefined
    device = await house.device()
    house.forgive()
  })
  after(() => house.close())

  /** It ends at once: MQTT 5 hears that it is not authorized, 3.1.1 nothing. */
  async function ends(act: () => Promise<unknown>, code: string): Promise<void> {
    const [five, four] = [await house.enter(device, 'five'), await house.enter(device, 'four', 4)]
    const other = await house.enter(await house.device(), 'x')
    const begun = performance.now()
    await act()
    assert.deepEqual([await five.ended(), await four.ended()], [0x87, undefined])
    const took = performance.now() - begun
    assert.ok(took < 2000, `${took} ms`)
    await other.ping()
    const told = (await house.refusals()).filter(({ subject }) => subject === device.row.id)
    assert.deepEqual([...new Set(told.map((refusal) => refusal['code']))], [code])
  }

  it('ends when its device is revoked', () =>
    ends(() => house.house.registry.revoke(device.row.id, 'keyCompromise'), 'ERR_CERT_REVOKED'))

  it('ends when its device is suspended', () =>
    ends(() => house.house.registry.suspend(device.row.id, 'lost'), 'ERR_DEVICE_SUSPENDED'))

  it('ends when its device is retired', () =>
    ends(() => house.house.registry.retire(device.row.id), 'ERR_CERT_REVOKED'))

  it('ends when its certificate is revoked', () =>
    ends(async () => {
      const { registry } = house.house
      const [row] = await registry.certificatesOf(device.row.id)
      await registry.revokeCertificate(row?.serial ?? '', 'superseded')
    }, 'ERR_CERT_REVOKED'))

  it('ends when its product asks for more than it has, or uses another road', async () => {
    const { registry } = house.house
    await registry.addProduct('other', {})
    for (const [policy, back, code] of [
      [{ assuranceMin: 2 }, { assuranceMin: 0 }, 'ERR_ASSURANCE_TOO_LOW'],
      [{ roads: '["https"]' }, { roads: '["https","mqtts"]' }, 'ERR_ROAD_NOT_ALLOWED'],
      [{ credential: 'factory' }, { credential: 'either' }, 'ERR_CREDENTIAL_NOT_ALLOWED'],
    ] as const) {
      const client = await house.enter(device, 'x')
      await registry.setProduct('default', policy)
      assert.equal(await client.ended(), 0x87, code)
      assert.equal(await house.lastRefusal(), code)
      await registry.setProduct('default', back)
    }
    // One that changes nothing for it.
    const client = await house.enter(device, 'x')
    await registry.setProduct('default', { messagesPerMinute: 601 })
    await client.deliver(topicOf(device, 'a'), 'x')
  })

  it('ends when its anchor is taken away', async () => {
    const client = await house.enter(device, 'x')
    const anchors = (await house.house.registry.listAnchors()).map(anchorOf)
    house.judge.setAnchors(anchors.filter(({ role }) => role !== 'owner'))
    house.house.notices.tell({ kind: 'anchors' })
    assert.equal(await client.ended(), 0x87)
    house.judge.setAnchors(anchors)
  })

  it('ends with its certificate, at the next sweep', async () => {
    const { clock } = house.house
    const { time } = clock
    const client = await house.enter(device, 'x')
    clock.time = device.leaf.notAfter
    house.sweep()
    await client.ping()
    clock.time = device.leaf.notAfter + 1_000
    while (client.isOpen) {
      house.sweep()
      await turn()
    }
    assert.equal(await client.ended(), 0x87)
    const refusal = (await house.refusals()).at(-1)
    assert.deepEqual([refusal?.['subject'], refusal?.['code']], [device.row.id, 'ERR_CERT_EXPIRED'])
    clock.time = time + 1_000
  })

  it('of an application ends when it is removed, and when its certificate is revoked', async () => {
    const [removed, revoked, other] = [
      await house.application(),
      await house.application(),
      await house.application(),
    ]
    const [one, two, third] = [
      await house.enter(removed, 'x'),
      await house.enter(revoked, 'x', 4),
      await house.enter(other, 'x'),
    ]
    await house.applications.remove(removed.name)
    assert.equal(await one.ended(), 0x87)
    assert.equal(await house.lastRefusal(), 'ERR_APPLICATION_GONE')
    const { store, registry } = house.house
    const [row] = await store.find('certificate', 'application', revoked.id)
    await registry.revokeCertificate(row?.serial ?? '', 'keyCompromise')
    assert.equal(await two.ended(), undefined)
    assert.equal(await house.lastRefusal(), 'ERR_CERT_REVOKED')
    await third.ping()
  })

  it('with messages in flight: what was acknowledged is stored, and nothing is acknowledged afterwards', async () => {
    const client = await house.enter(device, 'x')
    for (let n = 0; n < 3; n++) await client.deliver(topicOf(device, 'a'), `${n}`)
    const held = new Held(house, storesMessage)
    for (let n = 3; n < 6; n++) client.publish(topicOf(device, 'a'), `${n}`)
    await held.atLeast(3)
    await house.house.registry.revoke(device.row.id, 'keyCompromise')
    assert.equal(await client.ended(), 0x87)
    held.end()
    await house.rest()
    assert.deepEqual(client.unread, [])
    const said = (await house.said(device)).map(([, data]) => data)
    assert.deepEqual(said.slice(0, 3), [0, 1, 2])
  })

  it('that does not read its last word is cut off by the next sweep', async () => {
    const client = await house.enter(device, 'x')
    client.socket.pause()
    await house.house.registry.revoke(device.row.id, 'keyCompromise')
    await house.rest()
    house.sweep()
    client.socket.resume()
    assert.equal(await client.ended(), 0x87)
    client.write(Buffer.of(0xc0, 0))
  })

  it('of a device with many ends with all of them, and those of others stay', async () => {
    const devices = [device]
    for (let n = 0; n < 49; n++) devices.push(await house.device())
    const clients: MqttClient[] = []
    for (const each of devices)
      clients.push(
        ...(await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => house.enter(each, id)))),
      )
    assert.equal(clients.length, 300)
    const begun = performance.now()
    await house.house.registry.revoke(device.row.id, 'keyCompromise')
    const said = await Promise.all(clients.slice(0, 6).map((client) => client.ended()))
    const took = performance.now() - begun
    assert.deepEqual(said, Array(6).fill(0x87))
    assert.ok(took < 2000, `${took} ms`)
    await Promise.all(clients.slice(6).map((client) => client.ping()))
    for (const client of clients) client.socket.destroy()
  })

  it('that is judged again waits with what it sends for the verdict', async () => {
    for (const verdict of ['stays', 'ends'] as const) {
      const client = await house.enter(device, 'x')
      const stored = (await house.messages(device)).length
      const gate = Promise.withResolvers<void>()
      judging = () => gate.promise
      if (verdict === 'stays') house.house.notices.tell({ kind: 'device', id: device.row.id })
      else await house.house.registry.suspend(device.row.id, 'lost')
      client.publish(topicOf(device, 'a'), 'x')
      client.send({ cmd: 'pingreq' })
      await house.rest()
      assert.equal((await house.messages(device)).length, stored)
      assert.deepEqual(client.unread, [])
      judging = undefined
      gate.resolve()
      if (verdict === 'stays') {
        const came = new Set([(await client.any())?.cmd, (await client.any())?.cmd])
        assert.deepEqual(came, new Set(['puback', 'pingresp']))
      } else assert.equal(await client.ended(), 0x87)
      assert.equal((await house.messages(device)).length, stored + (verdict === 'stays' ? 1 : 0))
    }
  })

  it('that is judged for the first time may send all it wants to; nothing is lost', async () => {
    const gate = Promise.withResolvers<void>()
    judging = () => gate.promise
    const client = house.client(device)
    const connack = client.connect('x')
    for (let n = 0; n < 20; n++) client.publish(topicOf(device, 'a'), `${n}`)
    await client.secure
    await house.rest()
    assert.deepEqual(client.unread, [])
    judging = undefined
    gate.resolve()
    assert.equal((await connack).reasonCode, 0)
    for (let n = 0; n < 20; n++) await client.next('puback')
  })

  it('of a device that is suspended while it comes in does not come in', async () => {
    const held = new Held(house)
    const client = house.client(device)
    const kept = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const refused = assert.rejects(client.connect('x', kept), /connack has not come/)
    await held.atLeast(1)
    await house.house.registry.suspend(device.row.id, 'lost')
    await house.rest()
    held.end()
    await refused
    await house.until(async () => (await house.sessions()).every(({ leftAt }) => leftAt !== null))
  })

  it('beyond as many as a device may have ends the oldest', async () => {
    const most = house.limits.connectionsPerDeviceMax
    const clients: MqttClient[] = []
    for (let n = 0; n <= most; n++) clients.push(await house.enter(device, `${n}`))
    assert.equal(await clients[0]?.ended(), 0x97)
    for (const client of clients.slice(1)) await client.ping()
  })
})
