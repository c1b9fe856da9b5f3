/**
 * Certificates and OCSP responses (RFC 6960) for servers and clients under test, all of them made
 * by OpenSSL's command line: one root, an issuing CA for servers and one for clients, their leaves,
 * and leaves with one thing wrong.
 */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openssl } from '../../../../../bench/pki.ts'

/** Paths of PEM files. */
export interface Credential {
  readonly leaf: string
  /** The leaf, then its issuing CA: what a server shows. */
  readonly chain: string
  /** PKCS #8. */
  readonly key: string
}

export type ServerKey = 'p256' | 'p384' | 'ed25519' | 'rsa2048'
export type ClientKey = 'p256' | 'ed25519'
export type ServerFault =
  | 'expired'
  | 'otherName'
  | 'noPurpose'
  | 'clientPurpose'
  | 'unknownCa'
  | 'selfSigned'
  | 'leafAsCa'
export type ClientFault = 'expired' | 'serverPurpose' | 'unknownCa'

/** Paths of files in one folder. */
export interface Pki {
  readonly folder: string
  readonly root: string
  /** The anchor of our own judge: the issuing CA of the servers. */
  readonly serverCa: string
  readonly clientCa: string
  /** Issuing CA of the clients and root: what a foreign server is told to trust. */
  readonly clientAnchors: string
  readonly server: Readonly<Record<ServerKey, Credential>>
  readonly client: Readonly<Record<ClientKey, Credential>>
  readonly wrongServer: Readonly<Record<ServerFault, Credential>>
  readonly wrongClient: Readonly<Record<ClientFault, Credential>>
  /** A client's leaf for a key that made this request (PKCS #10, DER) itself. DER. */
  certify(name: string, request: Uint8Array): Uint8Array
  /** DER of an OCSPResponse for the server's P-256 leaf. */
  staple(status: StapleStatus, signer: StapleSigner): string
  remove(): void
}

export type StapleStatus = 'good' | 'revoked'
/** RFC 6960 §2.2: the issuing CA itself, or whom it gave id-kp-OCSPSigning. */
export type StapleSigner = 'issuer' | 'delegate'

const dayMs = 86_400_000

