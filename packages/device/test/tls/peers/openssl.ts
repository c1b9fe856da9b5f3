/** OpenSSL's s_server: three ways of it, each a peer that serves one connection at a time. */
import {
  allSuites,
  checkWish,
  type ForeignServer,
  opensslGroups,
  type Peer,
  type ServerWish,
} from './peer.ts'
import type { Pki } from './pki.ts'
import { ForeignProcess, missingPackage, serverOf } from './process.ts'

const common = {
  abilities: {
    groups: ['x25519', 'secp256r1'],
    suites: allSuites,
    alpn: true,
    staple: true,
    noTickets: true,
  },
  refusal: { by: 'alert', ofPurpose: true },
  missing: () => missingPackage('openssl', 'openssl'),
} as const satisfies Partial<Peer>

/** Every line comes back reversed. */
export const openssl: Peer = {
  ...common,
  name: 'OpenSSL s_server',
  speaks: 'reversed',
  start: (pki, wish) => start(openssl, pki, wish, '-rev'),
}

/** A GET is answered with a page that says `New` or `Reused`, and names the suite. */
export const opensslPage: Peer = {
  ...common,
  name: 'OpenSSL s_server, its page',
  speaks: 'http',
  start: (pki, wish) => start(opensslPage, pki, wish, '-www'),
}

/**
 * Somebody sits before it: what the client sends is printed, what is typed is sent. It prints the
 * handshake messages of both sides too (`>>>` and `<<<`). It takes what it reads at once for one
 * line, so what was typed last must have shown its effect before the next.
 */
export interface OpensslTerminal extends ForeignServer {
  /** Sends a line to the client. One that begins with any of `BcKkPQqRrS` is a command instead. */
  type(line: string): void
  /** RFC 8446 §4.6.3: a KeyUpdate; `update_requested` asks the client for one of its own. */
  updateKeys(request: 'update_requested' | 'update_not_requested'): void
}

export async function startTerminal(pki: Pki, wish: ServerWish): Promise<OpensslTerminal> {
  const { running, port } = await run(openssl, pki, wish, ['-msg'])
  return {
    ...serverOf(openssl, running, port),
    type: (line) => running.type(`${line}\n`),
    updateKeys: (request) => running.type(request === 'update_requested' ? 'K\n' : 'k\n'),
  }
}

async function start(peer: Peer, pki: Pki, wish: ServerWish, how: string): Promise<ForeignServer> {
  const { running, port } = await run(peer, pki, wish, [how])
  return serverOf(peer, running, port)
}

async function run(
  peer: Peer,
  pki: Pki,
  wish: ServerWish,
  more: readonly string[],
): Promise<{ readonly running: ForeignProcess; readonly port: number }> {
  checkWish(peer, wish)
  const running = new ForeignProcess({
    command: 'openssl',
    args: ['s_server', '-accept', '127.0.0.1:0', '-tls1_3', ...argumentsOf(pki, wish), ...more],
  })
  const [, port] = await running.starts(/^ACCEPT 127\.0\.0\.1:(\d+)$/m)
  return { running, port: Number(port) }
}

function argumentsOf(pki: Pki, wish: ServerWish): readonly string[] {
  const { credential = pki.server.p256, groups, suites, alpn, staple, tickets } = wish
  const { leaf, chain, key } = credential
  const shown = ['-cert', leaf, '-cert_chain', chain, '-key', key]
  return [
    ...shown,
    ...(wish.clientCertificate === 'required'
      ? ['-CAfile', pki.clientAnchors, '-Verify', '3', '-verify_return_error']
      : []),
    ...(groups ? ['-groups', groups.map((group) => opensslGroups[group]).join(':')] : []),
    ...(suites ? ['-ciphersuites', suites.join(':')] : []),
    ...(alpn ? ['-alpn', alpn.join(',')] : []),
    ...(staple === undefined ? [] : ['-status_file', staple]),
    ...(tickets === false ? ['-num_tickets', '0'] : []),
  ]
}
