/** What strangers and enrolled devices with bad intentions send to the handshake. */
import assert from 'node:assert/strict'
import { ECDH } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { combine, contextParameters, encodeContinued, encodeStart } from '@countersign/core/channel'
import { type CoapMessage, codeText } from '@countersign/core/coap'
import { cbor, concat } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificate,
  encodeName,
  parseCertificate,
} from '@countersign/core/credential'
import { Initiator, methods, offer, suitesOf } from '@countersign/core/edhoc'
import { deriveContext, protectRequest } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { day, hour, newKey } from '../../authority/house.ts'
import type { TestDevice } from '../house.ts'
import { asRequest, type NarrowDevice, refusedBy, required, x5tOf } from './device.ts'
import { CoapHouse } from './house.ts'
import { withoutRates } from './stranger.ts'

describe('a hostile handshake at the coap door', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create({ limits: withoutRates })
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [], 'no peer causes a fault of ours')
    assert.deepEqual(await house.messages(), [])
    await house.close()
  })

  for (const [strangers, isTaken] of [
    [7, true],
    [8, false],
  ] as const) {
    it(`in which ${strangers} strangers speak for the device ${isTaken ? 'goes on' : 'ends'}`, async () => {
      const device = await house.device()
      const { message3, next } = await device.begin()
      const { cR } = next.session
      const other = await house.device()
      for (let n = 0; n < strangers; n++) {
        const forged = message3.slice()
        forged[forged.length - 1 - n] = required(forged[forged.length - 1 - n]) ^ 1
        const { error } = await refusedBy(other.edhoc(encodeContinued(cR, forged)))
        assert.equal(error.kind, 'unspecified')
      }
      const sent = device.edhoc(encodeContinued(cR, message3))
      if (isTaken) await sent
      else await refusedBy(sent)
      assert.equal(house.door.load.contexts, isTaken ? 1 : 0)
      assert.equal(house.door.load.halfOpen, 0)
    })
  }

  it('ends with a message_3 that only its device can have made, and that is wrong', async () => {
    const device = await house.device()
    const key = String(newKey().key.export({ format: 'pem', type: 'pkcs8' }))
    const { message3, next } = await house.narrow({ ...device.identity, key }).begin()
    const { cR } = next.session
    const { error } = await refusedBy(device.edhoc(encodeContinued(cR, message3)))
    assert.equal(error.kind, 'unspecified')
    assert.equal(house.door.load.halfOpen, 0)
  })

  it('with messages out of order comes to nothing', async () => {
    const device = await house.device()
    const message1 = device.message1()
    const { message3, next } = await device.begin()
    const { cR } = next.session
    await refusedBy(device.edhoc(encodeStart(message3)))
    await refusedBy(device.edhoc(encodeContinued(Uint8Array.of(1, 2, 3), message3)))
    await refusedBy(device.edhoc(encodeContinued(Uint8Array.of(0x07), message3)))
    await refusedBy(device.edhoc(encodeContinued(cR, message1)))
    assert.equal(house.door.load.contexts, 0)
  })

  it('that sends back what the server sent comes to nothing', async () => {
    const device = await house.device()
    const response = await device.edhoc(encodeStart(device.message1()))
    await refusedBy(device.edhoc(encodeStart(response.payload)))
    await refusedBy(device.edhoc(response.payload))
    const { message3, next } = await device.begin()
    const { cR } = next.session
    const { payload: message2 } = required(device.received.at(-1))
    await refusedBy(device.edhoc(encodeContinued(cR, message2)))
    assert.ok(message3.length > 0)
    // As if the server were a device: its datagrams are responses, and nobody waits for them.
    for (const { datagram } of house.net.sent.slice()) {
      assert.deepEqual(await house.inject(datagram, device.address), [])
    }
  })

  it('with a message_3 of another handshake comes to nothing', async () => {
    const [one, other] = [await house.device(), await house.device()]
    const first = await one.begin()
    const second = await other.begin()
    await refusedBy(one.edhoc(encodeContinued(first.next.session.cR, second.message3)))
    assert.equal(house.door.load.contexts, 0)
  })

  it("with another device's certificate is refused, and that device is not blamed", async () => {
    const victim = await house.device()
    const thief = await house.device()
    const { leaf } = victim.identity
    const { key } = thief.identity
    await refusedBy(house.narrow({ ...victim.identity, key }).first('a'))
    const reference = { x5chain: [leaf.der] }
    await refusedBy(house.narrow({ ...victim.identity, key }, { reference }).first('a'))
    const [refusal, ...more] = await house.refusals()
    assert.equal(more.length, 1)
    assert.equal(refusal?.['code'], 'ERR_EDHOC_PROOF')
    assert.notEqual(refusal['subject'], victim.identity.row.id)
    assert.equal(codeText((await victim.handshake().then(() => probe(victim))).code), '4.04')
  })

  it('that names a certificate which is refused is told in nobody’s name', async () => {
    const victim = await house.device()
    await victim.handshake()
    const { leaf, row } = victim.identity
    // Its key cannot agree, so it is refused before anybody has shown one.
    const initiator = new Initiator({
      crypto: nodeCrypto,
      method: required(methods.get(2)),
      offer: offer(suitesOf(nodeCrypto).filter(({ number }) => number === 2)),
      cI: Uint8Array.of(7),
      own: {
        kind: 'static key',
        reference: { x5t: x5tOf(leaf.der) },
        credential: cbor.byteString(leaf.der),
        key: { agree: () => Promise.resolve(nodeCrypto.importSecret(new Uint8Array(32))) },
      },
    })
    const { message1, next } = initiator.send([])
    const stranger = await house.device()
    const { payload } = await stranger.edhoc(encodeStart(message1))
    const judge = await next.receive(payload)
    const compose = await judge.accept(stranger.server('signature'))
    const { message3, next: unconfirmed } = await compose.send()
    await refusedBy(stranger.edhoc(encodeContinued(unconfirmed.session.cR, message3)))
    const [refusal, ...more] = await house.refusals()
    assert.deepEqual(more, [])
    assert.partialDeepStrictEqual(refusal, {
      subject: `named:${row.id}`,
      code: 'ERR_EDHOC_CREDENTIAL',
    })
    const why = await house.house.registry.why(row.id)
    assert.equal(why.verdict, 'It is let in.')
    assert.match(required(why.refusals[0]).message, /showed no key/)
    const rows = await house.house.store.scan('message', { limit: 100 })
    const told = rows.filter(({ type }) => type === 'countersign.refused')
    assert.deepEqual(
      told.map(({ source }) => source === row.id),
      [false],
    )
  })

  it('with a leaf that acts as a CA is refused', async () => {
    const device = await house.device()
    const { leaf } = device.identity
    const now = house.house.clock.now()
    const { key, signer } = newKey()
    const der = await createCertificate(
      {
        serial: Uint8Array.of(7),
        issuer: leaf.subject.der,
        subject: encodeName([{ type: attributeOid.serialNumber, value: 'CHILD-1' }]),
        notBefore: now - hour,
        notAfter: now + day,
        spki: signer.spki,
        extensions: [],
      },
      softwareSigner(device.identity.privateKey),
    )
    const pem = String(key.export({ format: 'pem', type: 'pkcs8' }))
    const child: TestDevice = { ...device.identity, key: pem, leaf: parseCertificate(der) }
    const reference = { x5chain: [der, leaf.der] }
    await refusedBy(house.narrow(child, { reference }).first('a'))
    assert.equal((await house.refusals()).at(-1)?.['code'], 'ERR_CHAIN_NOT_A_CA')
  })

  it('with a certificate that is no device’s is refused', async () => {
    const device = await house.device()
    const { der } = house.credentials.current('static key')
    const server = { ...device.identity, leaf: parseCertificate(der) }
    await refusedBy(house.narrow(server).first('a'))
    await refusedBy(house.narrow(server, { reference: { x5chain: [der] } }).first('a'))
    for (const { code } of await house.refusals()) assert.match(String(code), /^ERR_CHAIN_/)
    assert.equal((await house.refusals()).length, 2)
  })

  it('that names nobody, or two, is refused', async () => {
    const [device, other] = [await house.device(), await house.device()]
    const { der } = device.identity.leaf
    const references = [
      { kid: Uint8Array.of(5) },
      { kid: required(x5tOf(der)).value },
      { x5chain: [der], x5t: x5tOf(other.identity.leaf.der) },
      { x5chain: [Uint8Array.of(0x30, 0)] },
      { x5t: { ...x5tOf(der), value: new Uint8Array(8) } },
    ]
    for (const reference of references) {
      await refusedBy(house.narrow(device.identity, { reference }).first('a'))
    }
    assert.equal((await house.refusals()).length, references.length)
    assert.equal(house.door.load.contexts, 0)
  })

  it('gets no C_R that is its own C_I, and no C_I that OSCORE has no room for', async () => {
    // The door draws the C_I of the device first.
    const cI = Uint8Array.of(9, 9, 9)
    let draws = 0
    const random = {
      bytes: (length: number) =>
        length === 3 && draws++ === 0 ? cI.slice() : new Uint8Array(length).fill(draws),
    }
    const drawn = await CoapHouse.create({ parts: { random } })
    try {
      const { next } = await (await drawn.device({ cI })).begin()
      assert.notDeepEqual(next.session.cR, cI)
      assert.equal(next.session.cR.length, 3)
    } finally {
      await drawn.close()
    }
    const long = await house.device({ cI: new Uint8Array(8) })
    await refusedBy(long.begin())
    await (await house.device({ cI: new Uint8Array(7) })).begin()
    await (await house.device({ cI: new Uint8Array(0) })).begin()
  })

  it('with a point that is not on the curve is refused', async () => {
    const device = await house.device()
    // 2^256 - 1 is above the prime of P-256.
    for (const x of [new Uint8Array(32).fill(0xff), offCurve()]) {
      const message1 = device.message1()
      message1.set(x, 4)
      await refusedBy(device.edhoc(encodeStart(message1)))
    }
    assert.equal(house.door.load.halfOpen, 0)
  })

  it('that sends what is no EDHOC is refused', async () => {
    const device = await house.device()
    const bodies = [
      new Uint8Array(),
      Uint8Array.of(0xf4),
      Uint8Array.of(0xf6),
      Uint8Array.of(0xf5),
      Uint8Array.of(0xff),
      concat(Uint8Array.of(0xf5), new Uint8Array(1000)),
      cbor.textString('hello'),
    ]
    for (const body of bodies) await refusedBy(device.edhoc(body))
    assert.equal(house.door.load.halfOpen, 0)
  })

  it('whose combined request has a wrong half carries nothing', async () => {
    const device = await house.device()
    const attempt = async (
      spoil: (parts: { message3: Uint8Array; request: CoapMessage }) => CoapMessage,
    ): Promise<CoapMessage> => {
      const { message3, next } = await device.begin()
      const context = deriveContext(nodeCrypto, contextParameters(next.session, 'initiator'))
      const { message } = protectRequest(context, device.reading('a', { number: 1 }))
      return await device.ask(asRequest(spoil({ message3, request: message })))
    }
    const answers = [
      await attempt(({ message3, request }) => combine(flipped(message3), request)),
      await attempt(({ message3, request }) =>
        combine(message3, { ...request, payload: flipped(request.payload) }),
      ),
      await attempt(({ message3, request }) => ({
        ...combine(message3, request),
        payload: message3,
      })),
      await attempt(({ request }) => combine(Uint8Array.of(0x40), request)),
    ]
    for (const { code } of answers) assert.equal(code >> 5, 4, codeText(code))
  })
})

/** An x that no point of P-256 has: OpenSSL finds no y for it. */
function offCurve(): Uint8Array {
  for (let last = 1; last < 256; last++) {
    const x = Uint8Array.from({ length: 32 }, (_, at) => (at === 31 ? last : 0))
    try {
      ECDH.convertKey(Buffer.from([2, ...x]), 'prime256v1')
    } catch {
      return x
    }
  }
  throw new Error('every x has a point')
}

function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte))
}

function probe(device: NarrowDevice): Promise<CoapMessage> {
  return device.exchange({ ...device.reading('a', {}), options: [] })
}
