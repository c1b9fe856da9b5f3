import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { attributeOid } from '@countersign/core/credential'
import type { MqttVersion } from '../../../src/frontend/mqtt/packets.ts'
import { day, newKey, requestFor } from '../../authority/house.ts'
import { type Shown, shown } from '../house.ts'
import { MqttHouse, topicOf } from './house.ts'

/** Not authorized: CONNACK of 3.1.1 §3.2.2.3 and MQTT 5 §3.2.2.2. */
const notAuthorized: Readonly<Record<MqttVersion, number>> = { 4: 5, 5: 0x87 }

describe('the mqtts door lets in', () => {
  let house: MqttHouse
  before(async () => {
    house = await MqttHouse.create()
  })
  after(() => house.close())

  /** Refused under both versions, and the operator reads this. */
  async function refused(who: Shown | undefined, code: string): Promise<void> {
    for (const version of [4, 5] as const) {
      house.forgive()
      const from = (await house.refusals()).length
      await house.client(who, version).refusedWith(notAuthorized[version])
      const news = (await house.refusals()).slice(from)
      // A connection before it that is still open is cut off, which is a refusal too.
      const said = new Set(
        news.map((refusal) => `${String(refusal['code'])} ${String(refusal['road'])}`),
      )
      assert.deepEqual([...said], [`${code} mqtts`])
    }
  }

  for (const version of [4, 5] as const)
    it(`a device with its owner's certificate, over version ${version}, whose message becomes an event that names it`, async () => {
      const device = await house.device()
      const client = await house.enter(device, 'boiler', version)
      await client.deliver(topicOf(device, 'boiler/temperature'), '{"celsius": 21.50}')
      const message = (await house.messages()).at(-1)
      assert.match(message?.body ?? '', /"data":\{"celsius": 21.50\}/)
      const { id, time, ...event } = JSON.parse(message?.body ?? '') as Record<string, unknown>
      assert.match(String(id), /^[0-9a-f]{32}$/)
      assert.equal(time, new Date(house.house.clock.now()).toISOString())
      assert.deepEqual(event, {
        specversion: '1.0',
        source: device.row.id,
        type: 'countersign.message',
        subject: 'boiler/temperature',
        road: 'mqtts',
        assurance: 0,
        credential: (await house.house.registry.certificatesOf(device.row.id))[0]?.x5t,
        datacontenttype: 'application/json',
        data: { celsius: 21.5 },
      })
      assert.equal((await house.house.registry.find(device.row.id)).state, 'active')
      await client.leave()
    })

  it('a device with a factory certificate of the house, unless its product wants the owner’s', async () => {
    const { registry, authority } = house.house
    const { key, signer } = newKey()
    const csr = await requestFor('FACTORY-1', signer)
    const about = {
      product: 'default',
      origin: 'software',
      assurance: 0,
      actor: 'operator',
    } as const
    const issued = await authority.issueIdevid({ csr, ...about })
    const who = shown(issued.der, key)
    const client = await house.enter(who, 'made')
    await registry.setProduct('default', { credential: 'owner' })
    assert.equal(await client.ended(), 0x87)
    await refused(who, 'ERR_CREDENTIAL_NOT_ALLOWED')
    await registry.setProduct('default', { credential: 'either' })
  })

  it('an application with its certificate', async () => {
    const application = await house.application()
    for (const version of [4, 5] as const) {
      const client = await house.enter(application, 'desk', version)
      assert.deepEqual(await client.subscribe('devices/#'), [1])
    }
  })

  it('nobody without a certificate', () => refused(undefined, 'ERR_CERT_MISSING'))

  it('nobody whom it does not know, although the certificate is good', async () => {
    const device = await house.device()
    const [row] = await house.house.registry.certificatesOf(device.row.id)
    const gone = { kind: 'delete', table: 'certificate', key: row?.serial ?? '' } as const
    await house.house.store.apply({ writes: [gone] })
    await refused(device, 'ERR_CERT_UNKNOWN')
  })

  it('no application certificate that belongs to no application, nor that of one that was removed', async () => {
    const { key, signer } = newKey()
    const name = [{ type: attributeOid.commonName, value: 'by hand' }]
    const csr = await requestFor('by hand', signer, [], name)
    const wanted = { profile: 'application', csr, hosts: [] } as const
    const issued = await house.house.authority.issueByOperator(wanted)
    await refused(shown(issued.der, key), 'ERR_CERT_UNKNOWN')
    const application = await house.application()
    await house.applications.remove(application.name)
    await refused(application, 'ERR_APPLICATION_GONE')
  })

  it('no revoked device, no suspended one and no retired one', async () => {
    const { registry } = house.house
    const [revoked, suspended, retired] = [
      await house.device(),
      await house.device(),
      await house.device(),
    ]
    for (const device of [revoked, suspended, retired]) await house.enter(device, 'x')
    await registry.revoke(revoked.row.id, 'keyCompromise')
    await registry.suspend(suspended.row.id, 'lost')
    await registry.retire(retired.row.id)
    await house.rest()
    await refused(revoked, 'ERR_CERT_REVOKED')
    await refused(suspended, 'ERR_DEVICE_SUSPENDED')
    await refused(retired, 'ERR_CERT_REVOKED')
    await registry.resume(suspended.row.id)
    await house.enter(suspended, 'x')
  })

  it('no certificate that has expired or is not valid yet, and says whose it is', async () => {
    const device = await house.device()
    const { clock } = house.house
    const { time } = clock
    clock.time = device.leaf.notAfter + day
    await refused(device, 'ERR_CERT_EXPIRED')
    assert.equal((await house.refusals()).at(-1)?.['subject'], device.row.id)
    clock.time = device.leaf.notBefore - day
    await refused(device, 'ERR_CERT_NOT_YET_VALID')
    clock.time = time + day
  })

  it('no certificate of another role', async () => {
    const { chainPem, keyPem } = await house.house.authority.serverCredential()
    await refused({ cert: chainPem, key: keyPem }, 'ERR_CHAIN_ROLE')
    const { key, signer } = newKey()
    const name = [{ type: attributeOid.commonName, value: 'somebody' }]
    const csr = await requestFor('somebody', signer, [], name)
    const wanted = { profile: 'operator', csr, hosts: [] } as const
    const issued = await house.house.authority.issueByOperator(wanted)
    await refused(shown(issued.der, key), 'ERR_CHAIN_PURPOSE')
  })

  it('no device whose product does not use the road', async () => {
    const device = await house.device()
    await house.house.registry.setProduct('default', { roads: '["https"]' })
    await refused(device, 'ERR_ROAD_NOT_ALLOWED')
    await house.house.registry.setProduct('default', { roads: '["https","mqtts"]' })
    await house.enter(device, 'x')
  })

  it('nobody over TLS 1.2, and nobody who names another protocol', async () => {
    const device = await house.device()
    const old = house.client(device, 5, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })
    assert.equal(await old.secure, false)
    assert.equal(old.error?.code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
    const lost = house.client(device, 5, { ALPNProtocols: ['http/1.1'] })
    assert.equal(await lost.secure, false)
    assert.equal(lost.error?.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
    const plain = house.client(device, 5, { ALPNProtocols: [] })
    assert.equal((await plain.connect('x')).reasonCode, 0)
    assert.equal(plain.socket.alpnProtocol, false)
  })

  it('who resumes a session of TLS as if it were the first, and judges anew', async () => {
    const device = await house.device()
    const first = house.client(device)
    const ticket = new Promise<Buffer>((resolve) => first.socket.once('session', resolve))
    await first.connect('x')
    const session = await ticket
    const second = house.client(device, 5, { session })
    assert.equal((await second.connect('y')).reasonCode, 0)
    assert.equal(second.resumed, true)
    await house.house.registry.suspend(device.row.id, 'lost')
    await house.rest()
    house.forgive()
    const third = house.client(device, 5, { session })
    await third.refusedWith(0x87)
    assert.equal(third.resumed, true)
    assert.equal(await house.lastRefusal(), 'ERR_DEVICE_SUSPENDED')
  })

  it('nobody who asks for an authentication exchange or another version', async () => {
    const device = await house.device()
    const asks = house.client(device)
    await asks.refusedWith(0x8c, 'x', { properties: { authenticationMethod: 'SCRAM-SHA-1' } })
    assert.equal(await house.lastRefusal(), 'ERR_MQTT_AUTH')
    const old = house.client(device, 4)
    await old.refusedWith(1, 'x', { protocolId: 'MQIsdp', protocolVersion: 3 })
    const future = house.client(device, 5)
    future.write(Buffer.from('100d00044d51545406020000000000', 'hex'))
    assert.equal((await future.next('connack')).reasonCode, 0x84)
    assert.equal(await future.ended(), undefined)
  })

  it('nobody while the store cannot be asked, and says so', async () => {
    const device = await house.device()
    const other = await MqttHouse.create({
      parts: {
        registry: {
          admit: () => Promise.reject(new Error('the store is away')),
          admitApplication: () => Promise.reject(new Error('the store is away')),
          isDevice: () => Promise.resolve(false),
          refused: () => undefined,
        },
      },
    })
    try {
      const theirs = await other.device()
      await other.client(theirs, 4).refusedWith(3)
      await other.client(theirs, 5).refusedWith(0x88)
    } finally {
      await other.close()
    }
    house.gate = () => Promise.reject(new Error('the disk is full'))
    const kept = { clean: false, properties: { sessionExpiryInterval: 60 } }
    await house.client(device, 5).refusedWith(0x88, 'kept', kept)
    house.gate = undefined
    await house.enter(device, 'kept', 5, kept)
  })
})
