/** Go's crypto/tls (go/main.go): it reports and echoes. */
import { goServer, missingGo } from './build.ts'
import { checkWish, type Peer } from './peer.ts'
import { ForeignProcess, serverOf } from './process.ts'

export const go: Peer = {
  name: 'Go',
  speaks: 'report',
  abilities: {
    groups: ['x25519', 'secp256r1', 'X25519MLKEM768'],
    suites: [],
    alpn: true,
    staple: true,
    noTickets: true,
  },
  refusal: { by: 'alert', ofPurpose: true },
  missing: missingGo,
  async start(pki, wish) {
    checkWish(go, wish)
    const { chain, key } = wish.credential ?? pki.server.p256
    const options = {
      cert: chain,
      key,
      clientAnchors: wish.clientCertificate === 'required' ? pki.clientAnchors : '',
      groups: wish.groups ?? [],
      tickets: wish.tickets ?? true,
      alpn: wish.alpn ?? [],
      staple: wish.staple ?? '',
    }
    const running = new ForeignProcess({
      command: goServer,
      args: [JSON.stringify(options)],
    })
    const [, port] = await running.starts(/^listening on (\d+)$/m)
    return serverOf(go, running, Number(port))
  },
}
