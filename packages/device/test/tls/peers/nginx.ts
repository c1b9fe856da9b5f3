/** nginx: a GET of anything is answered with what it knows of the connection. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { allSuites, checkWish, opensslGroups, type Peer, type ServerWish } from './peer.ts'
import type { Pki } from './pki.ts'
import { missingPackage, placeOrName, serverOf, startOnFreePort } from './process.ts'

export const nginx: Peer = {
  name: 'nginx',
  speaks: 'http',
  abilities: {
    groups: ['x25519', 'secp256r1'],
    suites: allSuites,
    // It takes http/1.1 (or nothing) and cannot be told otherwise.
    alpn: false,
    staple: true,
    noTickets: false,
  },
  refusal: { by: 'page', ofPurpose: true },
  missing: () => missingPackage('nginx', 'nginx-light'),
  async start(pki, wish) {
    checkWish(nginx, wish)
    const folder = await mkdtemp(join(pki.folder, 'nginx-'))
    const file = join(folder, 'nginx.conf')
    const { running, port } = await startOnFreePort(
      async (free) => {
        await writeFile(file, configuration(folder, free, pki, wish))
        const args = ['-p', folder, '-c', file, '-e', 'stderr']
        return { command: placeOrName('nginx'), args }
      },
      // Printed when the socket is bound.
      /\[notice\] .*: OS: /,
    )
    return serverOf(nginx, running, port)
  },
}

function configuration(folder: string, port: number, pki: Pki, wish: ServerWish): string {
  const { credential = pki.server.p256, groups, suites, staple } = wish
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  const lines = [
    `ssl_certificate ${credential.chain};`,
    `ssl_certificate_key ${credential.key};`,
    ...(wish.clientCertificate === 'required'
      ? [
          `ssl_client_certificate ${pki.clientAnchors};`,
          'ssl_verify_client on; ssl_verify_depth 3;',
        ]
      : []),
    ...(groups ? [`ssl_ecdh_curve ${groups.map((group) => opensslGroups[group]).join(':')};`] : []),
    ...(suites ? [`ssl_conf_command Ciphersuites ${suites.join(':')};`] : []),
    ...(staple === undefined ? [] : [`ssl_stapling on; ssl_stapling_file ${staple};`]),
  ]
  return `daemon off;
master_process off;
user ${userInfo().username};
pid ${folder}/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  default_type application/json;
  ${temporary.join('\n  ')}
  map $ssl_session_reused $resumed { r true; default false; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_protocols TLSv1.3;
    ssl_session_tickets on;
    ${lines.join('\n    ')}
    location / { return 200 '${answer}\\n'; }
  }
}
`
}

const answer = [
  '{"resumed":$resumed,"group":"$ssl_curve","suite":"$ssl_cipher","alpn":"$ssl_alpn_protocol"',
  '"verify":"$ssl_client_verify","subject":"$ssl_client_s_dn"}',
].join()
