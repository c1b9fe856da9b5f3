/** mosquitto: the common name of a certificate is the name of its user, and it prints who comes. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { allSuites, checkWish, opensslGroups, type Peer, type ServerWish } from './peer.ts'
import type { Pki } from './pki.ts'
import { missingPackage, placeOrName, serverOf, startOnFreePort } from './process.ts'

export const mosquitto: Peer = {
  name: 'mosquitto',
  speaks: 'mqtt',
  abilities: {
    groups: ['x25519', 'secp256r1'],
    suites: allSuites,
    alpn: false,
    staple: false,
    noTickets: false,
  },
  refusal: { by: 'alert', ofPurpose: true },
  missing: () => missingPackage('mosquitto', 'mosquitto'),
  async start(pki, wish) {
    checkWish(mosquitto, wish)
    const folder = await mkdtemp(join(pki.folder, 'mosquitto-'))
    const file = join(folder, 'mosquitto.conf')
    const env = await environment(folder, wish)
    const { running, port } = await startOnFreePort(async (free) => {
      await writeFile(file, configuration(free, pki, wish))
      return { command: placeOrName('mosquitto'), args: ['-c', file], env }
    }, /^\d+: mosquitto version \S+ running$/m)
    return serverOf(mosquitto, running, port)
  },
}

function configuration(port: number, pki: Pki, wish: ServerWish): string {
  const { credential = pki.server.p256, suites, clientCertificate } = wish
  const identity =
    clientCertificate === 'required'
      ? ['require_certificate true', 'use_identity_as_username true', 'allow_anonymous false']
      : ['allow_anonymous true']
  return [
    // Root's files are not for the user that it would become.
    `user ${userInfo().username}`,
    'persistence false',
    'log_dest stderr',
    'log_type all',
    `listener ${port} 127.0.0.1`,
    `cafile ${pki.clientAnchors}`,
    `certfile ${credential.chain}`,
    `keyfile ${credential.key}`,
    'tls_version tlsv1.3',
    ...(suites ? [`ciphers_tls1.3 ${suites.join(':')}`] : []),
    ...identity,
    '',
  ].join('\n')
}

/** It has no word for groups, so its OpenSSL is told (config(5), the section of `ssl_conf`). */
async function environment(
  folder: string,
  { groups }: ServerWish,
): Promise<Readonly<Record<string, string>>> {
  if (groups === undefined) return {}
  const file = join(folder, 'openssl.cnf')
  const list = groups.map((group) => opensslGroups[group]).join(':')
  const sections = ['openssl_conf=all', '[all]', 'ssl_conf=ssl', '[ssl]', 'system_default=tls']
  await writeFile(file, [...sections, '[tls]', `Groups=${list}`, ''].join('\n'))
  return { OPENSSL_CONF: file }
}
