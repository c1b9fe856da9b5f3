/**
 * message_1 and message_3 of EDHOC at the coap door, with each bit changed, each length cut, longer, in every
 * other form of CBOR, with suites that were turned round, with data that nobody may pass over.
 */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { combine, contextParameters, encodeContinued, encodeStart } from '@countersign/core/channel'
import { type CoapMessage, coapCode, encodeMessage, parseMessage } from '@countersign/core/coap'
import { concat, fromHex, hex } from '@countersign/core/codec'
import { isErrorMessage } from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { deriveContext, protectRequest } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { flips } from '../../../../core/test/cose/examples.ts'
import { otherForms } from '../../../../core/test/edhoc/cborForms.ts'
import type { CoapLimits } from '../../../src/frontend/coap/limits.ts'
import { asRequest, isProtected, type NarrowDevice, Refused, refusedBy } from './device.ts'
import { CoapHouse } from './house.ts'
import { withoutRates } from './stranger.ts'

/** message_1 = 00 02 58 20 G_X 07: method 0, suite 2, C_I. */
const message1Bytes = 37
const gX = { at: 4, end: 36 }

let house: CoapHouse
afterEach(async () => {
  assert.deepEqual(house.errors, [], 'no peer causes a fault of ours')
  await house.close()
})

async function opened(over: Partial<CoapLimits> = {}): Promise<NarrowDevice> {
  house = await CoapHouse.create({ limits: { ...withoutRates, ...over } })
  return await house.device()
}

function cuts(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from(bytes, (_, length) => bytes.slice(0, length))
}

/** Padding, labels of both signs, strings, containers, values, itself. */
function longer(bytes: Uint8Array): readonly Uint8Array[] {
  const more = ['00', '07', '20', '40', '60', '80', 'a0', 'f5', 'f6', 'ff', hex(bytes)].map(fromHex)
  return more.flatMap((one) => [concat(bytes, one), concat(one, bytes)])
}

function forms(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from(otherForms(bytes), ([, other]) => other)
}

/** An error of EDHOC in a 4.00 (RFC 9528 Appendix A.2.3), or of CoAP where it was none. */
function assertRefusal({ code, payload }: CoapMessage, what: string): void {
  assert.equal(code, coapCode.badRequest, what)
  assert.ok(payload.length === 0 || isErrorMessage(payload), what)
}

/** The device sends its own; `spoil` happens to it on the way. */
async function spoilt(
  device: NarrowDevice,
  spoil: (message1: Uint8Array) => Uint8Array,
  what: string,
): Promise<'refused' | 'answered in vain'> {
  const { net } = house
  const deliver = net.deliver.bind(net)
  const waiting = house.door.load.halfOpen
  net.deliver = (datagram, from) => {
    const message = parseMessage(datagram)
    const payload = encodeStart(spoil(message.payload.subarray(1)))
    deliver(encodeMessage({ ...message, payload }), from)
  }
  const error = await device.begin().then(
    () => assert.fail(`${what}: the device goes on`),
    (reason: unknown) => reason,
  )
  net.deliver = deliver
  const begun = house.door.load.halfOpen - waiting
  if (error instanceof Refused) {
    assertRefusal(error.response, what)
    assert.equal(begun, 0, what)
    return 'refused'
  }
  // The device does not get at PLAINTEXT_2, or does not believe it.
  assert.ok(error instanceof PeerError, String(error))
  assert.equal(begun, 1, what)
  return 'answered in vain'
}

/** What begins with an integer is an error message (RFC 9528 §6), which ends nothing here. */
function isHint([head = 0x40]: Uint8Array): boolean {
  return head < 0x40
}

