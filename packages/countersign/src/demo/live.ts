/**
 * After the story the house stays open: allowed devices go on sending, and what the application
 * receives is told line by line.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReceivedReading } from './report.ts'
import type { Story } from './story.ts'
import type { DemoWorld } from './world.ts'

const everyMs = 2000
/** Of the longest. */
const roadWidth = 'https'.length

export async function keepRunning(
  world: DemoWorld,
  story: Story,
  json: boolean,
  stop: AbortSignal,
): Promise<void> {
  const { application, devices, server, token } = world
  story.heading('The house stays open. Ctrl-C ends it and removes everything.')
  story.sayWhole(
    `  events    curl -N -H "authorization: Bearer ${token}" ${server.console.origin}/api/v1/events`,
  )
  const [first] = devices.filter((device) => device.isCommanded)
  if (first !== undefined) tellCommand(world, first.id, story)
  await tellPage(server, story, json)
  application.onReading = (reading) => tell(reading, story, json)
  const allowed = devices.filter((device) => device.observation().offeredAfter.size === 0)
  for (let count = 0; !stop.aborted; count++) {
    const device = allowed[count % allowed.length]
    device?.push({ value: 20 + Math.round(Math.sin(count / 9) * 30) / 10, count })
    await sleep(everyMs, undefined, { signal: stop }).catch(() => undefined)
  }
  application.onReading = undefined
}

/** For people only: the link is a secret, and a report is kept. */
async function tellPage(
  { house }: DemoWorld['server'],
  story: Story,
  json: boolean,
): Promise<void> {
  if (json) return
  const { url } = await house.call('console.link', {})
  story.sayWhole(`  page      ${url}`)
  story.say('            opens once, within ten minutes')
  story.say('')
}

function tellCommand({ server, token }: DemoWorld, id: string, story: Story): void {
  const post = `-H "authorization: Bearer ${token}" -H content-type:application/json`
  story.sayWhole(
    `  command   curl ${post} -d '{"name":"repeat","data":1}' ${server.console.origin}/api/v1/devices/${id}/commands`,
  )
}

function tell(reading: ReceivedReading, story: Story, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ event: 'received', ...reading })}\n`)
    return
  }
  const time = new Date().toISOString().slice(11, 19)
  const device = reading.source.slice('urn:dev:mac:'.length)
  story.sayWhole(
    `  ${time}  ${device}  ${reading.road.padEnd(roadWidth)}  assurance ${reading.assurance}  ${reading.data}`,
  )
}
