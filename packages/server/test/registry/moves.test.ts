import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { enrol, type House, openHouse, peerOf, renew, renewal, sign } from './house.ts'

describe('moves of the operator', () => {
  let house: House
  beforeEach(async () => {
    house = await openHouse()
  })
  afterEach(async () => {
    await verifyLog(house.store)
    await house.dispose()
  })

  test('revoking a device revokes every certificate it has, with the reason and the time', async () => {
    const { device } = await enrol(house, { serial: 'A-1' })
    await renew(house, device.id, 'second', 'renew:1')
    house.now += 5_000
    const after = await house.registry.revoke(device.id, 'keyCompromise')
    assert.deepEqual([after.state, after.reason], ['revoked', 'keyCompromise'])
    const revoked = []
    for await (const row of house.registry.revokedCertificates('owner')) revoked.push(row)
    assert.equal(revoked.length, 2)
    for (const row of revoked) {
      assert.equal(row.reason, 'keyCompromise')
      assert.equal(row.revokedAt, house.now)
    }
    assert.deepEqual(
      revoked.map(({ serial }) => serial),
      revoked.map(({ serial }) => serial).toSorted(),
    )
    for await (const row of house.registry.revokedCertificates('maker')) assert.fail(row.serial)
  })

  test('revoking a device revokes every certificate it has, however many', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    const rows = Array.from({ length: 10_100 }, (_, n) => {
      const serial = `7f${n.toString(16).padStart(6, '0')}`
      return { ...certificate, serial, fingerprint: serial, x5t: serial }
    })
    await house.store.apply({
      writes: rows.map((row) => ({ kind: 'insert', table: 'certificate', row })),
    })
    await house.registry.revoke(device.id, 'keyCompromise')
    let revoked = 0
    for await (const row of house.registry.revokedCertificates('owner'))
      if (row.device === device.id) revoked++
    assert.equal(revoked, rows.length + 1)
  })

  test('retiring ends the certificates as cessation of operation, and is final', async () => {
    const { device } = await enrol(house, { serial: 'A-1' })
    await house.registry.retire(device.id)
    const [row] = await house.registry.certificatesOf(device.id)
    assert.equal(row?.reason, 'cessationOfOperation')
    const attempts = [
      house.registry.revoke(device.id, 'unspecified'),
      house.registry.suspend(device.id, 'x'),
      house.registry.resume(device.id),
      house.registry.retire(device.id),
    ]
    for (const attempt of attempts) await assert.rejects(attempt, { code: 'ERR_DEVICE_STATE' })
  })

  test('a revocation at the moment of a renewal leaves no certificate alive', async () => {
    for (let round = 0; round < 20; round++) {
      const { device } = await enrol(house, { serial: `A-${round}` })
      const outcomes = await Promise.allSettled([
        renew(house, device.id, `second ${round}`, 'renew:1'),
        house.registry.revoke(device.id, 'keyCompromise'),
        renew(house, device.id, `third ${round}`, 'renew:1'),
      ])
      assert.equal(outcomes[1].status, 'fulfilled')
      const alive = (await house.registry.certificatesOf(device.id)).filter(
        ({ status }) => status === 'issued' || status === 'confirmed' || status === 'superseded',
      )
      assert.deepEqual(alive, [])
    }
  })

  test('a certificate that is revoked while its successor is confirmed stays revoked', async () => {
    for (let round = 0; round < 12; round++) {
      const { device, certificate: old } = await enrol(house, { serial: `A-${round}` })
      await house.registry.admit(peerOf(old), 'https')
      const fresh = await renew(house, device.id, `second ${round}`, 'renew:1')
      const confirmed = house.registry.admit(peerOf(fresh), 'https')
      for (let turn = 0; turn < round; turn++) await Promise.resolve()
      const revoked = house.registry.revokeCertificate(old.serial, 'keyCompromise')
      await Promise.all([confirmed, revoked])
      const row = await house.store.get('certificate', old.serial)
      assert.deepEqual([row?.status, row?.reason], ['revoked', 'keyCompromise'], `round ${round}`)
      await assert.rejects(house.registry.admit(peerOf(old), 'https'), { code: 'ERR_CERT_REVOKED' })
    }
  })

  test('a certificate that is revoked renews nothing any more, also what it had begun', async () => {
    for (const profile of ['ldevid', 'idevid'] as const) {
      const { device, certificate } = await enrol(house, { serial: `B-${profile}`, profile })
      const basis =
        profile === 'ldevid' ? `renew:${certificate.serial}` : `maker:${certificate.fingerprint}`
      const begun = renewal(house, device.id, `second of ${profile}`, basis)
      const { serial } = await house.registry.reserve(begun)
      await house.registry.revokeCertificate(certificate.serial, 'keyCompromise')
      const { der, fingerprint } = sign(serial)
      await assert.rejects(house.registry.issued(serial, der, fingerprint), {
        code: 'ERR_CERT_REVOKED',
      })
      assert.equal((await house.store.get('certificate', serial))?.der, null)
    }
    for (let round = 0; round < 12; round++) {
      const { device, certificate } = await enrol(house, { serial: `A-${round}` })
      const request = `renew:${certificate.serial}`
      const renewed = renew(house, device.id, `second ${round}`, request)
      for (let turn = 0; turn < round; turn++) await Promise.resolve()
      await Promise.allSettled([
        renewed,
        house.registry.revokeCertificate(certificate.serial, 'keyCompromise'),
      ])
      const types = (await house.store.find('event', 'subject', device.id)).map(({ type }) => type)
      const last = types.findLastIndex((type) => type === 'certificate.issued')
      assert.ok(last < types.indexOf('certificate.revoked'), types.join(' '))
    }
  })

  test('a certificate that is revoked while its device is keeps its own reason', async () => {
    for (let round = 0; round < 12; round++) {
      const { device, certificate } = await enrol(house, { serial: `A-${round}` })
      const retired = house.registry.retire(device.id)
      for (let turn = 0; turn < round; turn++) await Promise.resolve()
      const revoked = house.registry.revokeCertificate(certificate.serial, 'keyCompromise')
      const [, { reason }] = await Promise.all([retired, revoked])
      const row = await house.store.get('certificate', certificate.serial)
      assert.equal(row?.reason, reason, `round ${round}`)
    }
  })

  test('two operators at once: one move wins, the other hears what the state is now', async () => {
    const { device } = await enrol(house, { serial: 'A-1' })
    const outcomes = await Promise.allSettled([
      house.registry.suspend(device.id, 'one'),
      house.registry.suspend(device.id, 'two'),
      house.registry.revoke(device.id, 'keyCompromise'),
    ])
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'done')),
      ['done', 'ERR_DEVICE_STATE', 'done'],
    )
    assert.equal((await house.registry.find(device.id)).state, 'revoked')
  })

  test('each move is one event and one message, with before, after and reason', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    await house.registry.admit(peerOf(certificate), 'https')
    await house.registry.suspend(device.id, 'lost')
    await house.registry.resume(device.id)
    await house.registry.revoke(device.id, 'keyCompromise')
    const events = await house.store.find('event', 'subject', device.id)
    assert.deepEqual(
      events.map(({ type, actor }) => `${type} by ${actor}`),
      [
        'certificate.reserved by operator',
        'certificate.issued by system',
        'device.active by device',
        'device.suspended by operator',
        'device.active by operator',
        'device.revoked by operator',
      ],
    )
    assert.deepEqual(JSON.parse(events.at(-1)?.data ?? ''), {
      move: 'revoke',
      from: 'active',
      to: 'revoked',
      reason: 'keyCompromise',
      certificates: [certificate.serial],
    })
    const bodies = (await house.store.scan('message', { limit: 99 })).map(({ body }) =>
      JSON.parse(body),
    )
    assert.deepEqual(
      bodies.map(({ source, data }) => `${source} ${data.state}`),
      ['enrolled', 'active', 'suspended', 'active', 'revoked'].map(
        (state) => `${device.id} ${state}`,
      ),
    )
  })

  test('an unknown device or certificate is said to be unknown', async () => {
    await assert.rejects(house.registry.revoke('urn:dev:mac:0000000000000001', 'unspecified'), {
      name: 'CallerError',
      code: 'ERR_DEVICE_UNKNOWN',
    })
    await assert.rejects(house.registry.revokeCertificate('40aa', 'unspecified'), {
      code: 'ERR_CERT_UNKNOWN',
      where: '40aa',
      hint: /identity show/,
    })
  })
})
