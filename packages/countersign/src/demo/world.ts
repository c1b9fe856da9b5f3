/** The stage: a house, a hostile gateway before it, an application behind it, and the devices. */
import { type HostileRelay, hostileRelay, type PlanOptions } from '@countersign/testbed'
import { secretWord } from './books.ts'
import { cast } from './cast.ts'
import type { Chapters } from './chapters.ts'
import { type DemoApplication, startApplication } from './demoApplication.ts'
import { DemoDevice } from './demoDevice.ts'
import { type DemoFolder, type DemoServer, startServer } from './demoHouse.ts'

/** What stays open when the story is told. */
export interface DemoWorld {
  readonly server: DemoServer
  readonly relay: HostileRelay
  readonly application: DemoApplication
  readonly token: string
  readonly devices: readonly DemoDevice[]
}

/** Half of all connections get a fault somewhere in their first chunks. */
const attacks: PlanOptions = { faultShare: 0.5, delayMsMax: 6 }
export const readingsEach = 12
export const patienceMs = 20_000

export async function openWorld(chapters: Chapters, folder: DemoFolder): Promise<DemoWorld> {
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

export function reading(device: DemoDevice, count: number): Readonly<Record<string, unknown>> {
  return { value: 20 + count / 2, count, serial: device.serial, note: secretWord }
}
