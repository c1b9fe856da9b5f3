/** The endpoint of core on the hostile network, whose ways it is made for (RFC 7252 §4). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CoapEndpoint, coapCode } from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import {
  type Attack,
  DatagramNetwork,
  HostileDatagrams,
  type LinkPlan,
  type NetworkEndpoint,
  type NetworkEvent,
  type Receive,
  seeded,
  seededRandom,
  VirtualTime,
} from '../../src/index.ts'

const [device, server] = ['10.0.0.7:5683', '192.0.2.1:5683']
const lossy: LinkPlan = {
  loss: 0.05,
  duplication: 0.1,
  corruption: 0,
  delayMsMin: 20,
  delayMsMax: 3000,
  mtuBytes: 1280,
}

test('over a lossy link each request is served once, and answered', async () => {
  for (const seed of [1, 2, 3]) {
    const { answered, served } = await conversation({ seed, count: 30 })
    assert.deepEqual(answered, numbers(30), `seed ${seed}`)
    assert.deepEqual(served, numbers(30), `seed ${seed}`)
  }
})

test('a seed makes one conversation, byte by byte', async () => {
  const attacks: readonly Attack[] = ['duplicate', 'drop', 'hold', 'replay']
  const trace = async (seed: number): Promise<unknown> =>
    (await conversation({ seed, count: 10, attacks })).events.map((event) => ({
      ...event,
      datagram: hex(event.datagram),
    }))
  assert.deepEqual(await trace(4), await trace(4))
  assert.notDeepEqual(await trace(4), await trace(5))
})

test('forged Resets, acknowledgements and refusals do not end a request that waits for its own answer', async () => {
  const attacks: readonly Attack[] = ['forged reset', 'forged 4.01', 'forged busy', 'reflect']
  const { answered, events } = await conversation({ seed: 1, count: 30, attacks })
  assert.deepEqual(answered, numbers(30))
  assert.ok(events.length > 100)
})

interface Plan {
  readonly seed: number
  readonly count: number
  readonly attacks?: readonly Attack[]
}

interface Outcome {
  /** Numbers of requests, in order. */
  readonly answered: readonly number[]
  readonly served: readonly number[]
  readonly events: readonly NetworkEvent[]
}

async function conversation({ seed, count, attacks = [] }: Plan): Promise<Outcome> {
  const time = new VirtualTime(0)
  const random = seeded(seed)
  const network = new DatagramNetwork(time, random.fork(1))
  const events: NetworkEvent[] = []
  network.observe((event) => void events.push(event))
  const { carry } = network
  const plan = { share: attacks.length === 0 ? 0 : 0.5, attacks, lateMsMax: 60_000 }
  network.through(new HostileDatagrams({ time, random: random.fork(2), plan, carry }).pass)

  const served: number[] = []
  const attach = (address: string, label: number): CoapEndpoint => {
    const open = (receive: Receive): NetworkEndpoint =>
      network.open(address, receive, address === device ? { up: lossy, down: lossy } : {})
    const endpoint = new CoapEndpoint({
      clock: time,
      timers: time,
      random: seededRandom(random.fork(label)),
      send: (datagram, to) => link.send(datagram, to),
      serve: ({ payload }, _from, respond) => {
        served.push(payload[0] ?? 0)
        respond({ code: coapCode.changed, options: [], payload })
      },
    })
    const link = open((datagram, from) => endpoint.receive(datagram, from))
    return endpoint
  }
  attach(server, 3)
  const client = attach(device, 4)

  const answered: number[] = []
  for (const number of numbers(count)) {
    const payload = Uint8Array.of(number)
    const request = { code: coapCode.post, options: [], payload }
    const accept = (response: { readonly code: number; readonly payload: Uint8Array }): boolean =>
      response.code === coapCode.changed && response.payload[0] === number
    answered.push((await time.until(client.request(request, server, { accept }))).payload[0] ?? 0)
  }
  await time.run()
  return { answered, served, events }
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number)
}
