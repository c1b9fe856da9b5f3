import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { enrol, type House, newDeviceRequest, openHouse, peerOf, sign, start } from './house.ts'

describe('enrolment', () => {
  let house: House
  beforeEach(async () => {
    house = await openHouse()
  })
  afterEach(() => house.dispose())

  test('a token makes a device of the block, whose first handshake activates it', async () => {
    const { token } = await house.registry.invite({
      product: 'default',
      count: 1,
      expiresAt: start + 1000,
    })
    const { device, certificate } = await enrol(house, { serial: 'A-1', token })
    assert.equal(device.state, 'enrolled')
    assert.match(device.id, /^urn:dev:mac:[0-9a-f]{16}$/)
    assert.equal(certificate.status, 'issued')
    const admitted = await house.registry.admit(peerOf(certificate), 'https')
    assert.equal(admitted.device.state, 'active')
    assert.equal(admitted.certificate?.status, 'confirmed')
    assert.equal(admitted.credential, certificate.x5t)
    const types = (await house.store.scan('message', { limit: 9 })).map(({ type }) => type)
    assert.deepEqual(types, ['countersign.device.enrolled', 'countersign.device.changed'])
  })

  test('fifty at once on a token for twenty make exactly twenty devices', async () => {
    const { token } = await house.registry.invite({
      product: 'default',
      count: 20,
      expiresAt: start + 1000,
    })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) =>
        house.registry.reserve(newDeviceRequest(house, { serial: `A-${n}`, token })),
      ),
    )
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected')
    assert.equal(lost.length, 30)
    assert.ok(lost.every(({ reason }) => reason.code === 'ERR_TOKEN_SPENT'))
    assert.equal((await house.store.scan('device', { limit: 99 })).length, 20)
    assert.equal(
      new Set((await house.store.scan('certificate', { limit: 99 })).map(({ serial }) => serial))
        .size,
      20,
    )
  })

  test('a lost answer asked again gives the same certificate and costs the token nothing', async () => {
    const { token } = await house.registry.invite({
      product: 'default',
      count: 1,
      expiresAt: start + 1000,
    })
    const { certificate } = await enrol(house, { serial: 'A-1', token })
    const again = await house.registry.reserve(newDeviceRequest(house, { serial: 'A-1', token }))
    assert.deepEqual(again.issued, certificate)
    const twice = await house.registry.issued(
      again.serial,
      ...(Object.values(sign('other')) as [Uint8Array, string]),
    )
    assert.deepEqual(twice, certificate)
  })
})
