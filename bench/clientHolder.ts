/**
 * A process that holds idle connections of one kind of client, run by clientMemory.ts; measured by
 * itself, after a forced collection (`--expose-gc`). Told over IPC how many to hold.
 */
import { connect } from 'node:net'
import type { HoldKind, HoldReport } from './clientMemory.ts'
import { type Client, nodeClient, ourClient, ourStream } from './clients.ts'
import { readDevice } from './clientPki.ts'
import { sleep } from './processes.ts'

const [kind = '', port = '', folder = ''] = process.argv.slice(2)
const atOnce = 32
const held: unknown[] = []

const open = await opener(kind as HoldKind)
process.on('message', (wanted: number) => {
  void holdUpTo(wanted).then((report) => process.send?.(report))
})
process.on('disconnect', () => process.exit(0))
process.send?.('up')

async function holdUpTo(wanted: number): Promise<HoldReport> {
  const worker = async (): Promise<void> => {
    while (held.length < wanted) {
      const place = held.push(undefined) - 1
      held[place] = await open()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  // The tickets behind the handshakes are through.
  await sleep(1500)
  // Objects that hold keys of OpenSSL are gone after several collections only.
  for (let round = 0; round < 8; round++) {
    globalThis.gc?.()
    await sleep(50)
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss }
}

async function opener(of: HoldKind): Promise<() => Promise<unknown>> {
  if (of === 'tcp') return openTcp
  const options = { port: Number(port), device: await readDevice(folder), group: 'x25519' } as const
  if (of === 'node') return opening(nodeClient(options))
  return opening(of === 'ours' ? ourClient(options) : ourStream(options))
}

function openTcp(): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('data', () => undefined)
    socket.once('connect', () => resolve(socket)).once('error', reject)
  })
}

/** One credential and one judge, or one secure context, for all connections. */
function opening<Session>(client: Client<Session>): () => Promise<unknown> {
  return () =>
    new Promise((resolve, reject) => {
      client.open({ secured: resolve, closed: reject })
    })
}
