/**
 * The relay's own process. Commands come as JSON lines on standard input, answers go as JSON lines
 * to standard output; when the input ends, so does the relay. Started by `hostileRelay`, reached by
 * everyone else through sockets only.
 */
import { createInterface } from 'node:readline'
import type { PlanOptions } from './plan.ts'
import { type Relay, startRelay } from './relay.ts'
import { seeded } from './seeded.ts'

export type RelayCommand =
  | {
      readonly id: number
      readonly do: 'start'
      readonly host: string
      readonly port: number
      readonly seed: number
      readonly plan: PlanOptions
    }
  | { readonly id: number; readonly do: 'plan'; readonly plan: PlanOptions }
  | { readonly id: number; readonly do: 'stats' }
  /** Markers in base64. */
  | { readonly id: number; readonly do: 'search'; readonly markers: readonly string[] }

let relay: Relay | undefined

async function perform(command: RelayCommand): Promise<unknown> {
  if (command.do === 'start') {
    const { host, port, seed, plan } = command
    relay = await startRelay({ target: { host, port }, plan, random: seeded(seed) })
    return { port: relay.port }
  }
  if (relay === undefined) throw new Error('the relay was not started')
  switch (command.do) {
    case 'plan':
      relay.setPlan(command.plan)
      return {}
    case 'stats':
      return relay.stats()
    case 'search':
      return relay.search(command.markers.map((each) => Buffer.from(each, 'base64')))
  }
}

function answer(id: number, content: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ id, ...content })}\n`)
}

// Ctrl-C reaches the whole process group; the parent says when it is time, by ending the input.
process.on('SIGINT', () => undefined)

for await (const line of createInterface({ input: process.stdin })) {
  // The only speaker is the parent that started this process with this very file: its lines have
  // this type.
  const command: RelayCommand = JSON.parse(line)
  try {
    answer(command.id, { result: await perform(command) })
  } catch (error) {
    answer(command.id, { error: error instanceof Error ? error.message : String(error) })
  }
}
await relay?.close()
