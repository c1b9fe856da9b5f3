/**
 * The chapters of the demo, in order: doors and gateways, enrolment, sending, commands, intruders,
 * suspension, revocation, the books.
 */
import { pem } from '@countersign/core/codec'
import { openWorks, worksFile } from '@countersign/element/emulatorWorks'
import { compareDoors, searchRecording, verifyLog } from './books.ts'
import { cast, type DemoRoad, demoRoads } from './cast.ts'
import { commandDevices } from './commanding.ts'
import type { DemoFolder, DemoServer } from './demoHouse.ts'
import { observe, observeHandshakes } from './gateways.ts'
import { type Address, sendNameless } from './intruders.ts'
import type { CommandObservation, Observations, RevocationObservation } from './report.ts'
import type { Story } from './story.ts'
import { refuseIntruders, revokeWhileConnected, suspendAndResume } from './trials.ts'
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
    readonly plaintext: Partial<Record<DemoRoad, number>>
    readonly revocations: RevocationObservation[]
    readonly commands: CommandObservation[]
  }
}

/** Every product of the demo wants keys that a chip attests. */
const assuranceDemanded = 3
/** Of each gateway. */
const faultsWanted = 3
const visitsMax = 40

export async function tellStory(chapters: Chapters, folder: DemoFolder): Promise<DemoWorld> {
  const { story, observed } = chapters
  const world = await openWorld(chapters, folder)
  observed.world = world
  await believeWorks(chapters, world.server, folder)
  const { address, tokens } = await enrolAll(chapters, world)
  await sendAll(chapters, world, address)
  await commandDevices(chapters, world)
  await refuseIntruders(chapters, world, folder, address)
  await suspendAndResume(chapters, world)
  await revokeWhileConnected(chapters, world)
  await story.step(
    'the application has every reading, by webhook, by events and by MQTT',
    () => compareDoors(world),
    (count) => `the application has all ${count} readings, by webhook, by events and by MQTT`,
  )
  await story.step('the audit log is whole', () => verifyLog(world))
  await story.step('the gateways recorded everything and read nothing', async () => {
    for (const road of demoRoads) {
      const found = await searchRecording(world, road, tokens)
      observed.plaintext[road] = found
      if (found > 0) throw new Error(`the gateway of ${road} could read ${found} places`)
    }
  })
  return world
}

/** What was seen until now. */
export async function observations({ story, started, observed }: Chapters): Promise<Observations> {
  const { world, plaintext, revocations, commands } = observed
  return {
    seconds: (performance.now() - started) / 1000,
    devices: world?.devices.map((device) => device.observation()) ?? [],
    received: world?.application.byWebhook ?? [],
    gateways: await observe(world?.gateways, plaintext),
    edhoc: await observeHandshakes(world?.gateways),
    revocations,
    commands,
    steps: story.steps,
  }
}

/** The works are to these chips what a vendor's root is to real ones. Only a demo believes them so far. */
async function believeWorks(
  { story }: Chapters,
  { house }: DemoServer,
  folder: DemoFolder,
): Promise<void> {
  await story.step(
    'the root of the chips is believed: what a chip attests can be judged',
    async () => {
      const works = await openWorks(worksFile(folder.chips))
      await house.call('anchor.add', {
        role: 'attestation',
        certificate: Buffer.from(pem('CERTIFICATE', works.root)).toString('base64'),
      })
    },
  )
}

async function enrolAll(
  { story }: Chapters,
  { server, gateways, devices }: DemoWorld,
): Promise<{ address: Address; tokens: readonly string[] }> {
  const { house } = server
  const products = [...new Set(cast.map(({ product }) => product))]
  const tokens: string[] = []
  // Devices know the gateways' ports only; the server's name is the same.
  const through = {
    server: `https://localhost:${gateways.https.port}`,
    mqtts: `mqtts://localhost:${gateways.mqtts.port}`,
    // Over UDP nobody tries the other addresses of a name.
    coap: `coap://127.0.0.1:${gateways.coap.port}`,
  }
  let anchor = ''
  await story.step(
    'devices enrol over EST, each with a key that its chip made and attests',
    async () => {
      for (const name of products) {
        const mine = devices.filter((device) => device.product === name)
        const roads = [...new Set(mine.map((device) => device.road))]
        await house.call('product.add', {
          name,
          roads,
          credential: 'owner',
          assuranceMin: assuranceDemanded,
        })
        const invitation = await house.call('identity.invite', {
          product: name,
          count: mine.length,
          expiresAt: Date.now() + 600_000,
        })
        tokens.push(invitation.token)
        ;({ anchor } = invitation)
        await Promise.all(mine.map((device) => device.enroll({ ...invitation, ...through })))
        for (const device of mine) {
          const { assurance, keys } = await house.call('identity.show', { id: device.id })
          device.recorded({ assurance, element: keys[0]?.elementKind ?? 'unknown' })
        }
      }
    },
    () =>
      `${devices.length} devices enrol over EST, each with a key that its chip made and attests`,
  )
  return { address: { ...through, anchor }, tokens }
}

async function sendAll({ story }: Chapters, world: DemoWorld, address: Address): Promise<void> {
  const { devices, gateways } = world
  await story.step(
    'every reading arrives through broken connections',
    async () => {
      for (const device of devices) device.start()
      for (let count = 0; count < readingsEach; count++) {
        for (const device of devices) device.push(reading(device, count))
        await Promise.all(devices.map((device) => device.delivered(patienceMs)))
      }
      // The plan decides where faults fall; a few visitors more make sure that some did.
      for (const road of demoRoads) {
        for (let visits = 0; visits < visitsMax; visits++) {
          if ((await gateways[road].stats()).tampered >= faultsWanted) break
          await sendNameless(road, address)
        }
      }
    },
    () => `${devices.length * readingsEach} readings arrive, through every broken connection`,
  )
}
