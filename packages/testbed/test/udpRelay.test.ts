import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { type AttackPlan, allAttacks, type HostileUdpRelay, hostileUdpRelay } from '../src/index.ts'

/** CON POST with an OSCORE option: Partial IV 5, kid 0x010203. */
const request = fromHex('41021235ac95090501020360ff00112233445566778899')
const quiet: AttackPlan = { share: 0, lateMsMax: 1 }

test('a quiet relay carries datagrams unchanged, finds the way back and finds words again', async () => {
  const { relay, server } = await world(quiet)
  const devices = [await peer(), await peer()]
  for (const [number, device] of devices.entries()) {
    device.send(Buffer.from(`known plaintext ${number}`), relay.port, '127.0.0.1')
    assert.equal(await next(device), `known plaintext ${number}`)
  }
  const stats = await relay.stats()
  assert.deepEqual(stats, {
    connections: 2,
    frames: 4,
    bytes: 4 * 'known plaintext 0'.length,
    tampered: 0,
    delayed: 0,
    open: 2,
    attacks: {},
  })
  assert.equal(new Set(server.heard.map(({ port }) => port)).size, 2)
  assert.deepEqual(await relay.search([Buffer.from('known plaintext')]), {
    found: 4,
    complete: true,
  })
  assert.equal((await relay.search([Buffer.from('never said')])).found, 0)
})

test('a plan can be changed while the relay runs, and each attack is counted by its name', async () => {
  const { relay, server } = await world({ share: 1, attacks: ['drop'], lateMsMax: 1 }, 'silent')
  const device = await peer()
  device.send(request, relay.port, '127.0.0.1')
  await until(async () => (await relay.stats()).frames === 1)
  assert.deepEqual(server.heard, [])
  for (const attack of ['forged reset', 'forged busy', 'reflect'] as const) {
    await relay.setPlan({ share: 1, attacks: [attack], lateMsMax: 1 })
    device.send(request, relay.port, '127.0.0.1')
    const first = await next(device, 'hex')
    assert.equal(
      first.slice(0, 4),
      { 'forged reset': '7000', 'forged busy': '61a3', reflect: '4102' }[attack],
    )
    await until(async () => (await relay.stats()).attacks[attack] !== undefined)
  }
  await relay.setPlan(quiet)
  const { attacks, tampered } = await relay.stats()
  assert.equal(attacks.drop, 1)
  assert.equal(
    tampered,
    Object.values(attacks).reduce((sum, count) => sum + count, 0),
  )
})

test('a device behind a NAT that forgets comes from another port, and is answered there', async () => {
  const { relay, server } = await world(quiet)
  const device = await peer()
  device.send(Buffer.from('one'), relay.port, '127.0.0.1')
  assert.equal(await next(device), 'one')
  await relay.setPlan({ share: 1, attacks: ['rebind'], lateMsMax: 1 })
  device.send(Buffer.from('two'), relay.port, '127.0.0.1')
  assert.equal(await next(device), 'two')
  assert.equal(new Set(server.heard.map(({ port }) => port)).size, 2)
  assert.equal((await relay.stats()).attacks.rebind, 1)
})

test('a datagram in the name of a stranger comes from his address', async () => {
  const { relay, server } = await world(quiet)
  const [device, other] = [await peer(), await peer()]
  other.send(Buffer.from('other'), relay.port, '127.0.0.1')
  await next(other)
  await relay.setPlan({ share: 1, attacks: ['swap source'], lateMsMax: 1 })
  device.send(Buffer.from('mine'), relay.port, '127.0.0.1')
  await until(() => Promise.resolve(server.heard.length === 2))
  assert.equal(server.heard[1]?.port, server.heard[0]?.port)
})

test('under every attack most of what is said still comes through, and nothing ends the relay', async () => {
  const { relay, server } = await world({ share: 0.5, lateMsMax: 5 })
  const devices = [await peer(), await peer(), await peer()]
  for (let round = 0; round < 300; round++) {
    devices[round % 3]?.send(request, relay.port, '127.0.0.1')
    if (round % 20 === 0) await new Promise(setImmediate)
  }
  const drawn = async (): Promise<ReadonlySet<string>> =>
    new Set(Object.keys((await relay.stats()).attacks))
  // The echo peer answers with requests of its own: everything can be forged from something.
  await until(async () => (await drawn()).size === allAttacks.length)
  const whole = (): number => server.heard.filter(({ said }) => said === hex(request)).length
  await until(() => Promise.resolve(whole() > 150))
})

test('a server that is not there makes silence, not an error', async () => {
  const gone = createSocket('udp4').bind(0, '127.0.0.1')
  await once(gone, 'listening')
  const target = { host: '127.0.0.1', port: gone.address().port }
  gone.close()
  await once(gone, 'close')
  const relay = await hostileUdpRelay({ target, seed: 1, plan: quiet })
  after(() => relay.close())
  const device = await peer()
  for (let count = 1; count <= 3; count++) {
    device.send(request, relay.port, '127.0.0.1')
    await until(async () => (await relay.stats()).frames === count)
  }
})

test('a relay that has ended says so', async () => {
  const { relay } = await world(quiet)
  await relay.close()
  await assert.rejects(relay.stats(), { code: 'ERR_RELAY' })
})

interface Heard {
  readonly port: number
  readonly said: string
}

/** A server that says back what it hears, or nothing, and a relay in front of it. */
async function world(
  plan: AttackPlan,
  manner: 'echo' | 'silent' = 'echo',
): Promise<{ relay: HostileUdpRelay; server: { readonly heard: Heard[] } }> {
  const socket = await peer()
  const heard: Heard[] = []
  socket.on('message', (datagram, { port, address }) => {
    heard.push({ port, said: hex(datagram) })
    if (manner === 'echo') socket.send(datagram, port, address)
  })
  const target = { host: '127.0.0.1', port: socket.address().port }
  const relay = await hostileUdpRelay({ target, seed: 1, plan })
  after(() => relay.close())
  return { relay, server: { heard } }
}

async function peer(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  after(() => socket.close())
  return socket
}

async function next(socket: Socket, as: 'utf8' | 'hex' = 'utf8'): Promise<string> {
  const [datagram] = await once(socket, 'message')
  return Buffer.from(datagram).toString(as)
}

/** Another process counts: it is asked until it says so; the test's own time limit ends a mistake. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(setImmediate)
}
