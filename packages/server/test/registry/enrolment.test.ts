import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { remedyOf } from '../../src/registry/remedies.ts'
import { certificate as ofElements } from '../attestation/world.ts'
import {
  day,
  enrol,
  type House,
  newDeviceRequest,
  openHouse,
  peerOf,
  renew,
  renewal,
  sign,
  spki,
  start,
} from './house.ts'

describe('enrolment', () => {
  let house: House
  beforeEach(async () => {
    house = await openHouse()
  })
  afterEach(async () => {
    assert.deepEqual(house.failures, [])
    await house.dispose()
  })
  const token = async (count = 1, more: object = {}): Promise<string> =>
    (await house.registry.invite({ product: 'default', count, expiresAt: start + day, ...more }))
      .token
  const reserve = (of: Parameters<typeof newDeviceRequest>[1]): Promise<unknown> =>
    house.registry.reserve(newDeviceRequest(house, of))
  const counts = async (): Promise<number[]> =>
    Promise.all(
      (['device', 'key', 'certificate'] as const).map(
        async (table) => (await house.store.scan(table, { limit: 9_999 })).length,
      ),
    )

  test('a token makes a device of the block, whose first handshake activates it', async () => {
    const product = await house.registry.product('default')
    const { device, certificate } = await enrol(house, { serial: 'A-1', token: await token() })
    assert.equal(device.state, 'enrolled')
    assert.equal(device.id, `urn:dev:mac:${device.eui64}`)
    assert.ok(device.eui64 >= product.euiFirst && device.eui64 <= product.euiLast)
    // Locally administered, individual (IEEE 802: U/L set, I/G clear), and 2^24 addresses.
    assert.equal(Number.parseInt(device.eui64.slice(0, 2), 16) & 3, 2)
    assert.equal(BigInt(`0x${product.euiLast}`) - BigInt(`0x${product.euiFirst}`), 0xffffffn)
    assert.equal(certificate.status, 'issued')
    const admitted = await house.registry.admit(peerOf(certificate), 'https')
    assert.equal(admitted.device.state, 'active')
    assert.equal(admitted.device.firstSeen, start)
    assert.equal(admitted.certificate?.status, 'confirmed')
    assert.equal(admitted.credential, certificate.x5t)
    const types = (await house.store.scan('message', { limit: 9 })).map(({ type }) => type)
    assert.deepEqual(types, ['countersign.device.enrolled', 'countersign.device.changed'])
  })

  test('certificate serial numbers are positive, minimal DER content of at most 20 octets, and never the same', async () => {
    const t = await token(100)
    const rows = await Promise.all(
      Array.from({ length: 100 }, (_, n) => enrol(house, { serial: `A-${n}`, token: t })),
    )
    const serials = rows.map(({ certificate }) => certificate.serial)
    assert.equal(new Set(serials).size, 100)
    for (const serial of serials) assert.match(serial, /^[4-7][0-9a-f](?:[0-9a-f]{2}){1,19}$/)
  })

  test('fifty at once on a token for twenty make exactly twenty devices', async () => {
    const t = await token(20)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => reserve({ serial: `A-${n}`, token: t })),
    )
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected')
    assert.deepEqual(new Set(lost.map(({ reason }) => reason.code)), new Set(['ERR_TOKEN_SPENT']))
    assert.equal(lost.length, 30)
    assert.deepEqual(await counts(), [20, 20, 20])
    assert.equal((await house.registry.invitations())[0]?.used, 20)
  })

  test('fifty at once for the same serial number with different keys make one device', async () => {
    const t = await token(50)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => reserve({ serial: 'A-1', key: `key ${n}`, token: t })),
    )
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected')
    assert.deepEqual(new Set(lost.map(({ reason }) => reason.code)), new Set(['ERR_SERIAL_USED']))
    assert.deepEqual(await counts(), [1, 1, 1])
    assert.equal((await house.registry.invitations())[0]?.used, 1)
  })

  test('an invitation is listed while it admits somebody, and admits nobody once withdrawn', async () => {
    const { registry } = house
    const invite = (count: number, expiresAt: number): Promise<{ token: string; id: string }> =>
      registry.invite({ product: 'default', count, expiresAt })
    const [open, spent] = [await invite(2, start + day), await invite(1, start + day)]
    await invite(1, start + 1)
    house.now = start + 1
    const first = await enrol(house, { serial: 'A-1', token: open.token })
    await enrol(house, { serial: 'A-2', token: spent.token })
    const listed = await registry.invitations({ open: true })
    assert.deepEqual(
      listed.map(({ id, used }) => [id, used]),
      [[open.id, 1]],
    )
    assert.equal((await registry.withdrawInvitation(open.id)).used, 1)
    assert.deepEqual(await registry.invitations({ open: true }), [])
    await assert.rejects(reserve({ serial: 'A-3', token: open.token }), {
      code: 'ERR_TOKEN_UNKNOWN',
    })
    await assert.rejects(registry.withdrawInvitation(open.id), { code: 'ERR_INVITATION_UNKNOWN' })
    assert.equal((await registry.admit(peerOf(first.certificate), 'https')).device.serial, 'A-1')
    const told = await house.store.find('event', 'subject', `token:${open.id}`)
    assert.deepEqual(
      told.map(({ type }) => type),
      ['token.made', 'token.withdrawn'],
    )
  })

  test('a listing of open invitations goes on after the last page', async () => {
    for (let n = 0; n < 5; n++) await token()
    const all = await house.registry.invitations({ open: true })
    const page = await house.registry.invitations({ open: true, limit: 2 })
    const rest = await house.registry.invitations({ open: true, after: page.at(-1)?.id })
    assert.deepEqual([...page, ...rest], all)
  })

  test('fifty at once of the same request are one reservation', async () => {
    const t = await token(1)
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () =>
        house.registry.reserve(newDeviceRequest(house, { serial: 'A-1', token: t })),
      ),
    )
    assert.equal(new Set(outcomes.map(({ serial }) => serial)).size, 1)
    assert.deepEqual(await counts(), [1, 1, 1])
  })

  test('a lost answer asked again gives the same certificate and costs the token nothing', async () => {
    const t = await token()
    const { certificate } = await enrol(house, { serial: 'A-1', token: t })
    const again = await house.registry.reserve(newDeviceRequest(house, { serial: 'A-1', token: t }))
    assert.deepEqual(again.issued, certificate)
    const registry = await house.restart()
    const later = await registry.reserve(newDeviceRequest(house, { serial: 'A-1', token: t }))
    assert.deepEqual(later.issued, certificate)
  })

  test('when two sign the same reservation, the first counts and both are told so', async () => {
    const { serial } = await house.registry.reserve(newDeviceRequest(house, { serial: 'A-1' }))
    const [a, b] = await Promise.all([
      house.registry.issued(serial, Uint8Array.of(1), '1'.repeat(64)),
      house.registry.issued(serial, Uint8Array.of(2), '2'.repeat(64)),
    ])
    assert.deepEqual(a, b)
    const stored = await house.store.get('certificate', serial)
    assert.deepEqual(stored?.der, a.der)
    const events = await house.store.find('event', 'subject', a.device ?? '')
    assert.equal(events.filter(({ type }) => type === 'certificate.issued').length, 1)
  })

  test('a crash between reservation and certificate: the same request goes on with it', async () => {
    const t = await token()
    const first = await house.registry.reserve(newDeviceRequest(house, { serial: 'A-1', token: t }))
    const registry = await house.restart()
    const second = await registry.reserve(newDeviceRequest(house, { serial: 'A-1', token: t }))
    assert.equal(second.serial, first.serial)
    assert.equal(second.issued, null)
    const { der, fingerprint } = sign(second.serial)
    assert.equal((await registry.issued(second.serial, der, fingerprint)).status, 'issued')
  })

  test('a reservation whose time ran out is void: serial, key, address and token are free again', async () => {
    const t = await token()
    const first = await house.registry.reserve(
      newDeviceRequest(house, { serial: 'A-1', eui64: await inBlock(5n), token: t }),
    )
    assert.equal(await house.registry.voidExpired(), 0)
    await assert.rejects(reserve({ serial: 'A-1', key: 'another', token: t }), {
      code: 'ERR_SERIAL_USED',
    })
    house.now += 11 * 60_000
    assert.equal(await house.registry.voidExpired(), 1)
    assert.deepEqual(await counts(), [0, 0, 1])
    const { der, fingerprint } = sign(first.serial)
    await assert.rejects(house.registry.issued(first.serial, der, fingerprint), {
      code: 'ERR_RESERVATION_VOID',
    })
    const { device } = await enrol(house, {
      serial: 'A-1',
      key: 'another',
      eui64: await inBlock(5n),
      token: t,
    })
    assert.equal(device.state, 'enrolled')
    assert.equal(await house.registry.voidExpired(), 0)
  })

  test('a reservation that was taken over in the last moment is not voided', async () => {
    const t = await token()
    await reserve({ serial: 'A-1', token: t })
    house.now += 11 * 60_000
    const [again] = await Promise.all([
      house.registry.reserve(newDeviceRequest(house, { serial: 'A-1', token: t })),
      house.registry.voidExpired(),
    ])
    const { der, fingerprint } = sign(again.serial)
    assert.equal((await house.registry.issued(again.serial, der, fingerprint)).status, 'issued')
    assert.deepEqual(
      (await house.registry.list({ limit: 9 })).map(({ state }) => state),
      ['enrolled'],
    )
  })

  const inBlock = async (n: bigint): Promise<string> => {
    const { euiFirst } = await house.registry.product('default')
    return (BigInt(`0x${euiFirst}`) + n).toString(16).padStart(16, '0')
  }

  test('a token is refused when it is unknown, expired, spent, or for another product or serial number', async () => {
    await house.registry.addProduct('meter', { serialPattern: 'M-??' })
    const cases: [object, string][] = [
      [{ serial: 'A-1', token: 'no such token' }, 'ERR_TOKEN_UNKNOWN'],
      [{ serial: 'A-1', token: '' }, 'ERR_TOKEN_UNKNOWN'],
      [{ serial: 'M-01', product: 'meter', token: await token() }, 'ERR_TOKEN_PRODUCT'],
      [{ serial: 'A-2', token: await token(1, { serial: 'A-1' }) }, 'ERR_TOKEN_SERIAL'],
      [
        { serial: 'M-1', token: await token(1, { product: 'meter' }), product: 'meter' },
        'ERR_SERIAL_PATTERN',
      ],
      [{ serial: 'A-1', product: 'nothing' }, 'ERR_PRODUCT_UNKNOWN'],
    ]
    for (const [of, code] of cases)
      await assert.rejects(reserve({ serial: '', ...of }), { code }, code)
    const t = await token()
    await enrol(house, { serial: 'A-1', token: t })
    await assert.rejects(reserve({ serial: 'A-2', token: t }), { code: 'ERR_TOKEN_SPENT' })
    house.now += day
    await assert.rejects(reserve({ serial: 'A-1', token: t }), { code: 'ERR_TOKEN_EXPIRED' })
    await assert.rejects(house.registry.checkToken(t), { code: 'ERR_TOKEN_EXPIRED' })
    assert.equal((await house.store.scan('device', { limit: 9 })).length, 1)
  })

  test('a token with another key, beyond its count, enrols nobody', async () => {
    const t = await token()
    await enrol(house, { serial: 'A-1', token: t })
    await assert.rejects(reserve({ serial: 'A-1', key: 'stolen', token: t }), {
      code: 'ERR_SERIAL_USED',
    })
    await assert.rejects(reserve({ serial: 'A-2', key: 'stolen', token: t }), {
      code: 'ERR_TOKEN_SPENT',
    })
  })

  test('the token itself is stored nowhere', async () => {
    const t = await token()
    const rows = [
      ...(await house.store.scan('token', { limit: 9 })),
      ...(await house.store.scan('event', { limit: 99 })),
    ]
    assert.ok(!JSON.stringify(rows).includes(t))
    assert.match(t, /^[A-Za-z0-9_-]{32}$/)
  })

  test('an EUI-64 is taken from the block, or as asked inside it, and never twice', async () => {
    const t = await token(9)
    const asked = await inBlock(1n)
    assert.equal(
      (await enrol(house, { serial: 'A-1', eui64: asked, token: t })).device.eui64,
      asked,
    )
    await assert.rejects(reserve({ serial: 'A-2', eui64: asked, token: t }), {
      code: 'ERR_EUI64_USED',
    })
    const outside = (BigInt(`0x${asked}`) + 0x1000000n).toString(16).padStart(16, '0')
    await assert.rejects(reserve({ serial: 'A-2', eui64: outside, token: t }), {
      code: 'ERR_EUI64_OUTSIDE_BLOCK',
    })
    for (const eui64 of ['0300000000000001', '0000000000000000', '02', 'ABCDEF0123456789', ''])
      await assert.rejects(
        reserve({ serial: 'A-2', eui64, token: t }),
        { code: 'ERR_EUI64_INVALID' },
        eui64,
      )
    // The block hands out its first address, steps over the one that was asked for, and goes on.
    const given = []
    for (let n = 2; n < 5; n++)
      given.push((await enrol(house, { serial: `A-${n}`, token: t })).device.eui64)
    assert.deepEqual(given, [await inBlock(0n), await inBlock(2n), await inBlock(3n)])
  })

  test('a maker vouches for an address of its own outside the block', async () => {
    const eui64 = '001122fffe334455'
    const { device } = await enrol(house, { serial: 'F-1', eui64, request: 'maker:x' })
    assert.equal(device.eui64, eui64)
  })

  test('a block that is used up says so, and goes on when it is extended', async () => {
    const euiFirst = '0200000000000000'
    await house.registry.addProduct('tiny', { euiFirst, euiLast: '0200000000000001' })
    const t = await token(9, { product: 'tiny' })
    for (const serial of ['1', '2']) await enrol(house, { serial, product: 'tiny', token: t })
    await assert.rejects(reserve({ serial: '3', product: 'tiny', token: t }), {
      code: 'ERR_EUI64_EXHAUSTED',
    })
    await house.registry.setProduct('tiny', { euiLast: '0200000000000002' })
    const { device } = await enrol(house, { serial: '3', product: 'tiny', token: t })
    assert.equal(device.eui64, '0200000000000002')
  })

  test('a block of 16 addresses is 16 devices, whatever restarts and changes come between', async () => {
    const block = { euiFirst: '0200000000000010', euiLast: '020000000000001f' }
    await house.registry.addProduct('small', block)
    const t = await token(99, { product: 'small' })
    let { registry } = house
    const seen: string[] = []
    const take = async (): Promise<void> => {
      const of = { serial: `S-${seen.length}`, product: 'small', token: t }
      seen.push((await registry.reserve(newDeviceRequest(house, of))).device?.eui64 ?? '')
    }
    for (let n = 0; n < 16; n++) {
      if (n % 3 === 0) await registry.setProduct('small', { renewalDays: 10 + n })
      await take()
      if (n % 4 !== 0) continue
      await registry.close()
      registry = await house.restart()
    }
    const first = BigInt(`0x${block.euiFirst}`)
    assert.deepEqual(
      seen.map((eui64) => Number(BigInt(`0x${eui64}`) - first)),
      Array.from({ length: 16 }, (_, n) => n),
    )
    await assert.rejects(take(), { code: 'ERR_EUI64_EXHAUSTED', message: /small/ })
  })

  test('what is left of a run goes on after a change, and back when the house closes', async () => {
    const euiNext = async (): Promise<bigint> =>
      BigInt(`0x${(await house.registry.product('default')).euiNext}`)
    const first = await euiNext()
    const t = await token(99)
    const take = async (serial: string): Promise<bigint> => {
      const { device } = await enrol(house, { serial, token: t })
      return BigInt(`0x${device.eui64}`) - first
    }
    assert.equal(await take('A'), 0n)
    assert.equal(await euiNext(), first + 64n)
    await house.registry.setProduct('default', { renewalDays: 20 })
    assert.equal(await take('B'), 1n)
    assert.equal(await euiNext(), first + 64n)
    await house.registry.close()
    assert.equal(await euiNext(), first + 2n)
  })

  test('nothing goes back into a block that was moved away, or from which more was taken', async () => {
    const t = await token(99)
    const other = await house.restart()
    const of = (serial: string) => newDeviceRequest(house, { serial, token: t })
    await house.registry.reserve(of('A'))
    await other.reserve(of('B'))
    await house.registry.close()
    const { euiNext, euiFirst } = await house.registry.product('default')
    assert.equal(BigInt(`0x${euiNext}`) - BigInt(`0x${euiFirst}`), 128n)
    const moved = { euiFirst: '0200000000000000', euiLast: '02000000000fffff' }
    await other.setProduct('default', moved)
    await other.close()
    assert.equal((await house.registry.product('default')).euiNext, moved.euiFirst)
  })

  test('addresses go on after a restart and none is handed out twice', async () => {
    const t = await token(300)
    const seen = new Set<string>()
    let { registry } = house
    for (let n = 0; n < 200; n++) {
      if (n % 50 === 49) registry = await house.restart()
      const { device } = await registry.reserve(
        newDeviceRequest(house, { serial: `A-${n}`, token: t }),
      )
      seen.add(device?.eui64 ?? '')
    }
    assert.equal(seen.size, 200)
  })

  test('a serial number and an address are never given again, and the remedies do not promise it', async () => {
    await house.registry.addProduct('meter', {})
    const { device: revoked } = await enrol(house, { serial: 'A-1' })
    const { device: retired } = await enrol(house, { serial: 'A-2' })
    await house.registry.revoke(revoked.id, 'keyCompromise')
    await house.registry.retire(retired.id)
    for (const { serial, eui64 } of [revoked, retired]) {
      const again = { serial, key: `another of ${serial}` }
      await assert.rejects(reserve(again), { code: 'ERR_SERIAL_USED', hint: /never given again/ })
      await assert.rejects(reserve({ ...again, serial: `${serial}b`, eui64 }), {
        code: 'ERR_EUI64_USED',
        hint: /never given again/,
      })
      // As the remedies say.
      await enrol(house, { ...again, product: 'meter' })
      await enrol(house, { serial: `${serial}c` })
    }
    for (const code of ['REVOKED', 'RETIRED'])
      assert.match(remedyOf(`ERR_DEVICE_${code}`), /new serial number or in another product/)
  })

  test('one key is one device, one element is one device', async () => {
    const t = await token(9)
    await enrol(house, { serial: 'A-1', key: 'k', token: t })
    await assert.rejects(reserve({ serial: 'A-2', key: 'k', token: t }), { code: 'ERR_KEY_USED' })
    const voucher = await believed(house)
    const element = { serial: '0123', claim: '0123', kind: 'atecc608', slot: 0, voucher }
    const withElement = (serial: string): ReturnType<typeof newDeviceRequest> => {
      const request = newDeviceRequest(house, { serial, token: t })
      assert.ok(request.target.kind === 'newDevice')
      return { ...request, target: { ...request.target, element } }
    }
    await house.registry.reserve(withElement('A-3'))
    await assert.rejects(house.registry.reserve(withElement('A-4')), { code: 'ERR_ELEMENT_USED' })
  })

  test('the same serial number in another product is another device, and is asked for by id', async () => {
    await house.registry.addProduct('meter', {})
    const one = await enrol(house, { serial: 'A-1', key: 'a' })
    await enrol(house, { serial: 'A-1', key: 'b', product: 'meter' })
    await assert.rejects(house.registry.find('A-1'), { code: 'ERR_DEVICE_AMBIGUOUS' })
    assert.equal((await house.registry.find(one.device.eui64)).product, 'default')
  })
})

