/** The least suite of EDHOC that a product lets in: at each handshake, and over the contexts that live. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type CoapMessage, codeText } from '@countersign/core/coap'
import { fromUtf8 } from '@countersign/core/codec'
import { verified } from '../../authority/house.ts'
import { type NarrowDevice, Refused } from './device.ts'
import { CoapHouse } from './house.ts'

const code = 'ERR_SUITE_NOT_ALLOWED'

describe('a product that demands suite 3', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  function demand(edhocSuiteMin: 2 | 3): Promise<unknown> {
    return house.house.registry.setProduct('default', { edhocSuiteMin })
  }

  /** With a live context of this suite. */
  async function admitted(suite: 2 | 3): Promise<NarrowDevice> {
    const device = await house.device({ suite })
    assert.equal(said(await device.first('a', { number: 1 })), '2.04 ')
    return device
  }

  it('refuses a handshake of suite 2, keeps nothing of it, and says why', async () => {
    await demand(3)
    const device = await house.device({ suite: 2 })
    const { id } = device.identity.row
    await assert.rejects(device.first('a', { number: 1 }), Refused)
    await assert.rejects(device.handshake(), Refused)
    assert.deepEqual(await house.messages(), [])
    assert.deepEqual(await house.rows(), [])
    assert.equal(house.door.load.contexts, 0)
    const { registry } = house.house
    assert.notEqual((await registry.find(id)).state, 'active')
    await registry.settled()
    const [refusal] = (await registry.why(id)).refusals
    assert.partialDeepStrictEqual(refusal, {
      code,
      message: 'its handshake was of suite 2, product default demands 3',
      where: 'product default: edhocSuiteMin',
      road: 'coap',
    })
    assert.match(refusal?.remedy ?? '', /--edhoc-suite 3/)
  })

  it('lets in a handshake of suite 3, and whatever comes on another road', async () => {
    await demand(3)
    const device = await admitted(3)
    const peer = await verified(house.house, device.identity.leaf.der, 'owner')
    await house.house.registry.admit(peer, 'https')
    assert.equal((await house.messages()).length, 1)
  })

  for (const where of ['in memory', 'in the store alone'] as const) {
    it(`ends contexts of suite 2 that live, ${where}, and leaves those of suite 3`, async () => {
      const [lesser, better] = [await admitted(2), await admitted(3)]
      if (where === 'in the store alone') await house.restart('cleanly')
      await demand(3)
      assert.equal(said(await better.post('a', { number: 2 })), '2.04 ')
      // Its keys are refused, not the device: a protected 4.01 has it make others.
      assert.equal(said(await lesser.post('a', { number: 2 })), `4.01 ${code}`)
      const states = (await house.rows()).map(({ suite, state, reason }) => ({
        suite,
        state,
        reason,
      }))
      assert.deepEqual(
        states.toSorted((a, b) => a.suite - b.suite),
        [
          { suite: 2, state: 'tombstone', reason: code },
          { suite: 3, state: 'live', reason: null },
        ],
      )
      assert.equal((await house.messages()).length, 3)
      assert.equal((await house.refusals()).at(-1)?.['code'], code)
    })
  }

  it('ends a context of suite 2 in the store alone with the next notice of its device', async () => {
    const device = await admitted(2)
    await house.restart('cleanly')
    await demand(3)
    house.house.notices.tell({ kind: 'device', id: device.identity.row.id })
    const [row] = await house.rows()
    assert.partialDeepStrictEqual(row, { state: 'tombstone', reason: code })
  })
})

function said({ code: number, payload }: CoapMessage): string {
  return `${codeText(number)} ${fromUtf8(payload)}`
}
