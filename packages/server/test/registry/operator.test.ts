import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Refusal } from '../../src/ports.ts'
import { createNotices } from '../../src/registry/notices.ts'
import { remedyOf } from '../../src/registry/remedies.ts'
import { day, enrol, type House, openHouse, peerOf, renew, start } from './house.ts'

let house: House
beforeEach(async () => {
  house = await openHouse()
})
afterEach(() => house.dispose())

const refusal = (over: Partial<Refusal> = {}): Refusal => ({
  road: 'https',
  address: '192.0.2.1',
  code: 'ERR_CHAIN_UNKNOWN_ISSUER',
  message: 'nobody knows its issuer',
  ...over,
})
const eventsOf = async (subject: string): Promise<string[]> =>
  (await house.store.find('event', 'subject', subject)).map(({ type }) => type)

describe('refusals', () => {
  test('are in the audit log under the device, the fingerprint or the address', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    const { fingerprint } = certificate
    assert.ok(fingerprint !== null)
    house.registry.refused(refusal({ fingerprint }))
    house.registry.refused(refusal({ fingerprint: 'e'.repeat(64), address: '192.0.2.2' }))
    house.registry.refused(refusal({ address: '192.0.2.3' }))
    await house.registry.settled()
    assert.equal((await eventsOf(device.id)).at(-1), 'refused')
    assert.deepEqual(await eventsOf('e'.repeat(64)), ['refused'])
    assert.deepEqual(await eventsOf('192.0.2.3'), ['refused'])
    const messages = await house.store.scan('message', { limit: 99 })
    const refused = messages.filter(({ type }) => type === 'countersign.refused')
    assert.deepEqual(refused.map(({ source }) => source).toSorted(), [
      '/countersign',
      '/countersign',
      device.id,
    ])
    assert.equal(JSON.parse(refused[0]?.body ?? '').data.code, 'ERR_CHAIN_UNKNOWN_ISSUER')
  })

  test('of one address are bounded, and what was dropped is counted later', async () => {
    for (let n = 0; n < 1_000; n++) house.registry.refused(refusal())
    await house.registry.settled()
    assert.equal((await eventsOf('192.0.2.1')).length, 10)
    house.now += 60_000
    house.registry.refused(refusal())
    await house.registry.settled()
    const [dropped] = await house.store.find('event', 'subject', 'house')
    assert.deepEqual(JSON.parse(dropped?.data ?? ''), { count: 990, since: start })
  })

  test('of a known device are told although its address is noisy, and bounded as well', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    const fingerprint = certificate.fingerprint ?? ''
    for (let n = 0; n < 100; n++) house.registry.refused(refusal())
    for (let n = 0; n < 100; n++) house.registry.refused(refusal({ fingerprint: 'e'.repeat(64) }))
    for (let n = 0; n < 100; n++) house.registry.refused(refusal({ fingerprint }))
    await house.registry.settled()
    const told = (await eventsOf(device.id)).filter((type) => type === 'refused')
    assert.equal(told.length, 10)
    assert.deepEqual(await eventsOf('e'.repeat(64)), [])
    await house.registry.close()
    const counted = (await house.store.find('event', 'subject', 'house'))
      .filter(({ type }) => type === 'refusals.dropped')
      .map(({ data }) => Number(JSON.parse(data).count))
    assert.equal(
      counted.reduce((sum, count) => sum + count, 20),
      300,
    )
  })

  test('of many addresses are bounded too, and one noisy address does not silence the others', async () => {
    for (let n = 0; n < 5_000; n++) house.registry.refused(refusal())
    house.registry.refused(refusal({ address: '192.0.2.9' }))
    for (let n = 0; n < 20_000; n++)
      house.registry.refused(refusal({ address: `2001:db8:0:${n.toString(16)}::1` }))
    await house.registry.close()
    const events = await house.store.scan('event', { limit: 9_999 })
    assert.equal(events.filter(({ type }) => type === 'refused').length, 200)
    assert.deepEqual(await eventsOf('192.0.2.9'), ['refused'])
    const counted = events
      .filter(({ type }) => type === 'refusals.dropped')
      .map(({ data }) => Number(JSON.parse(data).count))
    assert.equal(
      counted.reduce((sum, count) => sum + count, 200),
      25_001,
    )
  })

  test('of one host that changes its IPv6 address are bounded as those of one address', async () => {
    for (let n = 0; n < 1_000; n++) house.registry.refused(refusal({ address: `2001:db8::${n}` }))
    house.registry.refused(refusal({ address: '192.0.2.9' }))
    await house.registry.close()
    const events = await house.store.scan('event', { limit: 9_999 })
    assert.equal(events.filter(({ type }) => type === 'refused').length, 11)
    // Told as it was.
    assert.deepEqual(await eventsOf('2001:db8::3'), ['refused'])
    assert.deepEqual(await eventsOf('192.0.2.9'), ['refused'])
  })

  test('write no more of what a peer sent than a line', async () => {
    house.registry.refused(
      refusal({ message: 'x'.repeat(1_000_000), where: 'y'.repeat(1_000_000) }),
    )
    await house.registry.settled()
    const [event] = await house.store.find('event', 'subject', '192.0.2.1')
    assert.ok((event?.data.length ?? 0) < 1_000)
  })
})