/** Somebody who stands behind elements. */
async function believed({ registry }: House): Promise<string> {
  const root = await registry.addAnchor({ role: 'attestation', der: ofElements('root') })
  return `attestation:${root.fingerprint}`
}

describe('renewal', () => {
  let house: House
  beforeEach(async () => {
    house = await openHouse()
  })
  afterEach(() => house.dispose())

  test('the same request with the same key is answered with the same certificate', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    const request = `renew:${certificate.serial}`
    const first = await renew(house, device.id, 'second key', request)
    const again = await house.registry.reserve(renewal(house, device.id, 'second key', request))
    assert.deepEqual(again.issued, first)
    const other = await house.registry.reserve(renewal(house, device.id, 'third key', request))
    assert.equal(other.issued, null)
  })

  test('who asks again when the certificate has expired or was replaced gets a new one', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1', request: 'maker:m' })
    const ask = (): ReturnType<typeof house.registry.reserve> =>
      house.registry.reserve(renewal(house, device.id, 'A-1', 'maker:m'))
    assert.equal((await ask()).issued?.serial, certificate.serial)
    house.now = certificate.notAfter
    const second = await renew(house, device.id, 'A-1', 'maker:m')
    assert.notEqual(second.serial, certificate.serial)
    assert.equal((await ask()).issued?.serial, second.serial)
    house.now += 1
    await house.registry.admit(peerOf(second), 'https')
    await house.registry.admit(peerOf(await renew(house, device.id, 'other', 'renew:x')), 'https')
    const third = await ask()
    assert.equal(third.issued, null)
    assert.notEqual(third.serial, second.serial)
    await house.registry.revokeCertificate(second.serial, 'keyCompromise')
  })

  test('a request whose certificate was revoked is not answered again', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1', request: 'maker:m' })
    await house.registry.revokeCertificate(certificate.serial, 'keyCompromise')
    const again = house.registry.reserve(renewal(house, device.id, 'A-1', 'maker:m'))
    await assert.rejects(again, { code: 'ERR_CERT_REVOKED' })
  })

  test('a device shows its own element again, and never the one of another', async () => {
    const one = await enrol(house, { serial: 'A-1' })
    const two = await enrol(house, { serial: 'A-2' })
    const voucher = await believed(house)
    const element = { serial: '0123', claim: '0123', kind: 'atecc608', slot: 0, voucher }
    const ask = (id: string, key: string): Promise<unknown> => {
      const request = renewal(house, id, key, `renew:${key}`)
      assert.ok(request.target.kind === 'device')
      return house.registry.reserve({ ...request, target: { ...request.target, element } })
    }
    await ask(one.device.id, 'k1')
    await ask(one.device.id, 'k2')
    await assert.rejects(ask(two.device.id, 'k3'), { code: 'ERR_ELEMENT_USED' })
  })

  test('a device keeps its key if it likes, and never gets the key of another', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1', key: 'mine' })
    await enrol(house, { serial: 'A-2', key: 'theirs' })
    const same = await renew(house, device.id, 'mine', `renew:${certificate.serial}`)
    assert.equal(same.spkiHash, certificate.spkiHash)
    assert.notEqual(same.serial, certificate.serial)
    await assert.rejects(house.registry.reserve(renewal(house, device.id, 'theirs', 'renew:x')), {
      code: 'ERR_KEY_USED',
    })
  })

  test('a suspended, revoked or retired device renews nothing, an unknown one neither', async () => {
    const one = await enrol(house, { serial: 'A-1' })
    const ask = (): Promise<unknown> =>
      house.registry.reserve(renewal(house, one.device.id, 'new', 'renew:x'))
    await house.registry.suspend(one.device.id, 'lost')
    await assert.rejects(ask(), { code: 'ERR_DEVICE_SUSPENDED' })
    await house.registry.revoke(one.device.id, 'keyCompromise')
    await assert.rejects(ask(), { code: 'ERR_DEVICE_REVOKED' })
    const two = await enrol(house, { serial: 'A-2' })
    await house.registry.retire(two.device.id)
    await assert.rejects(house.registry.reserve(renewal(house, two.device.id, 'n', 'renew:y')), {
      code: 'ERR_DEVICE_RETIRED',
    })
    await assert.rejects(house.registry.reserve(renewal(house, 'urn:dev:mac:0', 'n', 'renew:y')), {
      code: 'ERR_DEVICE_UNKNOWN',
    })
  })

  test('a device that is revoked between reservation and signature gets no certificate', async () => {
    const { device } = await enrol(house, { serial: 'A-1' })
    const { serial } = await house.registry.reserve(renewal(house, device.id, 'new', 'renew:x'))
    const { der, fingerprint } = sign(serial)
    const [revoked, issued] = await Promise.allSettled([
      house.registry.revoke(device.id, 'keyCompromise'),
      house.registry.issued(serial, der, fingerprint),
    ])
    assert.equal(revoked.status, 'fulfilled')
    const rows = await house.registry.certificatesOf(device.id)
    assert.ok(
      rows.every(({ status }) => status === 'revoked' || status === 'reserved'),
      issued.status,
    )
    house.now += 11 * 60_000
    await house.registry.voidExpired()
    const after = await house.registry.certificatesOf(device.id)
    assert.ok(after.every(({ status }) => status === 'revoked' || status === 'void'))
  })

  test('what is not a device may use its key again, for the same purpose only', async () => {
    const request = {
      profile: 'server' as const,
      ca: 'server',
      spki: spki('server'),
      notBefore: start,
      notAfter: start + day,
      request: 'house',
      actor: 'system',
      target: { kind: 'house' as const, name: 'server' },
    }
    const first = await house.registry.reserve(request)
    const second = await house.registry.reserve(request)
    assert.notEqual(first.serial, second.serial)
    await assert.rejects(
      house.registry.reserve({
        ...request,
        profile: 'operator',
        target: { kind: 'house', name: 'x' },
      }),
      { code: 'ERR_KEY_USED' },
    )
    await assert.rejects(
      house.registry.reserve({
        ...request,
        profile: 'application',
        target: { kind: 'application', id: 'a' },
      }),
      { code: 'ERR_KEY_USED' },
    )
  })
})
