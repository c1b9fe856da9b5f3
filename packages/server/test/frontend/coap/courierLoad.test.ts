/** Commands to more devices than are tried at a time: memory is bounded, and who speaks goes first. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CoapEndpoint, coapCode, encodeMessage, parseMessage } from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { deriveContext, unprotectRequest } from '@countersign/core/oscore'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import {
  CommandCourier,
  type CommandCourierParts,
} from '../../../src/frontend/coap/commandCourier.ts'
import { coapLimitsOfDoor } from '../../../src/frontend/coap/limits.ts'
import { LiveContext } from '../../../src/frontend/coap/liveContext.ts'
import type { CommandRow } from '../../../src/ports.ts'
import { KeptLog, ManualClock, ManualTimers } from '../../support/world.ts'
import { turn } from '../house.ts'

interface Far {
  readonly context: LiveContext
  readonly answers: (datagram: Uint8Array) => Uint8Array
}

/** Devices of which none is there, until it is told to answer; each has one command. */
class Crowd {
  readonly clock: ManualClock = new ManualClock()
  readonly timers: ManualTimers = new ManualTimers(this.clock)
  readonly log: KeptLog = new KeptLog()
  readonly devices: Map<string, Far> = new Map()
  readonly awake: Set<string> = new Set()
  /** How many datagrams went to whom. */
  readonly sent: Map<string, number> = new Map()
  readonly brought: string[] = []
  /** Contexts that somebody works with. */
  held = 0
  heldMost = 0
  readonly endpoint: CoapEndpoint
  readonly courier: CommandCourier

  constructor(count: number, limits: Partial<CommandCourierParts['limits']>) {
    const { clock, timers, log } = this
    const common = { clock, timers, random: randomBytes }
    this.endpoint = new CoapEndpoint({
      ...common,
      send: (datagram, to) => this.#send(datagram, to),
      serve: (_request, _from, respond) => respond(undefined),
    })
    for (let n = 0; n < count; n++) this.devices.set(`device ${n}`, far(n))
    this.courier = new CommandCourier({
      ...common,
      log,
      limits: { ...coapLimitsOfDoor, ...limits },
      request: (...asked) => this.endpoint.request(...asked),
      commands: {
        waiting: async (device) => (this.brought.includes(device) ? [] : [commandFor(device)]),
        delivered: async (device) => this.brought.push(device) > 0,
        answered: async () => true,
      },
      push: { isDue: () => false, tell: async () => undefined },
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the courier asks of it
      contexts: {
        inMemory: (device: string) => [this.#far(device).context],
        holdOfDevice: async (device: string) => {
          this.heldMost = Math.max(this.heldMost, ++this.held)
          return this.#far(device).context
        },
        release: () => void this.held--,
        reserve: async () => undefined,
        standings: { ofSilent: async () => ({ kind: 'admitted' }) },
      } as unknown as CommandCourierParts['contexts'],
    })
  }

  call(device: string): void {
    this.courier.noticed({ kind: 'commands', device })
  }

  speaks(device: string): void {
    this.awake.add(device)
    this.courier.heard(this.#far(device).context)
  }

  async rest(): Promise<void> {
    for (let n = 0; n < 10; n++) await turn()
  }

  #far(device: string): Far {
    const found = this.devices.get(device)
    assert.ok(found)
    return found
  }

  #send(datagram: Uint8Array, to: string): void {
    this.sent.set(to, (this.sent.get(to) ?? 0) + 1)
    const device = `device ${to}`
    if (!this.awake.has(device)) return
    const answer = this.#far(device).answers(datagram)
    setImmediate(() => this.endpoint.receive(answer, to))
  }
}

const senderId = Uint8Array.of(0)

function far(n: number): Far {
  const recipientId = Uint8Array.of(n >> 16, (n >> 8) & 0xff, n & 0xff)
  const masterSecret = nodeCrypto.importSecret(Uint8Array.of(...recipientId, ...Array(13).fill(0)))
  const common = { masterSecret, senderReserved: 64 }
  const security = deriveContext(nodeCrypto, { ...common, senderId, recipientId })
  const context = new LiveContext({
    id: hex(recipientId),
    device: `device ${n}`,
    fingerprint: 'f',
    createdAt: 0,
    security,
    begun: 1,
    serverKind: 'signature',
    suite: 2,
    confirmed: null,
    state: 'live',
    address: String(n),
  })
  const answers = (datagram: Uint8Array): Uint8Array => {
    const own = deriveContext(nodeCrypto, {
      masterSecret,
      senderId: recipientId,
      recipientId: senderId,
    })
    const outer = parseMessage(datagram)
    const { exchange } = unprotectRequest(own, outer)
    const changed = { code: coapCode.changed, options: [], payload: new Uint8Array() }
    const { code, options, payload } = exchange.protectResponse({ ...outer, ...changed })
    return encodeMessage({ ...outer, type: 'ACK', code, options, payload })
  }
  return { context, answers }
}

describe('ten thousand devices that do not answer', { timeout: 60_000 }, () => {
  it('are tried so many at a time, and the others wait without a request', async () => {
    const crowd = new Crowd(10_000, { couriersMax: 128, couriersWaitingMax: 4_000 })
    for (const device of crowd.devices.keys()) crowd.call(device)
    await crowd.rest()
    assert.equal(crowd.courier.size, 128)
    assert.equal(crowd.courier.waiting, 4_000)
    assert.equal(crowd.endpoint.load.requests, 128)
    assert.equal(crowd.sent.size, 128)
    assert.equal(crowd.heldMost, 128)
    // MAX_TRANSMIT_WAIT: all of these are given up, and others begun.
    crowd.timers.advance(93_000)
    await crowd.rest()
    assert.equal(crowd.sent.size, 256)
    assert.equal(crowd.courier.waiting, 4_000 - 128)
    for (const count of [...crowd.sent.values()].slice(0, 128)) assert.equal(count, 5)
    await crowd.courier.close()
    assert.deepEqual(
      [crowd.courier.size, crowd.courier.waiting, crowd.endpoint.load.requests, crowd.held],
      [0, 0, 0, 0],
    )
    assert.deepEqual(crowd.log.lines, [])
  })

  it('make room for each that speaks, whether its turn had come or was forgotten', async () => {
    const crowd = new Crowd(500, { couriersMax: 16, couriersWaitingMax: 100 })
    for (const device of crowd.devices.keys()) crowd.call(device)
    await crowd.rest()
    // One that waits for its turn, one that was not even noted.
    for (const device of ['device 50', 'device 499']) {
      crowd.speaks(device)
      await crowd.rest()
      assert.ok(crowd.brought.includes(device))
      assert.equal(crowd.courier.size, 16)
    }
    // All at once: so many go now, so many are noted, the others are when they speak again.
    for (let round = 0; round < 5; round++) {
      crowd.timers.advance(3_000)
      for (const device of crowd.devices.keys()) crowd.speaks(device)
      for (let n = 0; n < 200 && crowd.courier.size > 0; n++) await crowd.rest()
    }
    assert.equal(crowd.brought.length, 500)
    assert.equal(new Set(crowd.brought).size, crowd.brought.length)
    await crowd.courier.close()
  })
})

function commandFor(device: string): CommandRow {
  return {
    id: '0'.repeat(32),
    device,
    waiting: device,
    name: 'go',
    data: 'null',
    expiresAt: Number.MAX_SAFE_INTEGER / 2048,
    state: 'queued',
    reason: null,
    result: null,
    resultType: null,
    actor: 'operator',
    createdAt: 0,
    deliveredAt: null,
    endedAt: null,
  }
}
