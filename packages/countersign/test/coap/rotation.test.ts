/** Real devices while the server's certificates for EDHOC change, and after a backup was restored. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import type { Authentication } from '@countersign/core/edhoc'
import { edhocLifetimeMs, nextBeforeMs } from '../../../server/src/authority/edhocCredentials.ts'
import { forgetWhatMovedOn } from '../../../server/src/compose/restored.ts'
import type {
  CoapContextRow,
  EdhocCredentials,
  EdhocServerCredential,
} from '../../../server/src/ports.ts'
import { tomorrow } from '../../../server/test/authority/edhocHouse.ts'
import { day, hour, makeHouse, passphrase } from '../../../server/test/authority/house.ts'
import { CoapHouse } from '../../../server/test/frontend/coap/house.ts'
import { HouseDevice } from './houseDevice.ts'

/** RFC 9528 §5.2.1 with suite 2, C_I of one byte: 37; an EAD item with a label of 32768: 3 bytes more. */
const plain = 37
const withWish = 40

describe("while the server's certificates for EDHOC change", () => {
  let house: CoapHouse
  const devices: HouseDevice[] = []
  /** In the place of the real one. */
  let shownNext: EdhocServerCredential | undefined
  let shownKid: Uint8Array | undefined
  beforeEach(async () => {
    const credentials: EdhocCredentials = {
      current: (kind) => ({
        ...house.credentials.current(kind),
        ...(shownKid === undefined ? {} : { kid: shownKid }),
      }),
      next: (kind) => shownNext ?? house.credentials.next(kind),
      promote: (...asked) => house.credentials.promote(...asked),
    }
    house = await CoapHouse.create({ parts: { credentials } })
    await house.house.authority.start(() => undefined)
    // The day before the successors appear.
    await tomorrow(house.house, (edhocLifetimeMs - nextBeforeMs) / day - 1)
    assert.equal(house.credentials.next('signature'), undefined)
  })
  afterEach(async () => {
    for (const device of devices) await device.sleep()
    const faults = devices.splice(0).flatMap((device) => device.faults)
    const mistakes = house.log.lines.filter(({ level }) => level === 'error')
    await house.close()
    assert.deepEqual([...faults, ...mistakes], [])
  })

  const opened = async (serial: string, method: 0 | 1): Promise<HouseDevice> => {
    const device = await HouseDevice.open(house, { serial, method })
    devices.push(device)
    return device
  }
  const speaks = async (device: HouseDevice): Promise<void> => {
    assert.equal((await device.says()).code, coapCode.changed)
    await house.until(() => house.door.load.couriers === 0)
  }
  const rowOf = async ({ id }: HouseDevice): Promise<CoapContextRow | undefined> =>
    (await house.rows()).find(({ device }) => device === id)
  const anHourLater = async (): Promise<void> => {
    house.timers.advance(hour)
    await house.door.settled()
  }
  const nextOf = (kind: Authentication): EdhocServerCredential => {
    const next = house.credentials.next(kind)
    assert.ok(next)
    return next
  }
  /** Every device has to make a new handshake. */
  const contextsAreGone = async (): Promise<void> => {
    await house.restart('cleanly', undefined, (store) =>
      forgetWhatMovedOn(store, house.house.clock.now()),
    )
  }

  it('devices that were told of the next ones go on with them, across restarts of both sides', async () => {
    await tomorrow(house.house, 2)
    const signed = await opened('SN-1', 0)
    const agreed = await opened('SN-2', 1)
    for (const device of [signed, agreed]) {
      await speaks(device)
      // The first handshake: the certificate by value.
      assert.ok(device.message1s.splice(0).length > 0)
    }
    const next = { signature: nextOf('signature'), 'static key': nextOf('static key') }
    assert.equal((await rowOf(signed))?.confirmed, next.signature.fingerprint)
    assert.equal((await rowOf(agreed))?.confirmed, next['static key'].fingerprint)
    await house.restart('cleanly')
    await anHourLater()
    for (const kind of ['signature', 'static key'] as const) {
      assert.equal(house.credentials.current(kind).fingerprint, next[kind].fingerprint)
    }
    await contextsAreGone()
    for (const device of [signed, agreed]) {
      await device.sleep()
      await device.wake()
      await speaks(device)
      // One handshake, by a name that it knows.
      assert.deepEqual(device.message1s, [plain])
    }
  })

  for (const [method, kind] of [
    [0, 'signature'],
    [1, 'static key'],
  ] as const) {
    it(`a device that slept through the change of the ${kind} asks for it, once its address is proven`, async () => {
      const device = await opened('SN-1', method)
      await speaks(device)
      await device.sleep()
      await tomorrow(house.house, 2)
      const { fingerprint } = nextOf(kind)
      assert.equal(await house.credentials.promote(kind, fingerprint), true)
      await contextsAreGone()
      device.message1s.length = 0
      await device.wake()
      await speaks(device)
      // By name, which it does not know; by value, answered with Echo alone; and with that.
      assert.deepEqual(device.message1s, [plain, withWish, withWish])
      // And from then on it knows it.
      await contextsAreGone()
      device.message1s.length = 0
      // As often as its budget allows.
      house.timers.advance(60_000)
      await speaks(device)
      assert.deepEqual(device.message1s, [plain])
    })
  }

  it('a server CA that is rolled over before the first device is the one that devices pin', async () => {
    const { authority } = house.house
    const wish = { role: 'server', rootPassphrase: passphrase } as const
    const before = house.credentials.current('signature')
    await authority.rollover(wish)
    assert.notDeepEqual(house.credentials.current('signature').issuer, before.issuer)
    for (const method of [0, 1] as const) await speaks(await opened(`SN-${method}`, method))
    // From now on it would lock them out, and they go on as they were.
    await assert.rejects(authority.rollover(wish), { code: 'ERR_ROLLOVER_PINNED' })
    await contextsAreGone()
    house.timers.advance(60_000)
    for (const device of devices) {
      device.message1s.length = 0
      await speaks(device)
      assert.deepEqual(device.message1s, [plain])
    }
  })

  it('a kid that another certificate has now makes a device ask for that, once', async () => {
    const device = await opened('SN-1', 1)
    await speaks(device)
    const { kid } = house.credentials.current('static key')
    await tomorrow(house.house, 2)
    assert.ok(await house.credentials.promote('static key', nextOf('static key').fingerprint))
    // A house that was restored from a backup has forgotten which kids it gave out since.
    shownKid = kid
    await contextsAreGone()
    device.message1s.length = 0
    house.timers.advance(60_000)
    await speaks(device)
    assert.deepEqual(device.message1s, [plain, withWish, withWish])
    shownKid = undefined
  })

  it('a successor of another purpose, another house or no certificate at all is refused by devices', async () => {
    await tomorrow(house.house, 2)
    const other = await makeHouse({ now: house.house.clock.now() })
    const strange = (await other.authority.edhocCredentials()).current('signature')
    const tls = await house.house.authority.serverCredential()
    const own = await opened('SN-1', 0)
    for (const der of [
      strange.der,
      leafOf(tls.chainPem),
      own.identity.leaf.der,
      Uint8Array.of(0x30, 0),
    ]) {
      const next = { ...nextOf('signature'), der, fingerprint: `of ${der.length}` }
      shownNext = next
      const before = house.log.lines.length
      await speaks(own)
      const warnings = house.log.lines.slice(before).filter(({ level }) => level === 'warn')
      assert.equal(warnings.length, 1)
      assert.match(warnings[0]?.message ?? '', /does not take .*: 4\.00: ERR_/)
      assert.equal((await rowOf(own))?.confirmed, null)
    }
    shownNext = undefined
    await speaks(own)
    assert.equal((await rowOf(own))?.confirmed, nextOf('signature').fingerprint)
    await other.close()
  })
})

function leafOf(chainPem: string): Uint8Array {
  return new Uint8Array(new X509Certificate(chainPem).raw)
}
