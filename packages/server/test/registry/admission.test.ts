import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type { CertificateRow, DeviceRow, Store } from '../../src/ports.ts'
import { createNotices } from '../../src/registry/notices.ts'
import { Registry } from '../../src/registry/registry.ts'
import { day, enrol, type House, openHouse, peerOf, renew, seededRandom } from './house.ts'

describe('admission', () => {
  let house: House
  let device: DeviceRow
  let certificate: CertificateRow
  beforeEach(async () => {
    house = await openHouse()
    ;({ device, certificate } = await enrol(house, { serial: 'A-1' }))
  })
  afterEach(async () => {
    await house.registry.settled()
    assert.deepEqual(house.failures, [])
    await house.dispose()
  })
  const admit = (row = certificate, over = {}): ReturnType<Registry['admit']> =>
    house.registry.admit(peerOf(row, over), 'https')
  const state = async (): Promise<string> => (await house.registry.find(device.id)).state

  test('a known device costs one look-up in memory and no write', async () => {
    let reads = 0
    let writes = 0
    const counted = counting(
      house.store,
      () => reads++,
      () => writes++,
    )
    const registry = new Registry({
      store: counted,
      notices: createNotices(() => undefined),
      clock: { now: () => house.now },
      random: seededRandom('x'),
      crypto: nodeCrypto,
      failed: (error) => assert.fail(String(error)),
    })
    await registry.admit(peerOf(certificate), 'https')
    await registry.admit(peerOf(certificate), 'https')
    ;[reads, writes] = [0, 0]
    for (let n = 0; n < 100; n++) await registry.admit(peerOf(certificate), 'https')
    await registry.settled()
    assert.deepEqual([reads, writes], [0, 0])
  })

  test('a device that comes on another road is seen there at once', async () => {
    await admit()
    await house.registry.admit(peerOf(certificate), 'coap')
    await house.registry.settled()
    assert.equal((await house.registry.find(device.id)).road, 'coap')
  })

  test('last seen is written at most once a minute, and a full disk does not lock the device out', async () => {
    await admit()
    for (let second = 0; second < 180; second++) {
      house.now += 1_000
      await admit()
    }
    await house.registry.settled()
    const row = await house.registry.find(device.id)
    assert.ok(house.now - (row.lastSeen ?? 0) <= 60_000)
    assert.equal(row.road, 'https')
    assert.equal(row.version, 3) // made, issued, activated: last seen does not count

    const failures: unknown[] = []
    const full = { code: 'ERR_STORE_FULL' }
    const store: Store = new Proxy(house.store, {
      get: (target, name: keyof Store) =>
        name === 'apply' ? () => Promise.reject(full) : target[name].bind(target),
    })
    const registry = new Registry({
      store,
      notices: createNotices(() => undefined),
      clock: { now: () => house.now },
      random: seededRandom('x'),
      crypto: nodeCrypto,
      failed: (error) => void failures.push(error),
    })
    house.now += 60_000
    await registry.admit(peerOf(certificate), 'https')
    await registry.settled()
    assert.deepEqual(failures, [full])
  })

  test('fifty first handshakes at once activate the device once', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => admit()))
    assert.ok(all.every((admitted) => admitted.device.state === 'active'))
    const events = await house.store.find('event', 'subject', device.id)
    assert.deepEqual(
      events.map(({ type }) => type),
      ['certificate.reserved', 'certificate.issued', 'device.active'],
    )
  })

  test('a device is let in or turned away by its state, at once and after a restart', async () => {
    await admit()
    const refusedWith = async (code: string, where: string): Promise<void> => {
      await assert.rejects(admit(), { name: 'PeerError', code, where })
      const registry = await house.restart()
      await assert.rejects(registry.admit(peerOf(certificate), 'https'), { code })
    }
    await house.registry.suspend(device.id, 'stolen from the van')
    await refusedWith('ERR_DEVICE_SUSPENDED', `device ${device.id}: state`)
    await assert.rejects(admit(), { message: 'the device is suspended (stolen from the van)' })
    await house.registry.resume(device.id)
    assert.equal((await admit()).device.state, 'active')
    await house.registry.revoke(device.id, 'keyCompromise')
    await refusedWith('ERR_CERT_REVOKED', 'link 0: serialNumber')
  })

  test('a device that was suspended before it ever came goes on where it was', async () => {
    await house.registry.suspend(device.id, 'held back')
    await house.registry.resume(device.id)
    assert.equal(await state(), 'enrolled')
    assert.equal((await admit()).device.state, 'active')
  })

  test('a revoked certificate is refused while its device lives on with another', async () => {
    await admit()
    const newer = await renew(house, device.id, 'new key', 'renew:1')
    await house.registry.revokeCertificate(certificate.serial, 'superseded')
    await assert.rejects(admit(), { code: 'ERR_CERT_REVOKED' })
    assert.equal((await admit(newer)).device.state, 'active')
    const twice = await house.registry.revokeCertificate(certificate.serial, 'keyCompromise')
    assert.equal(twice.reason, 'superseded')
  })

  test('a renewed certificate replaces the old one at its first handshake, after an overlap', async () => {
    await admit()
    house.now += day
    const newer = await renew(house, device.id, 'new key', 'renew:1')
    assert.equal((await admit()).certificate?.status, 'confirmed')
    assert.equal((await admit(newer)).certificate?.status, 'confirmed')
    const overlapUntil = house.now + 7 * day
    assert.equal((await admit()).notAfter, overlapUntil)
    house.now = overlapUntil - 1
    await admit()
    house.now = overlapUntil
    await assert.rejects(admit(), { code: 'ERR_CERT_SUPERSEDED' })
    await admit(newer)
    const rows = await house.registry.certificatesOf(device.id)
    assert.deepEqual(rows.map(({ status }) => status).toSorted(), ['confirmed', 'superseded'])
  })

  test('a renewal whose answer was lost leaves the older one in force, whatever else was issued', async () => {
    await admit()
    house.now += 1
    const lost = await renew(house, device.id, 'lost key', 'renew:1')
    house.now += 1
    const taken = await renew(house, device.id, 'kept key', 'renew:1')
    await admit(taken)
    const status = async (row: CertificateRow): Promise<string | undefined> =>
      (await house.store.get('certificate', row.serial))?.status
    assert.deepEqual(await Promise.all([certificate, lost, taken].map(status)), [
      'superseded',
      'superseded',
      'confirmed',
    ])
  })

  test('the session ends with its chain', async () => {
    const notAfter = house.now + 5_000
    assert.equal((await admit(certificate, { notAfter })).notAfter, notAfter)
  })

  test('a certificate that no device has is refused', async () => {
    const stranger = { ...certificate, fingerprint: 'f'.repeat(64) }
    await assert.rejects(admit(stranger), { code: 'ERR_CERT_UNKNOWN' })
  })

  test('product policy: road, kind of certificate, least assurance; a change counts at once', async () => {
    const { registry } = house
    await admit()
    await registry.setProduct('default', { roads: JSON.stringify(['mqtts', 'coap']) })
    await assert.rejects(admit(), { code: 'ERR_ROAD_NOT_ALLOWED' })
    await registry.admit(peerOf(certificate), 'mqtts')
    await registry.setProduct('default', {
      roads: JSON.stringify(['https']),
      credential: 'factory',
    })
    await assert.rejects(admit(), { code: 'ERR_CREDENTIAL_NOT_ALLOWED' })
    await registry.setProduct('default', { credential: 'owner', assuranceMin: 1 })
    await assert.rejects(admit(), { code: 'ERR_ASSURANCE_TOO_LOW' })
    await registry.setProduct('default', { assuranceMin: 0 })
    assert.equal((await admit()).messagesPerMinute, 600)
    await registry.setProduct('default', { messagesPerMinute: 5 })
    assert.equal((await admit()).messagesPerMinute, 5)
  })

  test('assurance is capped by the anchor that vouches', async () => {
    await house.store.apply({
      writes: [{ kind: 'update', table: 'key', key: certificate.spkiHash, set: { assurance: 3 } }],
    })
    await house.registry.setProduct('default', { assuranceMin: 2 })
    await admit(certificate, { assuranceCap: 2 })
    await assert.rejects(admit(certificate, { assuranceCap: 1 }), { code: 'ERR_ASSURANCE_TOO_LOW' })
  })

  test('a factory certificate of this house activates its device where the product takes it', async () => {
    const made = await enrol(house, { serial: 'F-1', profile: 'idevid' })
    assert.equal(made.device.state, 'personalized')
    await house.registry.setProduct('default', { credential: 'owner' })
    await assert.rejects(admit(made.certificate), { code: 'ERR_CREDENTIAL_NOT_ALLOWED' })
    await house.registry.setProduct('default', { credential: 'either' })
    assert.equal((await admit(made.certificate)).device.state, 'active')
  })

  test('a certificate whose role is not that of its profile is refused', async () => {
    await assert.rejects(admit(certificate, { role: 'maker' }), {
      code: 'ERR_CREDENTIAL_NOT_ALLOWED',
    })
  })

  test('a move while a handshake is being judged is never missed', async () => {
    await admit()
    for (let round = 0; round < 20; round++) {
      const registry = await house.restart()
      const [admitted, suspended] = await Promise.allSettled([
        registry.admit(peerOf(certificate), 'https'),
        registry.suspend(device.id, 'now'),
      ])
      assert.equal(suspended.status, 'fulfilled')
      // Whoever was judged before the move holds a session that the notice ends; nobody is let in
      // after it.
      if (admitted.status === 'fulfilled') assert.equal(admitted.value.device.state, 'active')
      await assert.rejects(registry.admit(peerOf(certificate), 'https'), {
        code: 'ERR_DEVICE_SUSPENDED',
      })
      await registry.resume(device.id)
    }
  })

  test('each move tells those who hold sessions, after it is durable', async () => {
    await admit()
    house.notices.length = 0
    await house.registry.suspend(device.id, 'x')
    assert.deepEqual(
      house.notices.filter(({ kind }) => kind !== 'messages'),
      [{ kind: 'device', id: device.id }],
    )
    await house.registry.resume(device.id)
    house.notices.length = 0
    await house.registry.revoke(device.id, 'keyCompromise')
    assert.deepEqual(
      house.notices.filter(({ kind }) => kind !== 'messages'),
      [
        { kind: 'device', id: device.id },
        { kind: 'certificate', serial: certificate.serial, device: device.id },
      ],
    )
    assert.equal(house.notices.at(-1)?.kind, 'messages')
  })
})

function counting(store: Store, read: () => void, write: () => void): Store {
  return new Proxy(store, {
    get: (target, name: keyof Store) => {
      if (name === 'apply') write()
      else read()
      return target[name].bind(target)
    },
  })
}
