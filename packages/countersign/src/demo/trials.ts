/** Those who are refused: intruders, and devices that were suspended or revoked. */
import { isCountersignError } from '@countersign/core/errors'
import { expectInBooks } from './books.ts'
import { cast, demoRoads, room } from './cast.ts'
import type { Chapters } from './chapters.ts'
import { commandTooLate } from './commanding.ts'
import { DemoDevice } from './demoDevice.ts'
import type { DemoFolder, DemoServer } from './demoHouse.ts'
import { withoutLosses } from './gateways.ts'
import { type Address, guessToken, impersonate, sendNameless } from './intruders.ts'
import type { RevocationObservation } from './report.ts'
import { type DemoWorld, patienceMs, reading, readingsEach } from './world.ts'

export async function refuseIntruders(
  { story }: Chapters,
  world: DemoWorld,
  { root }: DemoFolder,
  address: Address,
): Promise<void> {
  const [victim] = world.devices
  if (victim === undefined) return
  await story.step('refused: an enrolment with a guessed token', () => guessToken(root, address))
  await story.step('refused on every road: a message without a certificate', async () => {
    for (const road of demoRoads) await sendNameless(road, address)
  })
  await story.step("refused on every road: another CA's certificate with a device's names", () =>
    impersonate(root, address, victim),
  )
  await story.step(
    'refused: a key in a file, where the product demands one that a chip attests',
    () => tryWeakKey(world, root, address),
  )
}

/** A good invitation, and a key that lies in a file. */
async function tryWeakKey({ server }: DemoWorld, root: string, address: Address): Promise<void> {
  const { product, road, topic } = room
  const expiresAt = Date.now() + 600_000
  const invitation = await server.house.call('identity.invite', { product, count: 1, expiresAt })
  const device = new DemoDevice({ serial: 'TH-0009', product, road, topic, root, element: 'sw:' })
  try {
    await device.enroll({ ...invitation, ...address })
  } catch (error) {
    if (isCountersignError(error) && /the assurance of this key is 0/.test(error.message)) return
    throw error
  }
  throw new Error('a key in a file was good enough')
}

export async function suspendAndResume(chapters: Chapters, world: DemoWorld): Promise<void> {
  for (const device of fated(world, 'suspended')) await suspend(chapters, world, device)
}

async function suspend(chapters: Chapters, world: DemoWorld, device: DemoDevice): Promise<void> {
  const { story } = chapters
  const { house } = world.server
  await story.step(`suspended on ${device.road}: refused from now on`, async () => {
    const refused = device.next('refused', patienceMs)
    await house.call('identity.suspend', { id: device.id, reason: 'in repair' })
    device.push(reading(device, readingsEach))
    await refused
    await expectInBooks(world.server, device, /^ERR_DEVICE_SUSPENDED$/)
  })
  const seeExpired = await commandTooLate(chapters, world, device)
  await story.step(`resumed on ${device.road}: what it kept meanwhile arrives`, async () => {
    await house.call('identity.resume', { id: device.id })
    await device.delivered(patienceMs)
  })
  await seeExpired()
}

/** One on each road; what is seen of them goes to the report as it comes. */
export async function revokeWhileConnected(chapters: Chapters, world: DemoWorld): Promise<void> {
  for (const device of fated(world, 'revoked')) {
    chapters.observed.revocations.push(await revoke(chapters, world, device))
  }
}

async function revoke(
  chapters: Chapters,
  { server, gateways }: DemoWorld,
  device: DemoDevice,
): Promise<RevocationObservation> {
  const { id, road } = device
  const milliseconds =
    road === 'coap'
      ? await withoutLosses(gateways, () => refuseInContext(chapters, server, device))
      : await cutConnection(chapters, server, device)
  const reason = await chapters.story.step(
    `and its next attempt on ${road} is refused with its reason`,
    async () => {
      const refused = device.next('refused', patienceMs)
      device.push(reading(device, readingsEach + 1))
      await refused
      return expectInBooks(server, device, /_REVOKED$/)
    },
    (code) => `and its next attempt on ${road} is refused: ${code}`,
  )
  return { id, road, milliseconds, reason }
}

/** From the operator's word to the end of the connection. */
function cutConnection(
  { story }: Chapters,
  { house }: DemoServer,
  device: DemoDevice,
): Promise<number> {
  const { id, road } = device
  return story.step(
    `revoked while connected on ${road}: the connection ends`,
    async () => {
      await ensureConnected(device)
      const ended = device.next('disconnected', patienceMs)
      device.endAllowance()
      const started = performance.now()
      await house.call('identity.revoke', { id, reason: 'keyCompromise' })
      await ended
      return Math.round(performance.now() - started)
    },
    (time) => `revoked while connected on ${road}: the connection ended after ${time} ms`,
  )
}

/**
 * On coap nothing is connected: what the device holds is a context, and its end is seen when it
 * sends: from the operator's word to the first refusal.
 */
function refuseInContext(
  { story }: Chapters,
  { house }: DemoServer,
  device: DemoDevice,
): Promise<number> {
  const { id, road } = device
  return story.step(
    `revoked while its context is in use on ${road}: what it sends is refused`,
    async () => {
      await ensureConnected(device)
      const refused = device.next('refused', patienceMs)
      device.endAllowance()
      const started = performance.now()
      await house.call('identity.revoke', { id, reason: 'keyCompromise' })
      device.push(reading(device, readingsEach + 1))
      await refused
      return Math.round(performance.now() - started)
    },
    (time) => `revoked while its context is in use on ${road}: refused after ${time} ms`,
  )
}

function fated({ devices }: DemoWorld, fate: 'suspended' | 'revoked'): readonly DemoDevice[] {
  const serials = cast.filter((each) => each.fate === fate).map(({ serial }) => serial)
  return devices.filter(({ serial }) => serials.includes(serial))
}

/** A reading or two, until one leaves a connection behind that the gateway has not broken. */
async function ensureConnected(device: DemoDevice): Promise<void> {
  for (let attempts = 0; !device.connected && attempts < 20; attempts++) {
    device.push(reading(device, readingsEach + 10 + attempts))
    await device.delivered(patienceMs)
  }
}
