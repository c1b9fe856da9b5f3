/** Chains that OpenSSL made: every algorithm that we verify, and the ones below the floor. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { parsePemOne } from '@countersign/core/codec'
import { type Certificate, parseCertificate, purposes } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import { needsOpenssl, openssl, temporaryFolder } from '../x509/support.ts'
import { opensslAccepts, verdict } from './world.ts'

const { skip } = needsOpenssl()
const folder = temporaryFolder()
const at = Date.now() + 60_000
const file = (name: string): string => join(folder, name)

before(() => {
  writeFileSync(
    file('ca.cnf'),
    `[req]
distinguished_name = dn
prompt = no
[dn]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`,
  )
})

interface Making {
  /** Options of `openssl genpkey`. */
  readonly caKey: readonly string[]
  readonly leafKey?: readonly string[]
  /** Options of signing, for both certificates. */
  readonly sign?: readonly string[]
  readonly leafExtensions?: readonly string[]
}

const ec = (curve: string, ...more: readonly string[]): readonly string[] =>
  ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`].concat(more)
const rsa = (bits: number): readonly string[] => [
  '-algorithm',
  'RSA',
  '-pkeyopt',
  `rsa_keygen_bits:${bits}`,
]
const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest']

const keys = new Map<string, string>()

/** One key for each kind: RSA keys are slow to make. */
function keyFile(options: readonly string[]): string {
  const kind = options.join(' ')
  const known = keys.get(kind) ?? file(`key${keys.size}.pem`)
  if (!keys.has(kind)) openssl(['genpkey', ...options, '-out', known])
  keys.set(kind, known)
  return known
}

/** A root and a leaf by the command line of OpenSSL. */
function make(making: Making): { readonly anchor: Certificate; readonly leaf: Certificate } {
  const { caKey, leafKey = ec('P-256'), sign = ['-sha256'] } = making
  const caKeyFile = keyFile(caKey)
  const leafKeyFile = keyFile(leafKey)
  const request = ['req', '-new', '-config', file('ca.cnf')]
  openssl([
    ...request,
    '-x509',
    '-key',
    caKeyFile,
    '-subj',
    '/CN=Foreign CA',
    '-extensions',
    'ca',
    '-days',
    '30',
    ...sign,
    '-out',
    file('ca.pem'),
  ])
  openssl([...request, '-key', leafKeyFile, '-subj', '/CN=foreign', '-out', file('leaf.csr')])
  const extensions = making.leafExtensions ?? ['-extfile', file('ca.cnf'), '-extensions', 'leaf']
  openssl([
    'x509',
    '-req',
    '-in',
    file('leaf.csr'),
    '-CA',
    file('ca.pem'),
    '-CAkey',
    caKeyFile,
    '-CAcreateserial',
    '-days',
    '30',
    ...sign,
    ...extensions,
    '-out',
    file('leaf.pem'),
  ])
  return { anchor: read('ca.pem'), leaf: read('leaf.pem') }
}

function read(name: string): Certificate {
  return parseCertificate(parsePemOne(readFileSync(file(name), 'utf8'), 'CERTIFICATE'))
}

function judged({ anchor, leaf }: ReturnType<typeof make>): string {
  const chain = {
    leaf,
    anchors: [anchor],
    at,
    extKeyUsage: { oid: purposes.clientAuth, explicit: true },
  }
  const said = verdict(chain)
  if (said === 'ok') assert.ok(opensslAccepts(folder, chain))
  return said
}

const good: readonly (readonly [string, Making])[] = [
  ['ECDSA P-256 with SHA-256', { caKey: ec('P-256') }],
  ['ECDSA P-256 with SHA-512', { caKey: ec('P-256'), sign: ['-sha512'] }],
  ['ECDSA P-384 with SHA-384', { caKey: ec('P-384'), leafKey: ec('P-384'), sign: ['-sha384'] }],
  ['ECDSA P-521 with SHA-512', { caKey: ec('P-521'), leafKey: ec('P-521'), sign: ['-sha512'] }],
  ['Ed25519', { caKey: ['-algorithm', 'ED25519'], leafKey: ['-algorithm', 'ED25519'], sign: [] }],
  ['RSA 2048 with PKCS#1 and SHA-256', { caKey: rsa(2048), leafKey: rsa(2048) }],
  ['RSA 2048 with PSS and SHA-256', { caKey: rsa(2048), sign: ['-sha256', ...pss] }],
  ['RSA 2048 with PSS and SHA-512', { caKey: rsa(2048), sign: ['-sha512', ...pss] }],
]

for (const [name, making] of good) {
  test(`a chain of ${name} is accepted`, { skip }, () => {
    assert.equal(judged(make(making)), 'ok')
  })
}

const bad: readonly (readonly [string, Making, RegExp])[] = [
  [
    'ECDSA with SHA-1',
    { caKey: ec('P-256'), sign: ['-sha1'] },
    /^ERR_CHAIN_ALGORITHM link 0 .*: signatureAlgorithm$/,
  ],
  [
    'RSA with SHA-1',
    { caKey: rsa(2048), sign: ['-sha1'] },
    /^ERR_CHAIN_ALGORITHM link 0 .*: signatureAlgorithm$/,
  ],
  [
    'RSA with MD5',
    { caKey: rsa(2048), sign: ['-md5'] },
    /^ERR_CHAIN_ALGORITHM link 0 .*: signatureAlgorithm$/,
  ],
  [
    'RSA with SHA-224',
    { caKey: rsa(2048), sign: ['-sha224'] },
    /^ERR_CHAIN_ALGORITHM link 0 .*: signatureAlgorithm$/,
  ],
  [
    'PSS over SHA-1',
    { caKey: rsa(2048), sign: ['-sha1', ...pss] },
    /^ERR_CHAIN_ALGORITHM link 0 .*: signatureAlgorithm$/,
  ],
  [
    'an RSA CA of 1024 bits',
    { caKey: rsa(1024) },
    /^ERR_CHAIN_ALGORITHM link 1 .*: subjectPublicKeyInfo$/,
  ],
  [
    'an RSA leaf of 1024 bits',
    { caKey: ec('P-256'), leafKey: rsa(1024) },
    /^ERR_CHAIN_ALGORITHM link 0 .*: subjectPublicKeyInfo$/,
  ],
  [
    'a CA on P-224',
    { caKey: ec('P-224') },
    /^ERR_CHAIN_ALGORITHM link 1 .*: subjectPublicKeyInfo$/,
  ],
  [
    'a leaf on secp256k1',
    { caKey: ec('P-256'), leafKey: ec('secp256k1') },
    /^ERR_CHAIN_ALGORITHM link 0 .*: subjectPublicKeyInfo$/,
  ],
  [
    'a curve given by its parameters',
    { caKey: ec('P-256', '-pkeyopt', 'ec_param_enc:explicit') },
    /^ERR_CHAIN_ALGORITHM link 1 .*: subjectPublicKeyInfo$/,
  ],
  [
    'a leaf of version 1',
    { caKey: ec('P-256'), leafExtensions: [] },
    /^ERR_CERT_MALFORMED link 0 .*: version$/,
  ],
]

for (const [name, making, expected] of bad) {
  test(`a chain with ${name} is refused`, { skip }, () => {
    let said: string
    try {
      said = judged(make(making))
    } catch (error) {
      // Refused before the judge sees it is refused as well, but must be meant.
      assert.ok(error instanceof PeerError, String(error))
      said = `${error.code} ${error.where}`
    }
    assert.match(said, expected)
  })
}
