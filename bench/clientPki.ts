/**
 * Certificates for the benchmarks of our TLS client, all on P-256: a root, the server's issuing CA
 * below it with one leaf, and a device whose leaf the root has signed. Made by openssl, so that
 * neither of the clients that are compared has made them.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeRoot, newKey, openssl } from './pki.ts'

export interface ClientPki {
  readonly folder: string
  remove(): Promise<void>
}

export const host = 'localhost'

export async function makeClientPki(): Promise<ClientPki> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-client-'))
  makeRoot(folder, 'root')
  const ca = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
  const leaf = ['keyUsage=critical,digitalSignature', 'authorityKeyIdentifier=keyid']
  const server = [...leaf, 'extendedKeyUsage=serverAuth', `subjectAltName=DNS:${host}`]
  await issue(folder, 'ca', 'root', [...ca, 'authorityKeyIdentifier=keyid'])
  await issue(folder, 'server', 'ca', server)
  await issue(folder, 'device', 'root', [...leaf, 'extendedKeyUsage=clientAuth'])
  const chain = await Promise.all(['server', 'ca'].map((name) => pem(folder, name)))
  await writeFile(join(folder, 'serverChain.pem'), chain.join(''))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** What either client is given, PEM. */
export interface DeviceFiles {
  readonly cert: string
  readonly key: string
  /** The server's issuing CA, which is pinned. */
  readonly ca: string
  readonly root: string
}

export async function readDevice(folder: string): Promise<DeviceFiles> {
  const [cert, ca, root] = await Promise.all(
    ['device', 'ca', 'root'].map((name) => pem(folder, name)),
  )
  const key = await readFile(join(folder, 'device.key'), 'utf8')
  return { cert: cert ?? '', key, ca: ca ?? '', root: root ?? '' }
}

/** As an invitation names it: SHA-256 of its SubjectPublicKeyInfo. */
export function anchorOf(ca: string): string {
  const spki = new X509Certificate(ca).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('hex')
}

function pem(folder: string, name: string): Promise<string> {
  return readFile(join(folder, `${name}.pem`), 'utf8')
}

async function issue(
  folder: string,
  name: string,
  issuer: string,
  extensions: readonly string[],
): Promise<void> {
  const rules = ['subjectKeyIdentifier=hash', ...extensions].join('\n')
  await writeFile(join(folder, `${name}.ext`), rules)
  const asked = ['-subj', `/CN=bench ${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`]
  openssl(folder, 'req', ...newKey, ...asked)
  const signer = ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`, '-CAcreateserial']
  const made = ['-days', '30', '-extfile', `${name}.ext`, '-out', `${name}.pem`]
  openssl(folder, 'x509', '-req', '-in', `${name}.csr`, ...signer, ...made)
}