describe('why', () => {
  test('a device that is let in', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    assert.equal((await house.registry.why('A-1')).verdict, 'It is enrolled and has not come yet.')
    await house.registry.admit(peerOf(certificate), 'https')
    const why = await house.registry.why(device.eui64)
    // Times are told in words, also those that the log keeps in milliseconds.
    assert.doesNotMatch(JSON.stringify(why.history), /"notAfter":\d/)
    assert.match(JSON.stringify(why.history), /"notAfter":"20/)
    assert.deepEqual(await house.registry.why(certificate.fingerprint ?? ''), why)
    assert.equal(why.verdict, 'It is let in.')
    assert.equal(why.device?.id, device.id)
    assert.deepEqual(
      why.history.map(({ event }) => event),
      ['device.active', 'certificate.issued', 'certificate.reserved'],
    )
    assert.deepEqual(
      why.certificates.map(({ serial, status }) => [serial, status]),
      [[certificate.serial, 'confirmed']],
    )
  })

  test('a suspended and a revoked device, with reason and remedy', async () => {
    const { device } = await enrol(house, { serial: 'A-1' })
    await house.registry.suspend(device.id, 'stolen')
    const suspended = await house.registry.why('A-1')
    assert.equal(suspended.verdict, 'It is not let in: the device is suspended (stolen).')
    assert.match(suspended.next, /identity resume/)
    await house.registry.revoke(device.id, 'keyCompromise')
    const revoked = await house.registry.why('A-1')
    assert.match(revoked.verdict, /revoked \(keyCompromise\)/)
    assert.equal(revoked.certificates[0]?.status, 'revoked')
  })

  test('the last refusal, with its remedy', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    await house.registry.admit(peerOf(certificate), 'https')
    house.now += 1_000
    house.registry.refused(
      refusal({
        device: device.id,
        code: 'ERR_CERT_EXPIRED',
        message: 'the leaf has expired',
        where: 'leaf, notAfter',
      }),
    )
    await house.registry.settled()
    const why = await house.registry.why(device.id)
    assert.equal(why.verdict, 'It was turned away last: the leaf has expired.')
    assert.equal(why.next, remedyOf('ERR_CERT_EXPIRED'))
    assert.deepEqual(why.refusals, [
      {
        time: '2026-11-23T00:00:01.000Z',
        code: 'ERR_CERT_EXPIRED',
        message: 'the leaf has expired',
        where: 'leaf, notAfter',
        road: 'https',
        address: '192.0.2.1',
        remedy: remedyOf('ERR_CERT_EXPIRED'),
      },
    ])
  })

  test('a refusal that was made good within the minute of its last admission', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    const peer = peerOf(certificate)
    await house.registry.admit(peer, 'https')
    const away = async (code: string): Promise<void> => {
      house.now += 1_000
      house.registry.refused(refusal({ device: device.id, code, message: `it hears ${code}` }))
      await house.registry.settled()
    }
    const verdict = async (): Promise<string> => (await house.registry.why('A-1')).verdict
    await house.registry.suspend(device.id, 'lost')
    await away('ERR_DEVICE_SUSPENDED')
    house.now += 1_000
    await house.registry.resume(device.id)
    assert.equal(await verdict(), 'It is let in.')
    await house.registry.admit(peer, 'https')
    assert.equal(await verdict(), 'It is let in.')
    // Told late, by a handshake that began before.
    await away('ERR_DEVICE_SUSPENDED')
    assert.equal(await verdict(), 'It is let in.')
    await away('ERR_CERT_SUPERSEDED')
    assert.equal(await verdict(), 'It was turned away last: it hears ERR_CERT_SUPERSEDED.')
    house.now += 1_000
    const renewed = await renew(house, device.id, 'new key', 'renewal')
    assert.equal(await verdict(), 'It was turned away last: it hears ERR_CERT_SUPERSEDED.')
    await house.registry.admit(peerOf(renewed), 'https')
    assert.equal(await verdict(), 'It is let in.')
  })

  test('what strangers say of a device hides nothing of it', async () => {
    const { device, certificate } = await enrol(house, { serial: 'A-1' })
    await house.registry.admit(peerOf(certificate), 'https')
    const fingerprint = certificate.fingerprint ?? ''
    for (let n = 0; n < 100; n++) {
      const address = `192.0.2.${n}`
      house.now += 1_000
      house.registry.refused(refusal({ fingerprint, isNamedOnly: true, address }))
    }
    house.now += 1_000
    const own = { device: device.id, code: 'ERR_CERT_EXPIRED', address: '192.0.2.99' }
    house.registry.refused(refusal({ ...own, message: 'the leaf has expired' }))
    await house.registry.settled()
    const why = await house.registry.why('A-1')
    assert.equal(why.verdict, 'It was turned away last: the leaf has expired.')
    assert.equal(why.refusals.length, 4)
    assert.deepEqual(
      why.refusals.map(({ message }) => /showed no key/.test(message)),
      [false, true, true, true],
    )
    assert.equal(why.history[0]?.event, 'device.active')
  })

  test('an expired and a missing certificate', async () => {
    const { certificate } = await enrol(house, { serial: 'A-1' })
    house.now += 91 * day
    assert.equal((await house.registry.why('A-1')).verdict, 'Its certificate has expired.')
    await house.registry.revokeCertificate(certificate.serial, 'superseded')
    assert.equal((await house.registry.why('A-1')).verdict, 'It has no live certificate.')
  })

  test('a stranger by fingerprint or address; nobody at all is an error', async () => {
    house.registry.refused(refusal({ fingerprint: 'E'.repeat(64).toLowerCase() }))
    await house.registry.settled()
    const why = await house.registry.why('E'.repeat(64))
    assert.equal(why.device, null)
    assert.equal(why.refusals.length, 1)
    assert.match(why.next, /ca anchor add/)
    await assert.rejects(house.registry.why('nobody'), { code: 'ERR_DEVICE_UNKNOWN' })
  })
})

