import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { coapCode, codeText } from '@countersign/core/coap'
import { fromUtf8 } from '@countersign/core/codec'
import { CoapHouse } from './house.ts'

describe('the coap door', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(() => house.close())

  it('takes a reading that comes with message_3, and the next ones on the same context', async () => {
    const device = await house.device()
    const response = await device.first('boiler/temperature', {
      number: 1,
      format: 50,
      body: '{"c":21.5}',
    })
    assert.equal(codeText(response.code), '2.04')
    const [row] = await house.messages()
    const event = JSON.parse(row?.body ?? '') as Record<string, unknown>
    const { eui64, id } = device.identity.row
    assert.partialDeepStrictEqual(event, {
      id: `${eui64}-1`,
      source: id,
      type: 'countersign.message',
      subject: 'boiler/temperature',
      road: 'coap',
      datacontenttype: 'application/json',
      data: { c: 21.5 },
    })
    for (const number of [2, 3]) {
      assert.equal((await device.post('boiler/temperature', { number })).code, coapCode.changed)
    }
    assert.equal((await house.messages()).length, 3)
    assert.deepEqual(
      house.log.lines.filter(({ level }) => level === 'error'),
      [],
    )
  })

  it('refuses a revoked device on its context, and tells the operator why', async () => {
    const device = await house.device()
    await device.first('a', { number: 1 })
    await house.house.registry.revoke(device.identity.row.id, 'keyCompromise')
    const response = await device.post('a', { number: 2 })
    assert.equal(codeText(response.code), '4.03')
    assert.match(fromUtf8(response.payload), /^ERR_(CERT|DEVICE)_REVOKED$/)
    assert.equal((await house.messages()).length, 1)
    const [row] = await house.rows()
    assert.equal(row?.state, 'tombstone')
    const refusals = await house.refusals()
    assert.ok(refusals.length >= 1)
    for (const { subject } of refusals) assert.equal(subject, device.identity.row.id)
  })
})
