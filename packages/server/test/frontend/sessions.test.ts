import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { anchorOf } from '../../src/compose/anchors.ts'
import { fingerprintOf } from '../../src/frontend/peerChain.ts'
import type { Applied, Gatekeeper, Store } from '../../src/ports.ts'
import { enrol } from '../authority/estClient.ts'
import { day, hour, newKey, requestFor, verified } from '../authority/house.ts'
import { DoorHouse, type Line, post, type Shown, shown, turn } from './house.ts'

describe('a session at the https door', () => {
  let house: DoorHouse
  /** A store that holds messages back until it is told. */
  let held: { release: () => void }[] | undefined

  beforeEach(async () => {
    held = undefined
    const store: Pick<Store, 'apply'> = {
      apply: async (change): Promise<Applied> => {
        const { promise, resolve } = Promise.withResolvers<void>()
        if (held === undefined) resolve()
        else held.push({ release: resolve })
        await promise
        return await house.house.store.apply(change)
      },
    }
    house = await DoorHouse.create({ parts: { store } })
  })
  afterEach(() => house.close())

  async function resumable(who: Shown): Promise<Buffer> {
    const line = house.connect(who)
    const ticket = new Promise<Buffer>((resolve) => line.socket.once('session', resolve))
    line.write(post('first', 'x', 'Connection: close\r\n'))
    await line.received('"id":')
    await line.closed
    return await ticket
  }

  it('that resumes another is judged like the first', async () => {
    const device = await house.device()
    const line = await house.session(device, { session: await resumable(device) })
    assert.equal(line.resumed, true)
    assert.equal((await house.messages()).length, 2)
    line.socket.destroy()
  })

  it('that resumes with the ticket of a revoked device is refused, whatever certificate comes with it', async () => {
    const [device, other] = [await house.device(), await house.device()]
    const session = await resumable(device)
    await house.house.registry.revoke(device.row.id, 'keyCompromise')
    for (const who of [device, other, undefined]) {
      const line = house.connect(who, { session })
      line.write(post('late', 'x'))
      await line.closed
      assert.equal(line.resumed, true)
      assert.match(line.text, /^HTTP\/1\.1 403 /)
    }
    const refusals = await house.refusals()
    assert.deepEqual(
      refusals.map(({ subject }) => subject),
      [device.row.id, device.row.id, device.row.id],
    )
    for (const { code } of refusals) assert.match(String(code), /^ERR_(DEVICE|CERT)_REVOKED$/)
    assert.equal((await house.messages()).length, 1)
  })

  it('is told to the applications when it opens, now and then and not each time, and not when it is judged again', async () => {
    const device = await house.device()
    const opened = async (): Promise<Record<string, unknown>[]> =>
      (await house.house.store.scan('message', { limit: 1000 }))
        .filter(({ type }) => type === 'countersign.session.opened')
        .map(({ body }) => JSON.parse(body) as Record<string, unknown>)
    await house.session(device)
    const [event] = await opened()
    const { source, road, assurance, credential } = event ?? {}
    const x5t = fingerprintOf(device.leaf.der).slice(0, 16)
    assert.deepEqual(
      { source, road, assurance, credential },
      { source: device.row.id, road: 'https', assurance: 0, credential: x5t },
    )
    house.house.notices.tell({ kind: 'anchors' })
    await house.session(device)
    for (let n = 0; n < 5; n++) await house.session(device)
    assert.equal((await opened()).length, 2)
    house.house.clock.time += 60_000
    await house.session(device)
    assert.equal((await opened()).length, 3)
  })

  it('with the ticket of an expired certificate is refused', async () => {
    const device = await house.device()
    const session = await resumable(device)
    house.house.clock.time = device.leaf.notAfter + 1000
    const line = house.connect(device, { session })
    line.write(post('late', 'x'))
    await line.closed
    assert.match(line.text, /^HTTP\/1\.1 403 /)
    assert.equal((await house.refusals())[0]?.['code'], 'ERR_CERT_EXPIRED')
  })

  it('ends when its certificate does, at the next sweep, and the operator reads why', async () => {
    const device = await house.device()
    const line = await house.session(device)
    house.house.clock.time = device.leaf.notAfter
    await stays(line)
    // RFC 5280 §4.1.2.5: the second that notAfter names is still inside.
    house.house.clock.time += 1000
    await house.sweepAway(line)
    const [refusal] = await house.refusals()
    assert.deepEqual([refusal?.['subject'], refusal?.['code']], [device.row.id, 'ERR_CERT_EXPIRED'])
  })

  it('ends at once when its device is revoked, and what is in flight ends with it', async () => {
    const [device, other] = [await house.device(), await house.device()]
    const [quiet, busy, innocent] = [
      await house.session(device),
      await house.session(device),
      await house.session(other),
    ]
    held = []
    busy.write(post('in-flight', 'x'))
    while (held.length === 0) await turn()
    const begun = performance.now()
    await house.house.registry.revoke(device.row.id, 'keyCompromise')
    await Promise.all([quiet.closed, busy.closed])
    const took = performance.now() - begun
    assert.ok(took < 2000, `${took} ms`)
    assert.equal(busy.text, '')
    for (const { release } of held) release()
    held = undefined
    await stays(innocent)
  })

  it('of a device that is suspended while its body is on the way stores nothing', async () => {
    const device = await house.device()
    const line = await house.session(device)
    const before = (await house.messages()).length
    line.write('POST /v1/messages/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345')
    await house.house.registry.suspend(device.row.id, 'lost')
    line.write('67890')
    await line.closed
    assert.equal((await house.messages()).length, before)
  })

  it('ends when the certificate is revoked, and the one with its successor stays', async () => {
    const { key, signer } = newKey()
    const first = await enrol(house.house, await requestFor('TWO-1', signer))
    const old = await house.session(shown(first.der, key))
    const next = newKey()
    house.house.clock.time = first.notAfter - day
    const second = await reenrol('TWO-1', next, first.der)
    const fresh = await house.session(shown(second, next.key))
    await stays(old)
    const { id } = await house.house.registry.find('TWO-1')
    const rows = await house.house.registry.certificatesOf(id)
    const row = rows.find(({ der }) => der !== null && Buffer.from(der).equals(first.der))
    await house.house.registry.revokeCertificate(row?.serial ?? '', 'superseded')
    await old.closed
    await stays(fresh)
  })

  it('with a replaced certificate ends when the overlap does', async () => {
    await house.house.registry.setProduct('default', { overlapDays: 1 })
    const { key, signer } = newKey()
    const first = await enrol(house.house, await requestFor('TWO-2', signer))
    const old = await house.session(shown(first.der, key))
    const next = newKey()
    house.house.clock.time = first.notAfter - 5 * day
    const fresh = await house.session(shown(await reenrol('TWO-2', next, first.der), next.key))
    house.house.clock.time += day - hour
    // Silence has ended both: what counts is who may come back.
    await house.sweepAway(old)
    await house.sweepAway(fresh)
    assert.equal((await house.send(shown(first.der, key))).status, 202)
    const late = await house.session(shown(first.der, key))
    house.house.clock.time += hour + 1000
    await house.sweepAway(late)
    assert.equal((await house.refusals()).at(-1)?.['code'], 'ERR_CERT_SUPERSEDED')
  })

  it('ends when its product no longer uses this road', async () => {
    const line = await house.session(await house.device())
    await house.house.registry.setProduct('default', { roads: '["mqtts"]' })
    await line.closed
    assert.equal((await house.refusals())[0]?.['code'], 'ERR_ROAD_NOT_ALLOWED')
  })

  it('ends when its anchor is taken away', async () => {
    const line = await house.session(await house.device())
    const anchors = (await house.house.registry.listAnchors()).map(anchorOf)
    house.judge.setAnchors(anchors.filter(({ role }) => role !== 'owner'))
    house.house.notices.tell({ kind: 'anchors' })
    await line.closed
    assert.equal((await house.refusals())[0]?.['code'], 'ERR_CHAIN_UNKNOWN_ISSUER')
  })

  it('of one device more than there may be closes the oldest', async () => {
    const device = await house.device()
    const lines: Line[] = []
    for (let n = 0; n <= house.limits.connectionsPerDeviceMax; n++)
      lines.push(await house.session(device))
    await lines[0]?.closed
    for (const line of lines.slice(1)) await stays(line)
  })

  it('of one device: many that are let in together leave as few as one after the other', async () => {
    const gate = Promise.withResolvers<void>()
    const slow: Gatekeeper = {
      admit: async (peer, road) => {
        const admitted = await other.house.registry.admit(peer, road)
        await gate.promise
        return admitted
      },
      admitApplication: (peer) => other.house.registry.admitApplication(peer),
      isDevice: (id) => other.house.registry.isDevice(id),
      refused: (refusal) => other.house.registry.refused(refusal),
    }
    const other: DoorHouse = await DoorHouse.create({ parts: { registry: slow } })
    try {
      const device = await other.device()
      const lines = Array.from({ length: 40 }, () => other.connect(device))
      await Promise.all(lines.map((line) => line.secure))
      for (const line of lines) line.write(post('hello', 'x'))
      for (let n = 0; n < 20; n++) await turn()
      gate.resolve()
      await Promise.all(lines.map((line) => Promise.race([line.received('"id":'), line.closed])))
      for (let n = 0; n < 50; n++) await turn()
      const { connectionsPerDeviceMax } = other.limits
      assert.equal(lines.filter((line) => line.isOpen).length, connectionsPerDeviceMax)
    } finally {
      await other.close()
    }
  })

  it('that waits for the store is answered before the door closes', async () => {
    const line = await house.session(await house.device())
    held = []
    line.write(post('last', 'x'))
    while (held.length === 0) await turn()
    const closing = house.door.close(60_000)
    for (const { release } of held) release()
    await line.received('"id":')
    await closing
    await line.closed
  })

  it('that never ends by itself is cut when the door has waited long enough', async () => {
    const line = await house.session(await house.device())
    held = []
    line.write(post('last', 'x'))
    while (held.length === 0) await turn()
    const closing = house.door.close(500)
    await turn()
    house.timers.advance(500)
    await Promise.all([closing, line.closed])
    for (const { release } of held) release()
  })

  async function reenrol(
    serial: string,
    next: ReturnType<typeof newKey>,
    current: Uint8Array,
  ): Promise<Uint8Array> {
    const peer = await verified(house.house, current, 'owner')
    const csr = await requestFor(serial, next.signer)
    const answer = await house.house.authority.est({
      method: 'POST',
      operation: 'simplereenroll',
      contentType: 'application/pkcs10',
      body: Buffer.from(Buffer.from(csr).toString('base64')),
      authorization: undefined,
      peer,
      peerAddress: '127.0.0.1',
    })
    assert.equal(answer.status, 200, String(answer.body))
    const rows = await house.house.registry.certificatesOf(
      (await house.house.registry.find(serial)).id,
    )
    const row = rows.find(({ status }) => status === 'issued')
    assert.ok(row?.der)
    return row.der
  }
})

/** It is open, and it works. */
async function stays(line: Line): Promise<void> {
  line.text = ''
  line.write(post('still', 'x'))
  await line.received('"id":')
  line.text = ''
  assert.equal(line.isOpen, true)
}