describe('message_1 at the coap door', () => {
  afterEach(async () => {
    assert.equal(house.door.load.contexts, 0)
    assert.deepEqual(await house.rows(), [])
    assert.deepEqual(await house.messages(), [])
  })

  it('with any bit changed is refused, or the device does not take what answers it', async () => {
    const device = await opened()
    const said = new Map<number, string>()
    for (let bit = 0; bit < message1Bytes * 8; bit++) {
      const flip = (bytes: Uint8Array): Uint8Array => {
        assert.equal(bytes.length, message1Bytes)
        return [...flips(bytes)][bit] ?? assert.fail()
      }
      said.set(bit, await spoilt(device, flip, `bit ${bit}`))
    }
    const answered = [...said].filter(([, what]) => what !== 'refused').map(([bit]) => bit)
    const elsewhere = answered.filter((bit) => bit >> 3 < gX.at || bit >> 3 >= gX.end)
    // Methods 1 and 2, suite 3, and the six other C_I that are one byte long.
    assert.deepEqual(elsewhere, [0, 1, 8, ...[0, 1, 2, 3, 4, 5].map((bit) => gX.end * 8 + bit)])
    // One in two numbers is the x of a point.
    const points = answered.length - elsewhere.length
    assert.ok(points > 64 && points < 192, String(points))
    assert.equal(house.door.load.halfOpen, answered.length)
  })

  it('that was cut anywhere, or written in another form of CBOR, is refused', async () => {
    const device = await opened()
    const message1 = device.message1()
    // SUITES_I: 0, 2. EAD_1: 40000, 01.
    const wide = concat(fromHex('00820002'), message1.subarray(2), fromHex('199c404101'))
    await device.edhoc(encodeStart(wide))
    assert.equal(house.door.load.halfOpen, 1, 'suites in an array, and data, are taken')
    // Without the data, or without its value, it is whole again.
    const whole = [wide.length - 5, wide.length - 2]
    const cut = cuts(wide).filter(({ length }) => !whole.includes(length))
    const others = forms(wide)
    assert.ok(others.length >= 30, String(others.length))
    for (const other of [...cut, ...others]) {
      const { response } = await refusedBy(device.edhoc(encodeStart(other)))
      assertRefusal(response, hex(other))
    }
    assert.equal(house.door.load.halfOpen, 1)
  })

  it('with something in front or behind is refused, or the device does not take what answers it', async () => {
    const device = await opened()
    for (const [at] of longer(device.message1()).entries()) {
      await spoilt(device, (message1) => longer(message1)[at] ?? assert.fail(), `variant ${at}`)
    }
  })

  // RFC 9528 §6.3: ERR_CODE 2, and the one of SUITES_I that is had rather, or else all that there are.
  it('that selects another suite than the best of both is told so', async () => {
    const device = await opened()
    for (const [suitesI, error] of [
      ['820302', '0203'],
      ['820203', '0202'],
      ['820200', '0202'],
      ['00', '02820203'],
      ['820406', '02820203'],
    ] as const) {
      const other = concat(fromHex('00'), fromHex(suitesI), device.message1().subarray(2))
      const { response } = await refusedBy(device.edhoc(encodeStart(other)))
      assert.equal(response.code, coapCode.badRequest)
      assert.equal(hex(response.payload), error, suitesI)
    }
    assert.equal(house.door.load.halfOpen, 0)
    // One in front that nobody has here makes no difference.
    const other = concat(fromHex('00820002'), device.message1().subarray(2))
    await device.edhoc(encodeStart(other))
    assert.equal(house.door.load.halfOpen, 1)
  })
})

describe('message_3 at the coap door', () => {
  /** So that one handshake serves for all. */
  const foreignMessages3Max = 100_000

  it('that was changed, cut, made longer or written in another form of CBOR is refused', async () => {
    const device = await opened({ foreignMessages3Max })
    const { message3, next } = await device.begin()
    const { cR } = next.session
    const others = [...flips(message3), ...cuts(message3), ...longer(message3), ...forms(message3)]
    for (const other of others.filter((one) => !isHint(one))) {
      const { response } = await refusedBy(device.edhoc(encodeContinued(cR, other)))
      assertRefusal(response, hex(other))
    }
    assert.equal(house.door.load.contexts, 0)
    assert.equal(house.door.load.halfOpen, 1)
    await device.edhoc(encodeContinued(cR, message3))
    assert.equal(house.door.load.contexts, 1)
  })

  it('that was changed or written in another form in a combined request carries nothing', async () => {
    const device = await opened({ foreignMessages3Max })
    const { message3, next } = await device.begin()
    const context = deriveContext(nodeCrypto, contextParameters(next.session, 'initiator'))
    const { message, exchange } = protectRequest(context, device.reading('a', { number: 1 }))
    for (const other of [...flips(message3), ...forms(message3)]) {
      const answer = await device.ask(asRequest(combine(other, message)))
      assert.ok(!isProtected(answer), hex(other))
      assertRefusal(answer, hex(other))
    }
    assert.equal(house.door.load.contexts, 0)
    assert.deepEqual(await house.messages(), [])
    const answer = await device.ask(asRequest(combine(message3, message)))
    assert.equal(exchange.unprotectResponse(answer).code, coapCode.changed)
    assert.equal((await house.messages()).length, 1)
  })
})

describe('data in EDHOC at the coap door', () => {
  for (const message of ['ead1', 'ead3'] as const) {
    it(`in ${message} that is critical and not known ends the handshake; other data is passed over`, async () => {
      await opened()
      const item = { label: 40_000, value: Uint8Array.of(1) }
      const critical = await house.device({ [message]: [{ ...item, isCritical: true }] })
      const { error } = await refusedBy(critical.handshake())
      assert.deepEqual(error, {
        kind: 'unspecified',
        text: 'critical authorization data not known',
      })
      const { contexts, halfOpen } = house.door.load
      assert.deepEqual({ contexts, halfOpen }, { contexts: 0, halfOpen: 0 })
      const other = await house.device({ [message]: [{ ...item, isCritical: false }] })
      await other.handshake()
      assert.equal(house.door.load.contexts, 1)
    })
  }
})
