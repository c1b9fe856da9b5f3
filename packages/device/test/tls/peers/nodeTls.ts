/** Node's own TLS, in a process of its own: it reports and echoes. */
import { fileURLToPath } from 'node:url'
import type { NodeServerOptions } from './nodeServer.ts'
import { allSuites, checkWish, opensslGroups, type Peer } from './peer.ts'
import { ForeignProcess, serverOf } from './process.ts'

const script = fileURLToPath(new URL('./nodeServer.ts', import.meta.url))

export const nodeTls: Peer = {
  name: 'Node',
  speaks: 'report',
  abilities: {
    groups: ['x25519', 'secp256r1', 'X25519MLKEM768'],
    suites: allSuites,
    alpn: true,
    staple: true,
    noTickets: false,
  },
  refusal: { by: 'close', ofPurpose: true },
  missing: () => false,
  async start(pki, wish) {
    checkWish(nodeTls, wish)
    const { chain, key } = wish.credential ?? pki.server.p256
    const options: NodeServerOptions = {
      cert: chain,
      key,
      clientAnchors: wish.clientCertificate === 'required' ? pki.clientAnchors : null,
      groups: wish.groups?.map((group) => opensslGroups[group]) ?? null,
      suites: wish.suites ?? null,
      alpn: wish.alpn ?? null,
      staple: wish.staple ?? null,
    }
    const running = new ForeignProcess({
      command: process.execPath,
      args: [script, JSON.stringify(options)],
    })
    const [, port] = await running.starts(/^listening on (\d+)$/m)
    return serverOf(nodeTls, running, Number(port))
  },
}
