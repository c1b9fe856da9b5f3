/**
 * The relay's own process. Commands come as JSON lines on standard input, answers go as JSON lines
 * to standard output; when the input ends, so does the relay. Started by `hostileRelay`, reached by
 * everyone else through sockets only.
 */
import { createInterface } from 'node:readline'
import type { PlanOptions } from './plan.ts'
import { type Relay, startRelay } from './relay.ts'
import { type Seeded, seeded } from './seeded.ts'
import { startUdpRelay, type UdpRelay } from './udpRelay.ts'
import type { AttackPlan } from './world/hostileDatagrams.ts'

/** What a plan is depends on what the relay carries. */
export type RelayPlan =
  | { readonly over: 'tcp'; readonly plan: PlanOptions }
  | { readonly over: 'udp'; readonly plan: AttackPlan }

export type RelayCommand =
  | ({
      readonly id: number
      readonly do: 'start'
      readonly host: string
      readonly port: number
      readonly seed: number
    } & RelayPlan)
  | ({ readonly id: number; readonly do: 'plan' } & RelayPlan)
  | { readonly id: number; readonly do: 'stats' }
  /** Markers in base64. */
  | { readonly id: number; readonly do: 'search'; readonly markers: readonly string[] }
  | { readonly id: number; readonly do: 'handshakes' }

type Running =
  | { readonly over: 'tcp'; readonly relay: Relay }
  | { readonly over: 'udp'; readonly relay: UdpRelay }

let running: Running | undefined

async function perform(command: RelayCommand): Promise<unknown> {
  if (command.do === 'start') {
    const { host, port, seed } = command
    running = await start(command, { target: { host, port }, random: seeded(seed) })
    return { port: running.relay.port }
  }
  if (running === undefined) throw new Error('the relay was not started')
  switch (command.do) {
    case 'plan':
      setPlan(running, command)
      return {}
    case 'stats':
      return running.relay.stats()
    case 'search':
      return running.relay.search(command.markers.map((each) => Buffer.from(each, 'base64')))
    case 'handshakes':
      if (running.over === 'udp') return running.relay.handshakes()
      throw new Error('EDHOC goes over UDP alone')
  }
}

async function start(
  by: RelayPlan,
  rest: { target: { host: string; port: number }; random: Seeded },
): Promise<Running> {
  return by.over === 'tcp'
    ? { over: 'tcp', relay: await startRelay({ plan: by.plan, ...rest }) }
    : { over: 'udp', relay: await startUdpRelay({ plan: by.plan, ...rest }) }
}

function setPlan(relay: Running, by: RelayPlan): void {
  if (relay.over === 'tcp' && by.over === 'tcp') relay.relay.setPlan(by.plan)
  else if (relay.over === 'udp' && by.over === 'udp') relay.relay.setPlan(by.plan)
  else throw new Error(`a relay over ${relay.over} has no plan for ${by.over}`)
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
await running?.relay.close()
