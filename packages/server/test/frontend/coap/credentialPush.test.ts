/** Devices on coap are told of the server's next certificate, and it is shown when all of them have it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  type CoapMessage,
  coapCode,
  optionNumber,
  type OutgoingResponse,
} from '@countersign/core/coap'
import { fromUtf8, hex, utf8 } from '@countersign/core/codec'
import type { Authentication } from '@countersign/core/edhoc'
import { edhocLifetimeMs, nextBeforeMs } from '../../../src/authority/edhocCredentials.ts'
import { ownCertificates } from '../../../src/control/operations/ownCertificates.ts'
import type { EdhocServerCredential } from '../../../src/ports.ts'
import { tomorrow } from '../../authority/edhocHouse.ts'
import { day, hour } from '../../authority/house.ts'
import type { NarrowDevice, NarrowOptions } from './device.ts'
import { CoapHouse } from './house.ts'

const none = new Uint8Array()
const methods: Readonly<Record<Authentication, 0 | 1>> = { signature: 0, 'static key': 1 }

describe("the server's next certificate", () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
    await house.house.authority.start(() => undefined)
    await tomorrow(house.house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
  })
  afterEach(async () => {
    const mistakes = house.log.lines.filter(({ level }) => level === 'error')
    await house.close()
    assert.deepEqual(mistakes, [])
  })

  const nextOf = (kind: Authentication): EdhocServerCredential => {
    const next = house.credentials.next(kind)
    assert.ok(next)
    return next
  }
  /** One that has spoken, and has been told what there is to tell. */
  const told = async (options: NarrowOptions = {}): Promise<NarrowDevice> => {
    const device = await house.device(options)
    await device.first('a', { number: 1 })
    await quiet()
    return device
  }
  const quiet = (): Promise<void> => house.until(() => house.door.load.couriers === 0)
  const confirmed = async (device: NarrowDevice): Promise<string | null | undefined> => {
    const rows = await house.rows()
    return rows.find((row) => row.device === device.identity.row.id && row.state === 'live')
      ?.confirmed
  }
  const anHourLater = async (): Promise<void> => {
    house.timers.advance(hour)
    await house.door.settled()
  }
  let numbers = 1
  const speaks = async (device: NarrowDevice): Promise<void> => {
    await device.post('a', { number: ++numbers })
    await quiet()
  }

  for (const kind of ['signature', 'static key'] as const) {
    it(`is POST /k?kid=<hex> to a device that the server has shown its ${kind}`, async () => {
      const device = await told({ method: methods[kind] })
      const next = nextOf(kind)
      const [request, ...more] = device.served
      assert.ok(request)
      assert.deepEqual(more, [])
      assert.equal(request.code, coapCode.post)
      assert.deepEqual(
        request.options.map(({ number, value }) => [number, fromUtf8(value)]),
        [
          [optionNumber.uriPath, 'k'],
          [optionNumber.uriQuery, `kid=${hex(next.kid)}`],
        ],
      )
      assert.equal(hex(request.payload), hex(next.der))
      assert.equal(await confirmed(device), next.fingerprint)
      // Once.
      await speaks(device)
      assert.equal(device.served.length, 1)
    })

    it(`for its ${kind} is shown when every device has it, and not before`, async () => {
      const before = house.credentials.current(kind).fingerprint
      const next = nextOf(kind)
      let isReady = false
      await told({ method: methods[kind] })
      const slow = await told({
        method: methods[kind],
        serve: () => (isReady ? answer(coapCode.changed) : answer(coapCode.serviceUnavailable)),
      })
      await anHourLater()
      assert.equal(house.credentials.current(kind).fingerprint, before)
      isReady = true
      await speaks(slow)
      assert.equal(await confirmed(slow), next.fingerprint)
      await anHourLater()
      assert.equal(house.credentials.current(kind).fingerprint, next.fingerprint)
      // And the other kind is another matter.
      const other = kind === 'signature' ? 'static key' : 'signature'
      assert.ok(house.credentials.next(other))
      assert.match(house.log.lines.at(-1)?.message ?? '', /every device on coap has/)
    })
  }

  it('is counted: who is to be told, and who has it', async () => {
    await told()
    await told({ serve: () => answer(coapCode.serviceUnavailable) })
    await told({ method: 1 })
    const { store, clock } = house.house
    const own = await ownCertificates(store, clock.now())
    assert.deepEqual(
      own.map((one) => [one.profile, one.state, one.told]),
      [
        ['server', 'current', null],
        ['server-edhoc-sign', 'current', null],
        ['server-edhoc-dh', 'current', null],
        ['server-edhoc-sign', 'next', { devices: 2, confirmed: 1 }],
        ['server-edhoc-dh', 'next', { devices: 1, confirmed: 1 }],
      ],
    )
  })

  it('comes after the commands that wait', async () => {
    const paths: string[] = []
    const device = await house.device({
      serve: ({ options }: CoapMessage) => {
        const [first] = options.filter(({ number }) => number === optionNumber.uriPath)
        paths.push(fromUtf8(first?.value ?? none))
        return answer(coapCode.changed)
      },
    })
    await house.command(device, 'one')
    await house.command(device, 'two')
    await device.first('a', { number: 1 })
    await quiet()
    assert.deepEqual(paths, ['c', 'c', 'k'])
  })

  it('waits for a device that is not there, and does not hold up its readings', async () => {
    let isListening = false
    const device = await house.device({
      serve: () => (isListening ? answer(coapCode.changed) : 'silent'),
    })
    await device.first('a', { number: 1 })
    await house.until(() => device.served.length === 1)
    assert.equal((await device.post('a', { number: ++numbers })).code, coapCode.changed)
    // It has acknowledged it: EXCHANGE_LIFETIME (RFC 7252 §4.8.2), and nothing came.
    house.timers.advance(300_000)
    await quiet()
    assert.equal(await confirmed(device), null)
    isListening = true
    house.timers.advance(10_000)
    await speaks(device)
    assert.equal(await confirmed(device), nextOf('signature').fingerprint)
  })

  for (const how of ['cleanly', 'after a crash'] as const) {
    it(`is not told again when the server begins anew ${how}`, async () => {
      const device = await told()
      const { fingerprint } = nextOf('signature')
      await house.restart(how)
      assert.equal(nextOf('signature').fingerprint, fingerprint)
      await device.exchangeWithEcho(device.reading('a', { number: ++numbers }))
      await quiet()
      assert.equal(device.served.length, 1)
      assert.equal(await confirmed(device), fingerprint)
      await anHourLater()
      assert.equal(house.credentials.current('signature').fingerprint, fingerprint)
    })
  }

  it('that a device does not want is said once, and keeps the old one in use to its end', async () => {
    const device = await told({ serve: () => answer(coapCode.badRequest, 'ERR_CHAIN_PURPOSE') })
    await speaks(device)
    assert.equal(device.served.length, 1)
    const warnings = house.log.lines.filter(({ message }) => message.includes('does not take'))
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]?.message ?? '', /4\.00: ERR_CHAIN_PURPOSE/)
    assert.equal(warnings[0]?.fields['device'], device.identity.row.id)
    const { fingerprint } = nextOf('signature')
    await anHourLater()
    assert.notEqual(house.credentials.current('signature').fingerprint, fingerprint)
    // A month before the end, whoever has it.
    await tomorrow(house.house, 151)
    assert.equal(house.credentials.current('signature').fingerprint, fingerprint)
  })

  it('is not shown because there is nobody who could have it', async () => {
    const { fingerprint } = nextOf('signature')
    await anHourLater()
    assert.notEqual(house.credentials.current('signature').fingerprint, fingerprint)
  })

  it('does not wait for devices that may not come in any more', async () => {
    await told()
    const gone = await told({ serve: () => answer(coapCode.serviceUnavailable) })
    await house.house.registry.revoke(gone.identity.row.id, 'keyCompromise')
    const { fingerprint } = nextOf('signature')
    await house.door.settled()
    await anHourLater()
    assert.equal(house.credentials.current('signature').fingerprint, fingerprint)
  })

  it('that another one has replaced is told of by that one', async () => {
    const device = await told()
    const [first] = [nextOf('signature')]
    const rows = await house.house.store.find('certificate', 'fingerprint', first.fingerprint)
    const [{ serial } = { serial: '' }] = rows
    await house.house.registry.revokeCertificate(serial, 'superseded')
    await tomorrow(house.house)
    const second = nextOf('signature')
    assert.notEqual(second.fingerprint, first.fingerprint)
    await anHourLater()
    assert.notEqual(house.credentials.current('signature').fingerprint, second.fingerprint)
    await speaks(device)
    assert.equal(hex(device.served[1]?.payload ?? none), hex(second.der))
    assert.equal(await confirmed(device), second.fingerprint)
  })

  it('is not said again to a device that makes new keys and has the certificates still', async () => {
    const device = await told()
    await device.first('a', { number: ++numbers })
    await quiet()
    assert.equal(device.served.length, 1)
    assert.equal(await confirmed(device), nextOf('signature').fingerprint)
  })

  it('is said again to a device that has lost them, and asks for them', async () => {
    const { identity, address } = await told()
    const device = house.narrow(identity, { address, wanted: 'leaf and issuer' })
    await device.first('a', { number: ++numbers })
    await quiet()
    assert.equal(device.served.length, 1)
    assert.equal(await confirmed(device), nextOf('signature').fingerprint)
  })

  it('is said again to a device that is shown another certificate now', async () => {
    const { identity, address } = await told()
    const device = house.narrow(identity, { address, method: methods['static key'] })
    await device.first('a', { number: ++numbers })
    await quiet()
    assert.equal(device.served.length, 1)
    assert.equal(await confirmed(device), nextOf('static key').fingerprint)
  })
})

function answer(code: number, text = ''): OutgoingResponse {
  return { code, options: [], payload: utf8(text) }
}
