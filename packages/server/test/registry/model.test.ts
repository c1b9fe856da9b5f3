/**
 * Random lives against a model: what the registry says after any sequence of operations, many of
 * them at the same time, restarts and lost answers included. LIVES=<number> runs more of them;
 * SEED=<number> repeats one.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CertificateRow, DeviceState } from '../../src/ports.ts'
import { lifecycle, type Move } from '../../src/registry/lifecycle.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { seededNumbers } from '../support/seededNumbers.ts'
import {
  day,
  type House,
  newDeviceRequest,
  openHouse,
  peerOf,
  renewal,
  sign,
  start,
} from './house.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const soak = Number(process.env['LIVES'] ?? 0)
const lives = soak > 0 ? soak : 3
const steps = 120

interface ModelDevice {
  readonly id: string
  readonly serial: string
  state: DeviceState
  back: DeviceState | null
  certificates: { row: CertificateRow; alive: boolean; createdAt: number }[]
}

class World {
  readonly house: House
  readonly random: (below: number) => number
  readonly devices: ModelDevice[] = []
  readonly token: string
  registry: Registry
  private keys = 0

  constructor(house: House, token: string, random: (below: number) => number) {
    this.house = house
    this.registry = house.registry
    this.token = token
    this.random = random
  }

  pick(): ModelDevice | undefined {
    return this.devices[this.random(Math.max(1, this.devices.length))]
  }

  async step(): Promise<void> {
    this.house.now += this.random(1_000)
    const act = this.random(10)
    if (act < 2) return this.enrol()
    const device = this.pick()
    if (device === undefined) return this.enrol()
    if (act === 2) return this.renew(device)
    if (act < 6) return this.knock(device)
    if (act === 6) return this.move(device, 'suspend', () => this.registry.suspend(device.id, 'x'))
    if (act === 7) return this.move(device, 'resume', () => this.registry.resume(device.id))
    if (act === 8) {
      if (this.random(6) === 0)
        return this.move(device, 'revoke', () => this.registry.revoke(device.id, 'keyCompromise'))
      if (this.random(6) === 0)
        return this.move(device, 'retire', () => this.registry.retire(device.id))
      return this.revokeOne(device)
    }
    this.registry = await this.house.restart()
  }

  private async enrol(): Promise<void> {
    const serial = `S-${this.devices.length}`
    const of = { serial, key: `key ${this.keys++}`, token: this.token }
    // As many at once as a nervous client sends: all of them are one.
    const answers = await Promise.all(
      Array.from({ length: 1 + this.random(3) }, async () => {
        const made = await this.registry.reserve(newDeviceRequest(this.house, of))
        if (made.issued !== null) return made.issued
        const { der, fingerprint } = sign(made.serial)
        return this.registry.issued(made.serial, der, fingerprint)
      }),
    )
    const [row] = answers
    assert.ok(row !== undefined && answers.every(({ serial: same }) => same === row.serial))
    this.devices.push({
      id: row.device ?? '',
      serial,
      state: 'enrolled',
      back: null,
      certificates: [{ row, alive: true, createdAt: row.createdAt }],
    })
  }

  private async renew(device: ModelDevice): Promise<void> {
    const request = renewal(this.house, device.id, `key ${this.keys++}`, `renew:${this.keys}`)
    if (device.state === 'suspended' || device.state === 'revoked' || device.state === 'retired') {
      await assert.rejects(this.registry.reserve(request), { name: 'PeerError' })
      return
    }
    const { serial } = await this.registry.reserve(request)
    const { der, fingerprint } = sign(serial)
    const row = await this.registry.issued(serial, der, fingerprint)
    device.certificates.push({ row, alive: true, createdAt: row.createdAt })
  }

  private async knock(device: ModelDevice): Promise<void> {
    const shown = device.certificates[this.random(device.certificates.length)]
    assert.ok(shown !== undefined)
    const knocks = Array.from({ length: 1 + this.random(2) }, () =>
      this.registry.admit(peerOf(shown.row), 'https'),
    )
    const open = device.state === 'enrolled' || device.state === 'active'
    for (const outcome of await Promise.allSettled(knocks))
      assert.equal(
        outcome.status,
        open && shown.alive ? 'fulfilled' : 'rejected',
        `${device.id} ${device.state} ${shown.alive}`,
      )
    if (open && shown.alive) device.state = 'active'
  }

  private async move(device: ModelDevice, move: Move, run: () => Promise<unknown>): Promise<void> {
    const rule = lifecycle[move]
    if (!rule.from.includes(device.state)) {
      await assert.rejects(run(), { code: 'ERR_DEVICE_STATE' })
      return
    }
    await run()
    const before = device.state
    device.state = rule.to === 'back' ? (device.back ?? 'enrolled') : rule.to
    device.back = move === 'suspend' ? before : null
    if (rule.certificates === 'revoke') for (const one of device.certificates) one.alive = false
  }

  private async revokeOne(device: ModelDevice): Promise<void> {
    const one = device.certificates[this.random(device.certificates.length)]
    assert.ok(one !== undefined)
    await this.registry.revokeCertificate(one.row.serial, 'superseded')
    one.alive = false
  }

  /** The registry, its log and the model tell the same story. */
  async agree(): Promise<void> {
    await this.registry.settled()
    const rows = await this.registry.list({ limit: 10_000 })
    assert.deepEqual(
      rows.map(({ id, state }) => `${id} ${state}`),
      this.devices.map(({ id, state }) => `${id} ${state}`).toSorted(),
    )
    const revoked = new Set<string>()
    for await (const { serial } of this.registry.revokedCertificates('owner')) revoked.add(serial)
    for (const { certificates } of this.devices)
      for (const { row, alive } of certificates) assert.equal(revoked.has(row.serial), !alive)
    const [token] = await this.registry.invitations()
    assert.equal(token?.used, this.devices.length)
    await verifyLog(this.house.store)
    assert.deepEqual(this.house.failures, [])
  }
}

describe('random lives', () => {
  for (let life = 0; life < lives; life++)
    test(`life ${life} (seed ${seed})`, async () => {
      const house = await openHouse(`${seed} ${life}`)
      try {
        const { token } = await house.registry.invite({
          product: 'default',
          count: 10_000,
          expiresAt: start + 30 * day,
        })
        const world = new World(house, token, seededNumbers(seed * 1_000 + life))
        for (let n = 0; n < steps; n++) await world.step()
        await world.agree()
      } finally {
        await house.dispose()
      }
    })
})
