import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { encodeContinued, encodeStart } from '@countersign/core/channel'
import { type CoapMessage, codeText } from '@countersign/core/coap'
import { fromUtf8, hex } from '@countersign/core/codec'
import { fingerprintOf } from '../../../src/frontend/peerChain.ts'
import { makeHouse } from '../../authority/house.ts'
import { enrolled } from '../house.ts'
import { Refused, required, x5tOf } from './device.ts'
import { CoapHouse } from './house.ts'

describe('a handshake at the coap door', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  for (const method of [0, 1] as const) {
    for (const suite of [2, 3] as const) {
      it(`with method ${method} in suite ${suite} is confirmed by message_4`, async () => {
        const device = await house.device({ method, suite })
        await device.handshake()
        assert.deepEqual(await house.rows(), [], 'no row before a message')
        assert.equal(codeText((await device.post('a', { number: 1 })).code), '2.04')
        const [row] = await house.rows()
        assert.equal(row?.device, device.identity.row.id)
        assert.equal(row.id.length, 6, 'C_R has three bytes')
        assert.equal(row.fingerprint, fingerprintOf(device.identity.leaf.der))
      })
    }
  }

  it('answers a message_1 that comes again with the same bytes, also while the first is made', async () => {
    const device = await house.device()
    const payload = encodeStart(device.message1())
    const both = await Promise.all([device.edhoc(payload), device.edhoc(payload)])
    const answers = [...both, await device.edhoc(payload)].map((answer) => hex(answer.payload))
    assert.equal(new Set(answers).size, 1)
    assert.equal(house.door.load.halfOpen, 1)
  })

  it('answers a message_3 that comes again with the same bytes, and makes one context', async () => {
    const device = await house.device()
    const { message3, next } = await device.begin()
    const payload = encodeContinued(next.session.cR, message3)
    const both = await Promise.all([device.edhoc(payload), device.edhoc(payload)])
    const answers = [...both, await device.edhoc(payload)].map((answer) => hex(answer.payload))
    assert.equal(new Set(answers).size, 1)
    assert.partialDeepStrictEqual(house.door.load, { halfOpen: 0, contexts: 1, inFlight: 0 })
  })

  it('takes a certificate by value, and a full thumbprint', async () => {
    for (const of of [
      (der: Uint8Array) => ({ x5chain: [der] }),
      (der: Uint8Array) => ({ x5t: x5tOf(der, -16) }),
    ]) {
      const known = await house.device()
      const reference = of(known.identity.leaf.der)
      const device = house.narrow(known.identity, { reference })
      assert.equal(codeText((await device.first('a', { number: 1 })).code), '2.04')
    }
  })

  it('names the suites that it takes when it takes none of those offered', async () => {
    const device = await house.device()
    // SUITES_I [0] in the place of [2] (RFC 9528 §3.6).
    const message1 = device.message1()
    assert.equal(message1[1], 2)
    message1[1] = 0
    const refused = await refusedBy(device.edhoc(encodeStart(message1)))
    assert.deepEqual(refused.error, { kind: 'wrong suite', suitesR: [2, 3] })
  })

  it('sends its certificate by value when it is asked to, after Echo alone', async () => {
    for (const method of [0, 1] as const) {
      for (const wanted of ['leaf', 'leaf and issuer'] as const) {
        const device = await house.device({ method, wanted })
        assert.equal(codeText((await device.first('a', { number: 1 })).code), '2.04')
        const [challenge] = device.received
        assert.equal(codeText(required(challenge).code), '4.01')
        assert.equal(device.received.length, 3)
      }
    }
  })

  it('of an unknown thumbprint is refused with error 3, by value with the least', async () => {
    const elsewhere = await makeHouse()
    try {
      const stranger = await enrolled(elsewhere, 'SN-1')
      const byName = house.narrow(stranger)
      const unknown = await refusedBy(byName.first('a'))
      assert.deepEqual(unknown.error, { kind: 'unknown credential' })
      const reference = { x5chain: [stranger.leaf.der] }
      const whole = await refusedBy(house.narrow(stranger, { reference }).first('a'))
      assert.deepEqual(whole.error, { kind: 'unspecified', text: 'message refused' })
      const codes = (await house.refusals()).map(({ code }) => code)
      assert.deepEqual(codes, ['ERR_CREDENTIAL_UNKNOWN', 'ERR_CHAIN_UNKNOWN_ISSUER'])
      assert.equal(house.door.load.contexts, 0)
    } finally {
      await elsewhere.close()
    }
  })

  it('is judged again at message_3: whoever was suspended or revoked meanwhile stays out', async () => {
    const { registry } = house.house
    const moves = [
      [(id: string) => registry.suspend(id, 'lost'), 'ERR_DEVICE_SUSPENDED'],
      [(id: string) => registry.revoke(id, 'keyCompromise'), 'ERR_CERT_REVOKED'],
      [(id: string) => registry.retire(id), 'ERR_CERT_REVOKED'],
    ] as const
    for (const [move, code] of moves) {
      const device = await house.device()
      const { message3, next } = await device.begin()
      await move(device.identity.row.id)
      const refused = await refusedBy(device.edhoc(encodeContinued(next.session.cR, message3)))
      assert.deepEqual(refused.error, { kind: 'unspecified', text: 'message refused' })
      const last = (await house.refusals()).at(-1)
      assert.equal(last?.['code'], code)
      assert.equal(last['subject'], device.identity.row.id, 'the operator learns whose it was')
    }
    assert.equal(house.door.load.contexts, 0)
  })

  it('of a certificate that has expired or was revoked alone is refused', async () => {
    const expired = await house.device()
    const revoked = await house.device()
    const { registry, clock } = house.house
    const [row] = await registry.certificatesOf(revoked.identity.row.id)
    await registry.revokeCertificate(required(row).serial, 'superseded')
    await refusedBy(revoked.first('a'))
    clock.time = expired.identity.leaf.notAfter + 1000
    await refusedBy(expired.first('a'))
    const codes = (await house.refusals()).map(({ code }) => code)
    assert.deepEqual(codes, ['ERR_CERT_REVOKED', 'ERR_CERT_EXPIRED'])
  })

  it('with a factory certificate comes in where the product takes one', async () => {
    const { registry } = house.house
    const device = house.narrow(await house.factoryDevice('FACTORY-1'))
    assert.equal(codeText((await device.first('a', { number: 1 })).code), '2.04')
    await registry.setProduct('default', { credential: 'owner' })
    const refused = await device.post('a', { number: 2 })
    assert.equal(codeText(refused.code), '4.03')
    assert.equal(fromUtf8(refused.payload), 'ERR_CREDENTIAL_NOT_ALLOWED')
  })

  it('of a product that may not use this road is refused', async () => {
    const device = await house.device()
    await house.house.registry.setProduct('default', { roads: '["https"]' })
    await refusedBy(device.first('a'))
    assert.equal((await house.refusals()).at(-1)?.['code'], 'ERR_ROAD_NOT_ALLOWED')
  })

  it('ends after its time, and message_3 of it is refused', async () => {
    const device = await house.device()
    const { message3, next } = await device.begin()
    house.timers.advance(110_000)
    assert.equal(house.door.load.halfOpen, 0)
    await refusedBy(device.edhoc(encodeContinued(next.session.cR, message3)))
  })

  it('goes on when the device has another address by message_3', async () => {
    const device = await house.device()
    const { message3, next } = await device.begin()
    device.moveTo('198.51.100.9:5683')
    await device.edhoc(encodeContinued(next.session.cR, message3))
    assert.equal(house.door.load.contexts, 1)
  })
})

async function refusedBy(attempt: Promise<CoapMessage>): Promise<Refused> {
  const error = await attempt.then(
    ({ code }) => new Error(`taken with ${codeText(code)}`),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Refused, String(error))
  return error
}
