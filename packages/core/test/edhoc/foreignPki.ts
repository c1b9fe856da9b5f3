/**
 * Two houses of certificates that OpenSSL made and verifies: a root, an issuing CA for devices and
 * one for servers, leaves with keys of each kind. What a message names is looked up, judged, and
 * only then trusted, as an application does it.
 */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cbor, hex, parsePemOne } from '@countersign/core/codec'
import {
  type CredentialReference,
  hashAlgorithm,
  isThumbprintOf,
  thumbprint,
} from '@countersign/core/cose'
import { type Expectation, Judge, parseCertificate, purposes } from '@countersign/core/credential'
import {
  type Authentication,
  type OwnCredential,
  type Suite,
  type TrustedCredential,
  trustedCertificate,
} from '@countersign/core/edhoc'
import type { GroupName } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { ephemeralFrom } from '../../../element/src/nodeGroups.ts'
import { openssl, temporaryFolder } from '../x509/support.ts'

export type Naming = 'x5t' | 'x5chain' | 'x5chain with issuer' | 'kid'
export const namings: readonly Naming[] = ['x5t', 'x5chain', 'x5chain with issuer', 'kid']

export type Who = 'device' | 'server'

/** What each suite takes: `openssl genpkey -algorithm`. */
const keyKinds = {
  'P-256': ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  Ed25519: ['ED25519'],
  X25519: ['X25519'],
} as const

type KeyKind = keyof typeof keyKinds

/** What of a certificate is needed to name it; a name by kid or issuer needs those too. */
interface Nameable {
  readonly leaf: Uint8Array
  readonly issuer?: Uint8Array
  readonly kid?: Uint8Array
}

export interface Holder extends Required<Nameable> {
  readonly who: Who
  readonly spki: Uint8Array
}

/** One whose key is in this process. */
export interface SoftHolder extends Holder {
  readonly privateKey: KeyObject
}

export class ForeignPki {
  readonly #folder = temporaryFolder()
  readonly #holders: Holder[] = []
  readonly #soft = new Map<string, SoftHolder>()
  readonly #judge: Judge

