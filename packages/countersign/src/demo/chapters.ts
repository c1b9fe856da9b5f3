/**
 * The chapters of the demo, in order: doors and gateway, enrolment, sending, intruders, suspension,
 * revocation, the books.
 */
import { compareDoors, searchRecording, verifyLog } from './books.ts'
import { cast } from './cast.ts'
import type { DemoFolder } from './demoHouse.ts'
import { type Address, sendNameless } from './intruders.ts'
import type { Observations, RevocationObservation } from './report.ts'
import type { Story } from './story.ts'
import { refuseIntruders, revokeOne, suspendAndResume } from './trials.ts'
import { type DemoWorld, openWorld, patienceMs, reading, readingsEach } from './world.ts'

export interface Chapters {
  readonly story: Story
  readonly seed: number
  /** By performance.now(). */
  readonly started: number
  /** Called in reverse order, whatever happens. */
  readonly cleanups: (() => Promise<void>)[]
  /** Grows as the story goes on, so that a story that breaks off can still be reported. */
  readonly observed: {
    world: DemoWorld | undefined
    plaintext: number
    readonly revocations: RevocationObservation[]
  }
}

const faultsWanted = 3

export async function tellStory(chapters: Chapters, folder: DemoFolder): Promise<DemoWorld> {
  const { story, observed } = chapters
  const world = await openWorld(chapters, folder)
  observed.world = world
  const { address, tokens } = await enrolAll(chapters, world)
  await sendAll(chapters, world, address)
  await refuseIntruders(chapters, world, folder, address)
  await suspendAndResume(chapters, world)
  observed.revocations.push(await revokeOne(chapters, world))
  await story.step(
    'the application has every reading, by webhook and by events',
    () => compareDoors(world),
    (count) => `the application has all ${count} readings, by webhook and by events`,
  )
  await story.step('the audit log is whole', () => verifyLog(world))
  await story.step('the gateway recorded everything and read nothing', async () => {
    observed.plaintext = await searchRecording(world, tokens)
    if (observed.plaintext > 0)
      throw new Error(`the gateway could read ${observed.plaintext} places`)
  })
  return world
}

/** What was seen until now. */
export async function observations({ story, started, observed }: Chapters): Promise<Observations> {
  const { world, plaintext, revocations } = observed
  const stats = await world?.relay.stats()
  return {
    seconds: (performance.now() - started) / 1000,
    devices: world?.devices.map((device) => device.observation()) ?? [],
    received: world?.application.byWebhook ?? [],
    gateway: { frames: stats?.frames ?? 0, tampered: stats?.tampered ?? 0, plaintext },
    revocations,
    steps: story.steps,
  }
}

async function enrolAll(
  { story }: Chapters,
  { server, relay, devices }: DemoWorld,
): Promise<{ address: Address; tokens: readonly string[] }> {
  const { house } = server
  const products = [...new Set(cast.map(({ product }) => product))]
  const tokens: string[] = []
  // Devices know the gateway's port only; the server's name is the same.
  const through = `https://localhost:${relay.port}`
  let anchor = ''
  await story.step(
    'devices enrol over EST, each with a key that its element made',
    async () => {
      for (const name of products) {
        await house.call('product.add', { name, roads: ['https'], credential: 'owner' })
        const mine = devices.filter((device) => device.product === name)
        const invitation = await house.call('identity.invite', {
          product: name,
          count: mine.length,
          expiresAt: Date.now() + 600_000,
        })
        tokens.push(invitation.token)
        ;({ anchor } = invitation)
        await Promise.all(mine.map((device) => device.enroll({ ...invitation, server: through })))
      }
    },
    () => `${devices.length} devices enrol over EST, each with a key that its element made`,
  )
  return { address: { server: through, anchor }, tokens }
}

async function sendAll({ story }: Chapters, world: DemoWorld, address: Address): Promise<void> {
  const { devices, relay } = world
  await story.step(
    'every reading arrives through broken connections',
    async () => {
      for (const device of devices) device.start()
      for (let count = 0; count < readingsEach; count++) {
        for (const device of devices) device.push(reading(device, count))
        await Promise.all(devices.map((device) => device.delivered(patienceMs)))
      }
      // The plan decides where faults fall; a few honest visitors more make sure that some did.
      for (let visits = 0; visits < 40; visits++) {
        if ((await relay.stats()).tampered >= faultsWanted) return
        await sendNameless(address)
      }
    },
    () => `${devices.length * readingsEach} readings arrive, through every broken connection`,
  )
}
