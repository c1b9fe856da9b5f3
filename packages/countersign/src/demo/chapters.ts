/**
 * The chapters of the demo, in order: doors and gateway, enrolment, sending, intruders, suspension,
 * revocation, the books.
 */
import { type HostileRelay, hostileRelay, type PlanOptions } from '@countersign/testbed'
import { compareDoors, expectInBooks, searchRecording, secretWord, verifyLog } from './books.ts'
import { cast } from './cast.ts'
import { type DemoApplication, startApplication } from './demoApplication.ts'
import { DemoDevice } from './demoDevice.ts'
import { type DemoFolder, type DemoServer, startServer } from './demoHouse.ts'
import { type Address, guessToken, impersonate, sendNameless } from './intruders.ts'
import type { Observations, RevocationObservation } from './report.ts'
import type { Story } from './story.ts'

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

/** What stays open when the story is told. */
export interface DemoWorld {
  readonly server: DemoServer
  readonly relay: HostileRelay
  readonly application: DemoApplication
  readonly token: string
  readonly devices: readonly DemoDevice[]
}

const readingsEach = 12
/** Half of all connections get a fault somewhere in their first chunks. */
const attacks: PlanOptions = { faultShare: 0.5, delayMsMax: 6 }
const faultsWanted = 3
const patienceMs = 20_000

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

async function openWorld(chapters: Chapters, folder: DemoFolder): Promise<DemoWorld> {
  const { story, cleanups, seed } = chapters
  const server = await story.step(
    'doors open',
    () => startServer(folder),
    ({ https, console }) => `doors open: devices ${https.origin}, applications ${console.origin}`,
  )
  cleanups.push(() => server.close())
  const relay = await story.step(
    'a hostile gateway in a process of its own',
    () => {
      const target = { host: '127.0.0.1', port: Number(server.https.port) }
      return hostileRelay({ target, seed, plan: attacks })
    },
    ({ port, pid }) => `a hostile gateway on port ${port}, a process of its own (${pid})`,
  )
  cleanups.push(() => relay.close())
  const application = await startApplication()
  cleanups.push(() => application.close())
  const token = await story.step('an application with a webhook and the events door', async () => {
    const params = { name: 'desk', webhook: application.url }
    const { token: bearer, secret } = await server.house.call('application.add', params)
    application.connect({ token: bearer, secret, console: server.console })
    return bearer
  })
  const devices = cast.map((each) => new DemoDevice({ ...each, root: folder.root }))
  cleanups.push(async () => {
    await Promise.all(devices.map((device) => device.stop()))
  })
  return { server, relay, application, token, devices }
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

function reading(device: DemoDevice, count: number): Readonly<Record<string, unknown>> {
  return { value: 20 + count / 2, count, serial: device.serial, note: secretWord }
}

async function refuseIntruders(
  { story }: Chapters,
  world: DemoWorld,
  { root }: DemoFolder,
  address: Address,
): Promise<void> {
  const [victim] = world.devices
  if (victim === undefined) return
  await story.step('refused: an enrolment with a guessed token', () => guessToken(root, address))
  await story.step('refused: a message without a certificate', () => sendNameless(address))
  await story.step("refused: another CA's certificate with a device's names", () =>
    impersonate(root, address, victim),
  )
  await story.step('refused: a software key where the product asks for an isolated one', () =>
    tryWeakKey(world, root, address),
  )
}

/** Enrolment gives it a name; what it may do is another question. */
async function tryWeakKey({ server }: DemoWorld, root: string, address: Address): Promise<void> {
  const product = 'door-lock'
  await server.house.call('product.add', { name: product, roads: ['https'], assuranceMin: 1 })
  const expiresAt = Date.now() + 600_000
  const invitation = await server.house.call('identity.invite', { product, count: 1, expiresAt })
  const device = new DemoDevice({ serial: 'LK-0001', product, topic: 'lock', root })
  await device.enroll({ ...invitation, server: address.server })
  device.start()
  const refused = device.next('refused', patienceMs)
  device.push({ open: true })
  await refused
  await device.stop()
  await expectInBooks(server, device, /^ERR_ASSURANCE_TOO_LOW$/)
}

async function suspendAndResume({ story }: Chapters, world: DemoWorld): Promise<void> {
  const device = world.devices[2]
  if (device === undefined) return
  const { house } = world.server
  await story.step('suspended: cut off and refused', async () => {
    const refused = device.next('refused', patienceMs)
    await house.call('identity.suspend', { id: device.id, reason: 'in repair' })
    device.push(reading(device, readingsEach))
    await refused
    await expectInBooks(world.server, device, /^ERR_DEVICE_SUSPENDED$/)
  })
  await story.step('resumed: what it kept meanwhile arrives', async () => {
    await house.call('identity.resume', { id: device.id })
    await device.delivered(patienceMs)
  })
}

async function revokeOne({ story }: Chapters, world: DemoWorld): Promise<RevocationObservation> {
  const device = world.devices[3]
  if (device === undefined) throw new Error('there is nobody to revoke')
  const { house } = world.server
  const milliseconds = await story.step(
    'revoked while connected: the connection ends',
    async () => {
      await ensureConnected(device)
      const ended = device.next('disconnected', patienceMs)
      device.endAllowance()
      const started = performance.now()
      await house.call('identity.revoke', { id: device.id, reason: 'keyCompromise' })
      await ended
      return Math.round(performance.now() - started)
    },
    (time) => `revoked while connected: the connection ended after ${time} ms`,
  )
  const reason = await story.step(
    'and the next attempt is refused with its reason',
    async () => {
      const refused = device.next('refused', patienceMs)
      device.push(reading(device, readingsEach + 1))
      await refused
      return expectInBooks(world.server, device, /_REVOKED$/)
    },
    (code) => `and the next attempt is refused: ${code}`,
  )
  return { id: device.id, road: 'https', milliseconds, reason }
}

/** A reading or two, until one leaves a connection behind that the gateway has not broken. */
async function ensureConnected(device: DemoDevice): Promise<void> {
  for (let attempts = 0; !device.connected && attempts < 20; attempts++) {
    device.push(reading(device, readingsEach + 10 + attempts))
    await device.delivered(patienceMs)
  }
}