describe('look-ups', () => {
  test('by URN, EUI-64 in any spelling, and serial number', async () => {
    const { device } = await enrol(house, { serial: 'A-1' })
    const colons = (device.eui64.match(/../g) ?? []).join(':').toUpperCase()
    for (const name of [
      device.id,
      device.eui64,
      colons,
      colons.replaceAll(':', '-'),
      'A-1',
      ' A-1 ',
    ])
      assert.equal((await house.registry.find(name)).id, device.id, name)
  })

  test('a device that took another one’s EUI-64 for its serial number is never mistaken for it', async () => {
    const { device: victim } = await enrol(house, { serial: 'A-1' })
    for (const [n, serial] of [
      victim.eui64,
      victim.eui64.replaceAll(/..(?=.)/g, '$&-'),
    ].entries()) {
      const { device: thief } = await enrol(house, { serial, key: `thief ${n}` })
      // Whom does the operator mean? To revoke the wrong one would be for ever.
      await assert.rejects(house.registry.find(serial), { code: 'ERR_DEVICE_AMBIGUOUS' })
      assert.equal((await house.registry.find(victim.id)).id, victim.id)
      assert.equal((await house.registry.find(thief.id)).id, thief.id)
    }
    assert.equal((await house.registry.find('A-1')).id, victim.id)
  })

  test('a serial number that looks like an EUI-64 is found', async () => {
    const { device } = await enrol(house, { serial: '0123456789abcdef' })
    assert.equal((await house.registry.find('0123456789abcdef')).id, device.id)
  })

  test('lists by state and product, page by page', async () => {
    await house.registry.addProduct('meter', {})
    const made = []
    for (let n = 0; n < 12; n++)
      made.push(
        await enrol(house, { serial: `A-${n}`, product: n % 3 === 0 ? 'meter' : 'default' }),
      )
    for (const { device } of made.slice(0, 6)) await house.registry.suspend(device.id, 'x')
    const sizes = async (filter: object): Promise<number> =>
      (await house.registry.list({ limit: 100, ...filter })).length
    assert.deepEqual(
      await Promise.all([
        sizes({}),
        sizes({ state: 'suspended' }),
        sizes({ product: 'meter' }),
        sizes({ state: 'suspended', product: 'meter' }),
        sizes({ state: 'revoked' }),
      ]),
      [12, 6, 4, 2, 0],
    )
    const first = await house.registry.list({ limit: 5 })
    const second = await house.registry.list({ limit: 100, after: first.at(-1)?.id })
    assert.equal(new Set([...first, ...second].map(({ id }) => id)).size, 12)
  })
})

