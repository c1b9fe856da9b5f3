/**
 * Memory of an idle connection of our TLS client: what a process that holds many of them has more
 * than one that holds as many plain TCP sockets; beside it, Node's own. Each kind in a process of
 * its own, after forced collections, less what the process had with few connections.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startClientPeer } from './clientPeer.ts'
import { makeClientPki } from './clientPki.ts'
import { median, sorted } from './measure.ts'
import type { Report } from './report.ts'
import type { Options } from './run.ts'

export type HoldKind = 'tcp' | 'node' | 'ours' | 'stream'

/** Bytes: heap with array buffers, and resident. */
export interface HoldReport {
  readonly heap: number
  readonly resident: number
}

const rounds = 3
/**
 * In two steps: the first connections bring code and caches that every later one shares, and some
 * time behind them Node gives up megabytes that it has loaded its programs with.
 */
const warmUp = 1_000
const connectionsMax = 2_000

const kinds: Readonly<Record<HoldKind, string>> = {
  ours: '**ours**',
  stream: '**ours**, as a Node stream',
  node: 'Node tls',
  tcp: 'plain TCP',
}

export async function run(options: Options): Promise<Report> {
  const connections = Math.min(options.connections, connectionsMax)
  const pki = await makeClientPki()
  const peer = await startClientPeer(pki.folder)
  const plain = await startClientPeer()
  try {
    const found = new Map<HoldKind, HoldReport[]>()
    for (let round = 0; round < rounds; round++) {
      for (const kind of Object.keys(kinds) as HoldKind[]) {
        const port = kind === 'tcp' ? plain.port : peer.port
        const one = await measureKind(kind, port, pki.folder, connections)
        found.set(kind, [...(found.get(kind) ?? []), one])
      }
    }
    return reportOf(found, connections)
  } finally {
    await peer.stop()
    await plain.stop()
    await pki.remove()
  }
}

function reportOf(
  found: ReadonlyMap<HoldKind, readonly HoldReport[]>,
  connections: number,
): Report {
  const middle = (kind: HoldKind, of: keyof HoldReport): number =>
    median(sorted((found.get(kind) ?? []).map((one) => one[of])))
  const beyond = (kind: HoldKind, of: keyof HoldReport): number =>
    middle(kind, of) - middle('tcp', of)
  return {
    tables: [
      {
        columns: ['case', 'heap, KiB', 'beyond the socket', 'resident, KiB', 'beyond the socket'],
        rows: (Object.keys(kinds) as HoldKind[]).map((kind) => [
          kinds[kind],
          ...(['heap', 'resident'] as const).flatMap((of) => [
            middle(kind, of).toFixed(1),
            kind === 'tcp' ? '' : beyond(kind, of).toFixed(1),
          ]),
        ]),
      },
    ],
    goals: (['ours', 'stream'] as const).map((kind) => ({
      what: `heap beyond the socket, ${kinds[kind].replaceAll('**', '')}`,
      ratio: beyond(kind, 'heap'),
      wanted: 64,
      sense: 'at most',
      unit: ' KiB',
    })),
    notes: [
      `${connections.toLocaleString('en')} idle connections to one server, for each of them. Heap: V8's, with array buffers; what OpenSSL takes for keys and connections is in resident memory alone.`,
    ],
  }
}

async function measureKind(
  kind: HoldKind,
  port: number,
  folder: string,
  connections: number,
): Promise<HoldReport> {
  const script = fileURLToPath(new URL('./clientHolder.ts', import.meta.url))
  const holder = fork(script, [kind, String(port), folder], { execArgv: ['--expose-gc'] })
  try {
    await answer(holder)
    await hold(holder, warmUp / 2)
    const before = await hold(holder, warmUp)
    const after = await hold(holder, warmUp + connections)
    const each = (of: keyof HoldReport): number => (after[of] - before[of]) / connections / 1024
    return { heap: each('heap'), resident: each('resident') }
  } finally {
    holder.kill()
  }
}

async function hold(holder: ChildProcess, wanted: number): Promise<HoldReport> {
  holder.send(wanted)
  // The holder says nothing else.
  return (await answer(holder)) as HoldReport
}

function answer(holder: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the process that holds connections has ended'))
    holder.once('exit', ended)
    holder.once('message', (told) => {
      holder.off('exit', ended)
      resolve(told)
    })
  })
}
