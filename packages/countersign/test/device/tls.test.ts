/** Whose TLS a device speaks, on both roads, with a house of ours at the other end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import {
  enroll,
  lineSource,
  renew,
  run,
  send,
  systemWorld,
  textSample,
  tlsNames,
  type World,
} from '@countersign/device'
import type { SecureElement } from '@countersign/element/ports'
import { openTestHouse } from './house.ts'

const tlsRoads = ['https', 'mqtts'] as const

const house = await openTestHouse()
let states = 0
const freshState = (): string => join(house.root, `device-${states++}`)

for (const tls of tlsNames)
  test(`with TLS that is ${tls} a device enrols, sends on both roads and renews`, async () => {
    const state = freshState()
    const world = systemWorld(tls)
    const { id, eui64 } = await enroll({
      ...(await house.invite()),
      serial: `TLS-${tls}`,
      state,
      world,
    })
    for (const road of tlsRoads) {
      await send({ state, road, topic: 'room', sample: textSample(`"by ${road}"`), world })
    }
    const { certificate } = await renew({ state, world })
    await send({ state, topic: 'room', sample: textSample('"renewed"'), world })
    const events = await house.events(id)
    assert.deepEqual(
      events.map(({ id: event, data, road }) => [event, data, road]),
      [
        [`${eui64}-1`, 'by https', 'https'],
        [`${eui64}-2`, 'by mqtts', 'mqtts'],
        [`${eui64}-3`, 'renewed', 'https'],
      ],
    )
    const { certificates } = await house.call('identity.show', { id })
    assert.ok(certificates.some(({ serial }) => serial === certificate.serial))
  })

/** A world whose element counts what it signs, and lets nobody near its keys. */
function sealedWorld(): { readonly world: World; readonly signatures: () => number } {
  const system = systemWorld()
  let signatures = 0
  const world: World = {
    ...system,
    async openElement(url, folder) {
      const inner = await system.openElement(url, folder)
      const sealed: SecureElement = {
        info: () => inner.info(),
        state: () => inner.state(),
        slots: () => inner.slots(),
        generateKey: (slot) => inner.generateKey(slot),
        publicKey: (slot) => inner.publicKey(slot),
        sign(slot, digest) {
          signatures++
          return inner.sign(slot, digest)
        },
        random: (length) => inner.random(length),
        close: () => inner.close(),
      }
      return sealed
    },
  }
  return { world, signatures: () => signatures }
}

/** A way to a door that can be cut. */
async function cuttable(url: string): Promise<{ readonly url: string; readonly cut: () => void }> {
  const { protocol, hostname, port } = new URL(url)
  const open = new Set<Socket>()
  const relay = createServer((near) => {
    const far = connect({ host: hostname, port: Number(port) })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => open.delete(one))
      one.pipe(other)
    }
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  after(() => relay.close())
  const address = relay.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    url: `${protocol}//localhost:${address.port}`,
    cut: () => {
      for (const each of open) each.destroy()
    },
  }
}

for (const road of tlsRoads)
  test(`on ${road} an element signs the first handshake, and none of those that resume it`, async () => {
    const { world, signatures } = sealedWorld()
    const state = freshState()
    const invitation = await house.invite()
    await enroll({ ...invitation, serial: `SEALED-${road}`, state, world })
    const way = await cuttable(road === 'https' ? invitation.server : invitation.mqtts)
    const input = new Readable({ read: () => undefined })
    const rounds = 4
    let sent = 0
    const enrolled = signatures()
    const running = run({
      state,
      road,
      world: { ...world, tls: through(way.url, world) },
      source: lineSource(input),
      topic: 'room',
      backoff: { broken: { firstMs: 5, maxMs: 20 }, refused: { firstMs: 5, maxMs: 20 } },
      listener: ({ event }) => {
        if (event === 'sent') {
          sent++
          way.cut()
        }
        if (event === 'disconnected') input.push(sent < rounds ? `"${sent}"\n` : null)
      },
    })
    input.push('"0"\n')
    assert.equal((await running).sent, rounds)
    assert.equal(signatures() - enrolled, 1)
  })

/** The same server by another way. */
function through(url: string, { tls }: World): World['tls'] {
  return (request) => {
    const target = { ...request.target, port: Number(new URL(url).port) }
    return tls({ ...request, target })
  }
}