export function makePki(): Pki {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-peers-'))
  const root = selfSigned(folder, 'root', 'Peers Root', isCa)
  const serverCa = root.authority('server-ca', 'Peers Server CA')
  const clientCa = root.authority('client-ca', 'Peers Client CA')
  const stranger = selfSigned(folder, 'stranger', 'Stranger Root', isCa)
  const strangerCa = stranger.authority('stranger-ca', 'Stranger CA')
  const clientAnchors = join(folder, 'client-anchors.pem')
  writeFileSync(clientAnchors, clientCa.pem() + root.pem())

  const server = makeServers(serverCa)
  const client = {
    p256: clientCa.leaf('client-p256', { cn: 'device-p256', rules: clientRules }),
    ed25519: clientCa.leaf(
      'client-ed25519',
      { cn: 'device-ed25519', rules: clientRules },
      newKey('ed25519'),
    ),
  }
  const staples = makeStapler(serverCa, server.p256)
  return {
    folder,
    root: root.file('pem'),
    serverCa: serverCa.file('pem'),
    clientCa: clientCa.file('pem'),
    clientAnchors,
    server,
    client,
    wrongServer: makeWrongServers(serverCa, strangerCa, server.p256),
    wrongClient: {
      expired: clientCa.leaf('client-expired', { cn: 'device', rules: clientRules, days: past }),
      serverPurpose: clientCa.leaf('client-purpose', { cn: 'device', rules: serverRules }),
      unknownCa: strangerCa.leaf('client-stranger', { cn: 'device', rules: clientRules }),
    },
    certify: (name, request) => clientCa.certify(name, request, clientRules),
    staple: staples,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const isCa = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
const isLeaf = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature']
const localhost = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
const serverRules = [...isLeaf, 'extendedKeyUsage=serverAuth', localhost]
const clientRules = [...isLeaf, 'extendedKeyUsage=clientAuth']
/** From and to, in days from now. */
const present: Days = [-1, 30]
const past: Days = [-60, -30]

type Days = readonly [number, number]

interface Shape {
  readonly cn: string
  /** Lines of OpenSSL's x509v3_config(5). */
  readonly rules: readonly string[]
  readonly days?: Days
}

function makeServers(ca: Authority): Record<ServerKey, Credential> {
  const leaf = (key: ServerKey): Credential =>
    ca.leaf(`server-${key}`, { cn: 'localhost', rules: serverRules }, newKey(key))
  return {
    p256: leaf('p256'),
    p384: leaf('p384'),
    ed25519: leaf('ed25519'),
    rsa2048: leaf('rsa2048'),
  }
}

function makeWrongServers(
  ca: Authority,
  strangerCa: Authority,
  server: Credential,
): Record<ServerFault, Credential> {
  const cn = 'localhost'
  const wrong = (name: string, ...rules: readonly string[]): Credential =>
    ca.leaf(`server-${name}`, { cn, rules: [...isLeaf, ...rules] })
  const otherName = 'subjectAltName=DNS:other.example,IP:127.0.0.2'
  const self = selfSigned(ca.folder, 'server-self', cn, serverRules)
  const leafAsCa = new Authority(ca.folder, 'server-p256', readFileSync(server.chain, 'utf8'))
  return {
    expired: ca.leaf('server-expired', { cn, rules: serverRules, days: past }),
    otherName: wrong('other', 'extendedKeyUsage=serverAuth', otherName),
    noPurpose: wrong('no-purpose', localhost),
    clientPurpose: wrong('client-purpose', 'extendedKeyUsage=clientAuth', localhost),
    unknownCa: strangerCa.leaf('server-stranger', { cn, rules: serverRules }),
    selfSigned: { leaf: self.file('pem'), chain: self.file('pem'), key: self.file('key') },
    leafAsCa: leafAsCa.leaf('server-below-leaf', { cn, rules: serverRules }),
  }
}

function makeStapler(ca: Authority, server: Credential): Pki['staple'] {
  const delegate = ca.leaf('responder', {
    cn: 'Peers OCSP responder',
    rules: [...isLeaf, 'extendedKeyUsage=OCSPSigning', 'noCheck=ignored'],
  })
  const signers = {
    issuer: { leaf: ca.file('pem'), key: ca.file('key') },
    delegate,
  }
  return (status, signer) => {
    const { leaf, key } = signers[signer]
    const index = status === 'good' ? ca.file('index') : ca.indexWithout(server)
    const response = join(ca.folder, `ocsp-${status}-${signer}.der`)
    const about = ['-issuer', ca.file('pem'), '-cert', server.leaf, '-no_nonce']
    const by = ['-CA', ca.file('pem'), '-rsigner', leaf, '-rkey', key, '-rmd', 'sha256']
    openssl(
      ca.folder,
      'ocsp',
      '-index',
      index,
      ...about,
      ...by,
      '-ndays',
      '7',
      '-respout',
      response,
    )
    return response
  }
}

/** Who signs others: `<name>.pem`, `<name>.key` and its list of what it issued, `<name>.index`. */
class Authority {
  readonly folder: string
  readonly name: string
  /** What stands behind its leaves in their chains, PEM. */
  readonly shown: string

  constructor(folder: string, name: string, shown?: string) {
    this.folder = folder
    this.name = name
    this.shown = shown ?? this.pem()
    writeFileSync(this.file('index'), '')
    writeFileSync(this.file('cnf'), configuration(name))
  }

  file(end: 'pem' | 'key' | 'index' | 'cnf'): string {
    return join(this.folder, `${this.name}.${end}`)
  }

  pem(): string {
    return readFileSync(this.file('pem'), 'utf8')
  }

  authority(name: string, cn: string): Authority {
    this.#issue(name, { cn, rules: [...isCa, 'subjectKeyIdentifier=hash'] }, newKey('p256'))
    return new Authority(this.folder, name)
  }

  leaf(name: string, shape: Shape, key: KeyObject = newKey('p256')): Credential {
    this.#issue(name, shape, key)
    const [leaf, chain] = [join(this.folder, `${name}.pem`), join(this.folder, `${name}-chain.pem`)]
    writeFileSync(chain, readFileSync(leaf, 'utf8') + this.shown)
    return { leaf, chain, key: join(this.folder, `${name}.key`) }
  }

  /** For a request of a key that is elsewhere. DER. */
  certify(name: string, request: Uint8Array, rules: readonly string[]): Uint8Array {
    const csr = Buffer.from(request).toString('base64')
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${csr.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE REQUEST-----\n`
    writeFileSync(join(this.folder, `${name}.csr`), pem)
    this.#sign(name, rules, present)
    return new Uint8Array(new X509Certificate(readFileSync(join(this.folder, `${name}.pem`))).raw)
  }

  /** A copy of its list in which this one is revoked. */
  indexWithout(credential: Credential): string {
    const name = `${this.name}-revoking`
    copyFileSync(this.file('index'), join(this.folder, `${name}.index`))
    copyFileSync(`${this.file('index')}.attr`, join(this.folder, `${name}.index.attr`))
    writeFileSync(join(this.folder, `${name}.cnf`), configuration(this.name, name))
    const revoke = ['-revoke', credential.leaf, '-crl_reason', 'keyCompromise']
    openssl(this.folder, 'ca', '-config', `${name}.cnf`, ...revoke)
    return join(this.folder, `${name}.index`)
  }

  #issue(name: string, { cn, rules, days = present }: Shape, key: KeyObject): void {
    writeKey(this.folder, name, key)
    const request = ['-config', this.file('cnf'), '-subj', `/CN=${cn}`]
    openssl(this.folder, 'req', '-new', ...request, '-key', `${name}.key`, '-out', `${name}.csr`)
    this.#sign(name, rules, days)
  }

  #sign(name: string, rules: readonly string[], days: Days): void {
    const extensions = [...rules, 'authorityKeyIdentifier=keyid'].join('\n')
    writeFileSync(join(this.folder, `${name}.ext`), `${extensions}\n`)
    const [from, to] = days
    const dates = ['-startdate', opensslTime(from), '-enddate', opensslTime(to)]
    const files = ['-in', `${name}.csr`, '-extfile', `${name}.ext`, '-out', `${name}.pem`]
    openssl(this.folder, 'ca', '-batch', '-notext', '-config', this.file('cnf'), ...dates, ...files)
  }
}

function selfSigned(folder: string, name: string, cn: string, rules: readonly string[]): Authority {
  writeKey(folder, name, newKey('p256'))
  const extensions = [...rules, 'subjectKeyIdentifier=hash'].join('\n')
  const config = `[req]\ndistinguished_name=name\nx509_extensions=rules\n[name]\n[rules]\n${extensions}\n`
  writeFileSync(join(folder, `${name}-self.cnf`), config)
  const making = ['-config', `${name}-self.cnf`, '-subj', `/CN=${cn}`, '-days', '30']
  openssl(folder, 'req', '-x509', ...making, '-key', `${name}.key`, '-out', `${name}.pem`)
  return new Authority(folder, name)
}

/** `index` is the name of the list; of the authority if none is given. */
function configuration(name: string, index: string = name): string {
  return `[ca]
default_ca=authority
[authority]
database=${index}.index
certificate=${name}.pem
private_key=${name}.key
new_certs_dir=.
rand_serial=yes
unique_subject=no
default_md=sha256
policy=any
[any]
commonName=supplied
[req]
distinguished_name=name
[name]
`
}

function newKey(kind: ServerKey): KeyObject {
  switch (kind) {
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey
    case 'rsa2048':
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  }
}

function writeKey(folder: string, name: string, key: KeyObject): void {
  const pem = key.export({ format: 'pem', type: 'pkcs8' })
  writeFileSync(join(folder, `${name}.key`), pem, { mode: 0o600 })
}

/** YYYYMMDDHHMMSSZ of so many days from now. */
function opensslTime(days: number): string {
  const iso = new Date(Date.now() + days * dayMs).toISOString()
  return `${iso.slice(0, 19).replaceAll(/[-:T]/g, '')}Z`
}
