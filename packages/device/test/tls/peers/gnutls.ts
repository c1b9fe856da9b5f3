/** GnuTLS's gnutls-serv as an echo. */
import type { GroupName } from '@countersign/core/ports'
import { allSuites, checkWish, type Peer, type ServerWish, type SuiteName } from './peer.ts'
import type { Pki } from './pki.ts'
import { missingPackage, serverOf, startOnFreePort } from './process.ts'

export const gnutls: Peer = {
  name: 'GnuTLS',
  speaks: 'echo',
  abilities: {
    groups: ['x25519', 'secp256r1'],
    suites: allSuites,
    alpn: true,
    staple: true,
    noTickets: true,
  },
  refusal: { by: 'alert', ofPurpose: false },
  missing: () => missingPackage('gnutls-serv', 'gnutls-bin'),
  async start(pki, wish) {
    checkWish(gnutls, wish)
    const args = argumentsOf(pki, wish)
    // It cannot be told an address, does not say which port 0 was, and holds its lines back when
    // nobody looks: stdbuf of coreutils lets them through.
    const { running, port } = await startOnFreePort(
      async (free) => ({
        command: 'stdbuf',
        args: ['-oL', 'gnutls-serv', '--port', `${free}`, ...args],
      }),
      /^Echo Server listening on IPv4 \S+ port \d+\.\.\.done$/m,
    )
    return serverOf(gnutls, running, port)
  },
}

function argumentsOf(pki: Pki, wish: ServerWish): readonly string[] {
  const { credential = pki.server.p256, alpn = [], staple, tickets } = wish
  const shown = ['--x509certfile', credential.chain, '--x509keyfile', credential.key]
  return [
    '--echo',
    ...shown,
    ...(wish.clientCertificate === 'required'
      ? ['--x509cafile', pki.clientAnchors, '--require-client-cert', '--verify-client-cert']
      : ['--disable-client-cert']),
    '--priority',
    priorityOf(wish),
    ...alpn.flatMap((protocol) => ['--alpn', protocol]),
    ...(alpn.length > 0 ? ['--alpn-fatal'] : []),
    ...(staple === undefined ? [] : ['--ocsp-response', staple]),
    ...(tickets === false ? ['--noticket'] : []),
  ]
}

const groupNames: Readonly<Partial<Record<GroupName, string>>> = {
  x25519: 'GROUP-X25519',
  secp256r1: 'GROUP-SECP256R1',
}
const cipherNames: Readonly<Record<SuiteName, string>> = {
  TLS_AES_128_GCM_SHA256: 'AES-128-GCM',
  TLS_AES_256_GCM_SHA384: 'AES-256-GCM',
  TLS_CHACHA20_POLY1305_SHA256: 'CHACHA20-POLY1305',
  TLS_AES_128_CCM_8_SHA256: 'AES-128-CCM-8',
}

/** A priority string of GnuTLS. */
function priorityOf({ groups, suites }: ServerWish): string {
  return [
    'NORMAL:-VERS-ALL:+VERS-TLS1.3',
    ...(groups ? ['-GROUP-ALL', ...groups.map((group) => `+${groupNames[group]}`)] : []),
    ...(suites ? ['-CIPHER-ALL', ...suites.map((suite) => `+${cipherNames[suite]}`)] : []),
  ].join(':')
}
