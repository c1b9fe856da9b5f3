/** rustls with aws-lc-rs (rustls/src/main.rs): it reports and echoes. */
import { missingRust, rustlsServer } from './build.ts'
import { checkWish, type ForeignServer, type Peer, type ServerWish } from './peer.ts'
import type { Pki } from './pki.ts'
import { ForeignProcess, serverOf } from './process.ts'

export const rustls: Peer = {
  name: 'rustls',
  speaks: 'report',
  abilities: {
    groups: ['x25519', 'secp256r1', 'X25519MLKEM768'],
    suites: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
    alpn: true,
    staple: true,
    noTickets: true,
  },
  refusal: { by: 'alert', ofPurpose: true },
  missing: missingRust,
  async start(pki, wish): Promise<ForeignServer> {
    checkWish(rustls, wish)
    const running = new ForeignProcess({
      command: rustlsServer,
      args: argumentsOf(pki, wish),
    })
    const [, port] = await running.starts(/^listening on (\d+)$/m)
    return serverOf(rustls, running, Number(port))
  },
}

/** A read of exactly this makes the server send a KeyUpdate before it sends it back. */
export const updateKeys = 'update keys\n'

/** `name=value`; what is not named is what rustls does by itself. */
function argumentsOf(pki: Pki, wish: ServerWish): readonly string[] {
  const { credential = pki.server.p256, groups, suites, alpn, staple, tickets } = wish
  return [
    `cert=${credential.chain}`,
    `key=${credential.key}`,
    ...(wish.clientCertificate === 'required' ? [`anchors=${pki.clientAnchors}`] : []),
    ...(groups ? [`groups=${groups.join(',')}`] : []),
    ...(suites ? [`suites=${suites.join(',')}`] : []),
    ...(alpn ? [`alpn=${alpn.join(',')}`] : []),
    ...(staple === undefined ? [] : [`staple=${staple}`]),
    ...(tickets === false ? ['tickets=no'] : []),
  ]
}
