/** The stage: a house, hostile gateways before it, an application behind it, and the devices. */
import { join } from 'node:path'
import { secretWord } from './books.ts'
import { cast } from './cast.ts'
import type { Chapters } from './chapters.ts'
import { type DemoApplication, startApplication } from './demoApplication.ts'
import { DemoDevice } from './demoDevice.ts'
import { type DemoFolder, type DemoServer, startServer } from './demoHouse.ts'
import { closeGateways, type Gateways, openGateways } from './gateways.ts'

/** What stays open when the story is told. */
export interface DemoWorld {
  readonly server: DemoServer
  readonly gateways: Gateways
  readonly application: DemoApplication
  readonly token: string
  readonly devices: readonly DemoDevice[]
}

export const readingsEach = 12
export const patienceMs = 20_000

export async function openWorld(chapters: Chapters, folder: DemoFolder): Promise<DemoWorld> {
  const { story, cleanups, seed } = chapters
  const server = await story.step(
    'doors open',
    () => startServer(folder),
    ({ https, mqtts, coap, console }) =>
      `doors open: https :${https.port}, mqtts :${mqtts.port}, coap :${coap.port}, applications :${console.port}`,
  )
  cleanups.push(() => server.close())
  const gateways = await story.step(
    'a hostile gateway for each road, each in a process of its own',
    () => openGateways(server, seed),
    ({ https, mqtts, coap }) =>
      `hostile gateways: https (pid ${https.pid}), mqtts (pid ${mqtts.pid}), coap (pid ${coap.pid})`,
  )
  cleanups.push(() => closeGateways(gateways))
  const application = await startApplication()
  cleanups.push(() => application.close())
  const token = await story.step('an application with webhook, events door and MQTT', () =>
    admitApplication(server, application),
  )
  const devices = cast.map(
    (each) =>
      new DemoDevice({
        ...each,
        root: folder.root,
        element: chipOf(folder, each),
      }),
  )
  cleanups.push(async () => {
    await Promise.all(devices.map((device) => device.stop()))
  })
  return { server, gateways, application, token, devices }
}

/** The times of silicon: each handshake waits for a signature as on hardware. */
function chipOf({ chips }: DemoFolder, { serial, wire = 'i2c' }: (typeof cast)[number]): string {
  return `atecc608:emulator:${join(chips, serial)}.json?framing=${wire}&times=real`
}

/** Answers with its bearer token. */
async function admitApplication(
  { house, console, mqtts }: DemoServer,
  application: DemoApplication,
): Promise<string> {
  const { url: webhook, csr } = application
  const added = await house.call('application.add', { name: 'desk', webhook, csr })
  const { token, secret, certificate = '' } = added
  const { pem: root } = await house.call('anchor.root', {})
  await application.connect({ token, secret, certificate, root, console, mqtts })
  return token
}

export function reading(device: DemoDevice, count: number): Readonly<Record<string, unknown>> {
  return { value: 20 + count / 2, count, serial: device.serial, note: secretWord }
}
