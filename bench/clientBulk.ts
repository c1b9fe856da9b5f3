/**
 * Bulk data through our TLS client beside Node's own: CPU of this process, which is the client, for
 * each byte of content, AES-128-GCM in records of 16,384 bytes, from and to one Node server.
 */
import { type Client, nodeClient, ourClient, ourStream } from './clients.ts'
import { download, upload } from './clientWork.ts'
import { startClientPeer } from './clientPeer.ts'
import { makeClientPki, readDevice } from './clientPki.ts'
import { type Case, measure, rateOf } from './measure.ts'
import { atLeast, type Report, rateTable } from './report.ts'

/** Over one connection: the handshake is below one per cent of it. */
const bytesAtOnce = 128 * 1024 * 1024
const megabyte = 1_000_000

const names = {
  ours: (way: string) => `**ours**, ${way}`,
  stream: (way: string) => `**ours** as a Node stream, ${way}`,
  node: (way: string) => `Node tls, ${way}`,
}
const ways = [
  { name: 'download', move: download },
  { name: 'upload', move: upload },
] as const

export async function run(): Promise<Report> {
  const pki = await makeClientPki()
  const peer = await startClientPeer(pki.folder)
  try {
    const device = await readDevice(pki.folder)
    const options = { port: peer.port, device, group: 'x25519' } as const
    const cases = ways.flatMap(({ name, move }) => [
      caseOf(names.ours(name), ourClient(options), move),
      caseOf(names.stream(name), ourStream(options), move),
      caseOf(names.node(name), nodeClient(options), move),
    ])
    const figures = await measure(cases, { rounds: 5, milliseconds: 2000 })
    return {
      tables: [rateTable(figures, 'MB')],
      goals: ways.flatMap(({ name }) =>
        atLeast(
          `${name} to Node`,
          rateOf(figures, names.ours(name)),
          rateOf(figures, names.node(name)),
          0.3,
        ),
      ),
      notes: ['As a Node stream: `packages/device/src/tls.ts`, which https and MQTT run on.'],
    }
  } finally {
    await peer.stop()
    await pki.remove()
  }
}

function caseOf<Session>(
  name: string,
  client: Client<Session>,
  move: (client: Client<Session>, bytes: number) => Promise<void>,
): Case {
  return {
    name,
    async run(milliseconds) {
      const end = performance.now() + milliseconds
      let moved = 0
      while (performance.now() < end) {
        await move(client, bytesAtOnce)
        moved += bytesAtOnce
      }
      return moved / megabyte
    },
  }
}
