/**
 * What is compared at the end, and looked up on the way: the application's doors, the operator's
 * books, the gateway's recording.
 */

import { isDeepStrictEqual } from 'node:util'
import type { DemoRoad } from './cast.ts'
import type { DemoDevice } from './demoDevice.ts'
import type { DemoServer } from './demoHouse.ts'
import type { DemoWorld } from './world.ts'

/** The application may still be catching up with its last events. */
const patienceMs = 20_000
/** Known to the ends only: what a gateway must not be able to read. */
export const secretWord = 'only-the-ends-may-read-this'
/** The same, in commands and their answers. */
export const commandWord = 'for-this-device-only'

/**
 * The operator's view: newest refusal of this device with such a code. It is written behind the
 * answer: a moment's patience.
 */
export async function expectInBooks(
  server: DemoServer,
  device: DemoDevice,
  expected: RegExp,
): Promise<string> {
  let last = 'nothing'
  for (let attempt = 0; attempt < 50; attempt++) {
    const why = await server.house.call('identity.why', { id: device.id })
    for (const code of refusalCodes(why)) {
      if (expected.test(code)) return code
      last = code
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`the books say ${last} of ${device.serial}`)
}

function refusalCodes(why: Readonly<Record<string, unknown>>): readonly string[] {
  const { refusals } = why
  if (!Array.isArray(refusals)) return []
  const rows: readonly unknown[] = refusals
  return rows.map((row) =>
    typeof row === 'object' && row !== null && 'code' in row ? String(row.code) : '',
  )
}

export async function compareDoors({
  application,
  devices,
}: Pick<DemoWorld, 'application' | 'devices'>): Promise<number> {
  const offered = devices.flatMap((device) => [...device.observation().offered.keys()])
  await application.until(new Set(offered), patienceMs)
  const told = new Map(application.byWebhook.map((each) => [each.id, each]))
  for (const [door, readings] of [
    ['the events door', application.byEvents],
    ['MQTT', application.byMqtt],
  ] as const) {
    const seen = new Map(readings.map((each) => [each.id, each]))
    const others = offered.filter((id) => !isDeepStrictEqual(seen.get(id), told.get(id)))
    if (others.length > 0) throw new Error(`${others.length} readings are not the same by ${door}`)
  }
  if (application.unsigned > 0)
    throw new Error(`${application.unsigned} webhook calls were not signed`)
  return offered.length
}

export async function verifyLog({ server }: Pick<DemoWorld, 'server'>): Promise<void> {
  const { ok } = await server.house.call('log.verify', {})
  if (!ok) throw new Error('the audit log is broken')
}

/**
 * How much of what only the ends know stands in the recording of this road's gateway. Zero counts
 * only when the search can find something: what travels in the clear.
 */
export async function searchRecording(
  { gateways, devices }: DemoWorld,
  road: DemoRoad,
  tokens: readonly string[],
): Promise<number> {
  const relay = gateways[road]
  const visible = await relay.search([Buffer.from(inTheClear[road])])
  if (visible.found === 0 || !visible.complete) throw new Error('the recording is not whole')
  const secrets = [secretWord, commandWord, ...protocol, ...tokens].map((text) => Buffer.from(text))
  for (const { serial, topic, eui64 } of devices) {
    // On coap a topic is its segments, and an identity its bytes.
    for (const text of [serial, topic, ...topic.split('/'), eui64]) secrets.push(Buffer.from(text))
    secrets.push(Buffer.from(eui64, 'hex'))
  }
  const { found } = await relay.search(secrets)
  return found
}

/** What stands only in messages that are encrypted; the last is the name of the demo's command. */
const protocol = ['countersign-number', '/v1/messages', '/v1/commands', 'devices/', 'repeat']
/** The server's name (RFC 8446 §9.2, SNI); the path of the first message (RFC 9528 Appendix A.2). */
const inTheClear: Readonly<Record<DemoRoad, string>> = {
  https: 'localhost',
  mqtts: 'localhost',
  coap: '.well-known',
}