  constructor() {
    writeFileSync(this.#file('ext.cnf'), extensions)
    this.#key('root', 'P-256')
    const root = [
      '-subj',
      '/CN=Foreign root',
      '-extensions',
      'root',
      '-key',
      this.#file('root.key'),
    ]
    const config = ['-config', this.#file('ext.cnf'), '-days', '3650']
    openssl(['req', '-new', '-x509', ...config, ...root, '-out', this.#file('root.pem')])
    const anchors = (['device', 'server'] as const).map((who) => {
      this.#key(who, 'P-256')
      const publicKey = String(createPublicKey(this.#read(`${who}.key`)).export(spkiPem))
      const made = this.#sign(who, publicKey, 'root', 'issuing')
      const certificate = parseCertificate(made)
      return { role: roleOf[who], certificate, origin: 'foreign', scope: {} } as const
    })
    const clock = { now: (): number => Date.now() }
    this.#judge = new Judge({ crypto: nodeCrypto, clock, anchors })
  }

  /** A certificate for a key that is wherever it is. OpenSSL itself verifies it. */
  certify(who: Who, by: Authentication, spki: Uint8Array): Holder {
    const count = this.#holders.length
    const pem = String(
      createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export(spkiPem),
    )
    const name = `${who}${count}`
    const leaf = this.#sign(name, pem, who, `${who} ${by}`.replaceAll(' ', '_'))
    const untrusted = ['-untrusted', this.#file(`${who}.pem`)]
    const trusted = ['verify', '-CAfile', this.#file('root.pem'), ...untrusted]
    assert.match(openssl([...trusted, this.#file(`${name}.pem`)]).toString(), /: OK/)
    const kid = Uint8Array.of(0xa0, count)
    const holder = { who, leaf, issuer: this.#der(who), kid, spki }
    this.#holders.push(holder)
    return holder
  }

  /** Made when it is first asked for. */
  soft(who: Who, by: Authentication, suite: Suite): SoftHolder {
    const kind = keyKindOf(by, suite)
    const name = `${who}-${by}-${kind}`.replaceAll(' ', '-')
    const known = this.#soft.get(name)
    if (known !== undefined) return known
    const privateKey = this.#key(name, kind)
    const spki = new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }))
    const holder = { ...this.certify(who, by, spki), privateKey }
    this.#soft.set(name, holder)
    return holder
  }

  /**
   * What a peer names, found among all that were certified or taken from the message, judged, and
   * trusted for this.
   */
  trusted(
    who: Who,
    suite: Suite,
    by: Authentication,
    { x5t, x5chain, kid }: CredentialReference,
  ): TrustedCredential {
    const [sent, ...above] = x5chain ?? []
    const found = this.#holders.find((one) =>
      x5t === undefined
        ? kid !== undefined && hex(one.kid) === hex(kid)
        : isThumbprintOf(nodeCrypto, x5t, one.leaf),
    )
    const leaf = sent ?? found?.leaf ?? assert.fail('nobody has this name')
    const peer = this.#judge.judge(leaf, above, expectationOf(who, by))
    return trustedCertificate(nodeCrypto, suite, by, peer)
  }

  #key(name: string, kind: KeyKind): KeyObject {
    openssl(['genpkey', '-algorithm', ...keyKinds[kind], '-out', this.#file(`${name}.key`)])
    return createPrivateKey(this.#read(`${name}.key`))
  }

  #sign(name: string, publicKey: string, ca: string, section: string): Uint8Array {
    writeFileSync(this.#file(`${name}.pub`), publicKey)
    const signer = ['-CA', this.#file(`${ca}.pem`), '-CAkey', this.#file(`${ca}.key`), '-sha256']
    const rules = ['-extfile', this.#file('ext.cnf'), '-extensions', section, '-days', '30']
    const subject = ['-subj', `/CN=Foreign ${name}`, '-force_pubkey', this.#file(`${name}.pub`)]
    openssl(['x509', '-new', ...subject, ...signer, ...rules, '-out', this.#file(`${name}.pem`)])
    return this.#der(name)
  }

  #der(name: string): Uint8Array {
    return parsePemOne(this.#read(`${name}.pem`), 'CERTIFICATE')
  }

  #read(name: string): string {
    return readFileSync(this.#file(name), 'utf8')
  }

  #file(name: string): string {
    return join(this.#folder, name)
  }
}

const spkiPem = { format: 'pem', type: 'spki' } as const

const roleOf = { device: 'maker', server: 'server' } as const

function expectationOf(who: Who, by: Authentication): Expectation {
  const keyUsage = by === 'signature' ? 'digitalSignature' : 'keyAgreement'
  if (who === 'device') return { role: 'maker', purpose: 'clientAuth', keyUsage }
  return { role: 'server', purpose: by === 'signature' ? 'serverEdhocSign' : 'serverEdhocDh' }
}

function keyKindOf(by: Authentication, { curve, signature }: Suite): KeyKind {
  if (by === 'static key') return curve.name === 'X25519' ? 'X25519' : 'P-256'
  return signature === 'EdDSA' ? 'Ed25519' : 'P-256'
}

/** ID_CRED_x of a holder. */
export function referenceTo({ leaf, issuer, kid }: Nameable, naming: Naming): CredentialReference {
  if (naming === 'kid') return { kid: kid ?? assert.fail('it has no kid') }
  if (naming === 'x5chain') return { x5chain: [leaf] }
  if (naming === 'x5chain with issuer') {
    return { x5chain: [leaf, issuer ?? assert.fail('nobody issued it')] }
  }
  // SHA-256/64 (RFC 9360 §2).
  return { x5t: thumbprint(nodeCrypto, hashAlgorithm(-15, 'test'), leaf) }
}

/** With the key in this process. */
export function softOwn(
  holder: Nameable & Pick<SoftHolder, 'privateKey'>,
  by: Authentication,
  naming: Naming,
  suite: Suite,
): OwnCredential {
  const { leaf, privateKey } = holder
  const named = { reference: referenceTo(holder, naming), credential: cbor.byteString(leaf) }
  if (by === 'static key') {
    const group = suite.curve.group as GroupName & ('x25519' | 'secp256r1')
    const pair = { privateKey, publicKey: createPublicKey(privateKey) }
    const agree = async (share: Uint8Array) => ephemeralFrom(group, pair, 1).agree(share)
    return { ...named, kind: by, key: { agree } }
  }
  const isEd25519 = suite.signature === 'EdDSA'
  const scheme = isEd25519
    ? ({ kind: 'ed25519' } as const)
    : ({ kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' } as const)
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  const signed = async (data: Uint8Array): Promise<Uint8Array> =>
    sign(isEd25519 ? null : 'sha256', data, isEd25519 ? privateKey : key)
  const { spki } = parseCertificate(leaf)
  return { ...named, kind: by, signer: { scheme, spki: spki.der, sign: signed } }
}

const extensions = `[req]
distinguished_name = dn
prompt = no
[dn]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[issuing]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[device_signature]
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
[device_static_key]
keyUsage = critical, keyAgreement
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
[server_signature]
keyUsage = critical, digitalSignature
extendedKeyUsage = ${purposes.serverEdhocSign}
authorityKeyIdentifier = keyid
[server_static_key]
keyUsage = critical, keyAgreement
extendedKeyUsage = ${purposes.serverEdhocDh}
authorityKeyIdentifier = keyid
`