describe('products', () => {
  test('a policy that cannot be is refused with its reason', async () => {
    const cases: [object, RegExp][] = [
      [{ euiFirst: '0300000000000000', euiLast: '03ffffffffffffff' }, /not a block/],
      [{ euiFirst: '0200000000000002', euiLast: '0200000000000001' }, /not a block/],
      [{ euiFirst: 'abc' }, /not a block/],
      [{ renewalDays: 90, validityDays: 90 }, /never stop/],
      [{ roads: '["https","pigeon"]' }, /"pigeon" is not a road/],
      [{ roads: '[]' }, /not a road/],
    ]
    for (const [policy, message] of cases)
      await assert.rejects(house.registry.addProduct('p', policy), {
        code: 'ERR_PRODUCT_POLICY',
        message,
      })
    const { euiFirst, euiLast } = await house.registry.product('default')
    await assert.rejects(house.registry.addProduct('p', { euiFirst, euiLast }), {
      message: /overlaps/,
    })
    await assert.rejects(house.registry.addProduct('default', {}), { code: 'ERR_PRODUCT_EXISTS' })
    await assert.rejects(house.registry.setProduct('p', {}), { code: 'ERR_PRODUCT_UNKNOWN' })
  })

  test('two that change a product at once both have their way', async () => {
    await Promise.all([
      house.registry.setProduct('default', { messagesPerMinute: 5 }),
      house.registry.setProduct('default', { validityDays: 40 }),
    ])
    const { messagesPerMinute, validityDays, version } = await house.registry.product('default')
    assert.deepEqual([messagesPerMinute, validityDays, version], [5, 40, 3])
  })

  test('the product default is made once', async () => {
    const before = await house.registry.product('default')
    await house.registry.bootstrap()
    assert.deepEqual(await house.registry.products(), [before])
    assert.deepEqual(JSON.parse(before.roads).length, 7)
    assert.deepEqual([before.credential, before.assuranceMin], ['either', 0])
  })
})

describe('notices', () => {
  test('a listener that throws harms no other, and is told of', () => {
    const failures: unknown[] = []
    const notices = createNotices((error) => void failures.push(error))
    const heard: string[] = []
    notices.listen(() => {
      throw new Error('deaf')
    })
    const leave = notices.listen(({ kind }) => void heard.push(kind))
    notices.tell({ kind: 'anchors' })
    leave()
    notices.tell({ kind: 'anchors' })
    assert.deepEqual(heard, ['anchors'])
    assert.equal(failures.length, 2)
  })
})
