/**
 * The application tells devices what to do, through the house's API: what comes of it is what the
 * webhook says, beside what the device itself did.
 */
import { parseRecord } from '@countersign/element/shapes'
import { commandWord } from './books.ts'
import { demoRoads } from './cast.ts'
import type { Chapters } from './chapters.ts'
import type { CommandEnd } from './demoApplication.ts'
import type { DemoDevice } from './demoDevice.ts'
import { commandFaults } from './report.ts'
import { type DemoWorld, patienceMs } from './world.ts'

/** One device on each road. */
export async function commandDevices(chapters: Chapters, world: DemoWorld): Promise<void> {
  for (const road of demoRoads) {
    const device = world.devices.find((each) => each.road === road && each.isCommanded)
    if (device === undefined) continue
    await chapters.story.step(
      `a command to a device on ${road} is answered`,
      async () => {
        const id = await sendCommand(world, device, Date.now() + patienceMs)
        const end = await world.application.ended(id, patienceMs)
        observe(chapters, device, 'answered', end)
        return end.result
      },
      (result) => `a command to a device on ${road} is answered: ${result}`,
    )
  }
}

/**
 * A command to a device that may not come for it. Its time is over when this resolves; what is
 * resolved with is for when the device is back.
 */
export async function commandTooLate(
  chapters: Chapters,
  world: DemoWorld,
  device: DemoDevice,
): Promise<() => Promise<void>> {
  const expires = Date.now() + shortMs
  const id = await sendCommand(world, device, expires)
  await passed(expires)
  return () =>
    chapters.story.step(
      `a command on ${device.road} whose time was over meanwhile is expired, and never came`,
      async () =>
        observe(chapters, device, 'expired', await world.application.ended(id, patienceMs)),
    )
}

/** Long enough to be queued in time on a busy machine; the story waits for it. */
const shortMs = 500

async function passed(time: number): Promise<void> {
  // A timer may fire a little early.
  for (let rest = time - Date.now(); rest >= 0; rest = time - Date.now())
    await new Promise((resolve) => setTimeout(resolve, rest + 1))
}

/** Answers with the id of the command. */
async function sendCommand(
  { server, token }: DemoWorld,
  { id: device }: DemoDevice,
  expires: number,
): Promise<string> {
  const response = await fetch(new URL(`/api/v1/devices/${device}/commands`, server.console), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'repeat',
      data: { word: commandWord },
      expires: new Date(expires).toISOString(),
    }),
  })
  const id = parseRecord(await response.text())?.['id']
  if (response.status === 202 && typeof id === 'string') return id
  throw new Error(`the API answered a command with ${response.status}`)
}

function observe(
  { observed }: Chapters,
  device: DemoDevice,
  wanted: 'answered' | 'expired',
  { id, state, result }: CommandEnd,
): void {
  const { road } = device
  const seen = { device: device.id, road, wanted, state, result, did: device.didOf(id) }
  observed.commands.push(seen)
  const [fault] = commandFaults(seen)
  if (fault !== undefined) throw new Error(fault)
}
