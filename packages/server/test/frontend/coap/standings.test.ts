import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { contextParameters, encodeContinued } from '@countersign/core/channel'
import { type CoapMessage, codeText, parseMessage } from '@countersign/core/coap'
import { fromUtf8 } from '@countersign/core/codec'
import { deriveContext } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type NarrowDevice, Refused, required } from './device.ts'
import { CoapHouse } from './house.ts'

const dayMs = 86_400_000

describe('a context whose device may not come in any more', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  async function admitted(): Promise<NarrowDevice> {
    const device = await house.device()
    assert.equal(said(await device.first('a', { number: 1 })), '2.04 ')
    return device
  }

  for (const where of ['in memory', 'in the store alone'] as const) {
    it(`becomes a tombstone at once, ${where}, and the operator reads why`, async () => {
      const device = await admitted()
      if (where === 'in the store alone') await house.restart('cleanly')
      await house.house.registry.suspend(idOf(device), 'lost')
      const [row] = await house.rows()
      assert.partialDeepStrictEqual(row, { state: 'tombstone', reason: 'ERR_DEVICE_SUSPENDED' })
      const [refusal, ...more] = await house.refusals()
      assert.deepEqual(more, [])
      assert.partialDeepStrictEqual(refusal, {
        subject: idOf(device),
        code: 'ERR_DEVICE_SUSPENDED',
        road: 'coap',
        address: '192.0.2.1',
      })
      // Its next frame is verified, refused under OSCORE, and attributed.
      assert.equal(said(await device.post('a', { number: 2 })), '4.03 ERR_DEVICE_SUSPENDED')
      assert.equal((await house.refusals()).length, 2)
      assert.equal((await house.refusals())[1]?.['subject'], idOf(device))
      const why = await house.house.registry.why(idOf(device))
      assert.match(JSON.stringify(why), /"road":"coap"/)
      assert.equal((await house.messages()).length, 1)
    })
  }

  it('stays ended when the device is let in again, which makes a new one', async () => {
    const device = await admitted()
    const { registry } = house.house
    await registry.suspend(idOf(device), 'lost')
    await house.idle()
    await registry.resume(idOf(device))
    assert.equal(said(await device.post('a', { number: 2 })), '4.01 ERR_CONTEXT_ENDED')
    assert.equal(said(await device.first('a', { number: 2 })), '2.04 ')
    const states = (await house.rows()).map(({ state }) => state).toSorted()
    assert.deepEqual(states, ['live', 'tombstone'])
  })

  it('answers a forged frame of a tombstone as that of any other', async () => {
    const device = await admitted()
    await house.house.registry.revoke(idOf(device), 'keyCompromise')
    await house.idle()
    const before = (await house.refusals()).length
    const datagram = device.datagram(device.reading('a', {}), 9)
    const last = datagram.length - 1
    datagram[last] = required(datagram[last]) ^ 1
    const [answer] = await house.inject(datagram, '203.0.113.1:1')
    assert.equal(fromUtf8(parseMessage(required(answer)).payload), 'Decryption failed')
    assert.equal((await house.refusals()).length, before)
  })

  it('leaves a bounded number of tombstones, for a bounded time', async () => {
    const device = await admitted()
    const { registry } = house.house
    for (let n = 0; n < 7; n++) {
      await registry.suspend(idOf(device), 'lost')
      await house.idle()
      await registry.resume(idOf(device))
      house.timers.advance(61_000)
      assert.equal(said(await device.first('a', { number: n + 2 })), '2.04 ')
    }
    const rows = await house.rows()
    assert.equal(rows.filter(({ state }) => state === 'tombstone').length, 4)
    assert.equal(rows.filter(({ state }) => state === 'live').length, 1)
    house.timers.advance(31 * dayMs)
    await house.idle()
    house.timers.advance(3_600_000)
    await house.idle()
    const left = await house.rows()
    assert.deepEqual(
      left.map(({ state }) => state),
      ['live'],
    )
    // The one that was used last is in memory too; what is forgotten is not known any more.
    assert.equal(house.door.load.contexts, 1)
  })

  it('is found out when its product loses the road, or its certificate its time', async () => {
    const [one, two] = [await admitted(), await admitted()]
    await house.house.registry.setProduct('default', { roads: '["https"]' })
    assert.deepEqual(
      (await house.rows()).map(({ state }) => state),
      ['tombstone', 'tombstone'],
    )
    assert.equal(said(await one.post('a', { number: 2 })), '4.03 ERR_ROAD_NOT_ALLOWED')
    await house.house.registry.setProduct('default', { roads: '["coap"]' })
    assert.equal(said(await two.first('a', { number: 2 })), '2.04 ')
    house.house.clock.time = two.identity.leaf.notAfter + 1000
    assert.equal(said(await two.post('a', { number: 3 })), '4.03 ERR_CERT_EXPIRED')
    assert.equal((await house.messages()).length, 3)
  })

  it('is found out when it is used, although no notice told of it in its time', async () => {
    const device = await admitted()
    await house.restart('cleanly')
    const [row] = await house.house.registry.certificatesOf(idOf(device))
    await house.house.store.apply({
      writes: [{ kind: 'delete', table: 'certificate', key: required(row).serial }],
    })
    assert.equal(said(await device.post('a', { number: 2 })), '4.03 ERR_CREDENTIAL_UNKNOWN')
    assert.equal((await house.messages()).length, 1)
  })

  it('is judged again when a minute has passed since it was, although no notice told of anything', async () => {
    const device = await admitted()
    const [row] = await house.house.registry.certificatesOf(idOf(device))
    await house.house.store.apply({
      writes: [{ kind: 'delete', table: 'certificate', key: required(row).serial }],
    })
    house.timers.advance(59_999)
    assert.equal(said(await device.post('a', { number: 2 })), '2.04 ')
    house.timers.advance(1)
    assert.equal(said(await device.post('a', { number: 3 })), '4.03 ERR_CREDENTIAL_UNKNOWN')
    assert.equal((await house.rows())[0]?.state, 'tombstone')
    assert.equal((await house.messages()).length, 2)
  })

  it('that has carried nothing is forgotten with its device', async () => {
    const device = await house.device()
    await device.handshake()
    await house.house.registry.revoke(idOf(device), 'keyCompromise')
    await house.idle()
    assert.equal(house.door.load.contexts, 0)
    await assert.rejects(device.post('a', { number: 1 }), Refused)
    assert.deepEqual(await house.rows(), [])
  })

  it('is judged by its first message when a notice crossed its handshake', async () => {
    const device = await house.device()
    const { registry } = house.house
    const admit = registry.admit.bind(registry)
    // The registry has said yes, and nobody has heard it yet.
    registry.admit = async (...asked) => {
      const answer = await admit(...asked)
      await registry.setProduct('default', { roads: '["https"]' })
      return answer
    }
    const { message3, next } = await device.begin()
    device.use(deriveContext(nodeCrypto, contextParameters(next.session, 'initiator')))
    await device.edhoc(encodeContinued(next.session.cR, message3))
    registry.admit = admit
    const error: unknown = await device.post('a', { number: 1 }).catch((reason: unknown) => reason)
    assert.ok(error instanceof Refused, 'the first message is taken')
    assert.deepEqual(await house.messages(), [])
    assert.equal((await house.refusals())[0]?.['code'], 'ERR_ROAD_NOT_ALLOWED')
  })

  it('lets nothing through that was on its way when the device was turned out', async () => {
    const device = await admitted()
    const all = Array.from({ length: 8 }, (_, n) =>
      device.post('a', { number: n + 2 }).then(said, (error: unknown) => String(error)),
    )
    const revoked = house.house.registry.revoke(idOf(device), 'keyCompromise')
    const answers = await Promise.all(all)
    await revoked
    const taken = answers.filter((answer) => answer === '2.04 ').length
    assert.equal((await house.messages()).length, 1 + taken)
    assert.match(said(await device.post('a', { number: 20 })), /^4\.03 /)
    assert.equal((await house.messages()).length, 1 + taken)
  })
})

function said({ code, payload }: CoapMessage): string {
  return `${codeText(code)} ${fromUtf8(payload)}`
}

function idOf(device: NarrowDevice): string {
  return device.identity.row.id
}
