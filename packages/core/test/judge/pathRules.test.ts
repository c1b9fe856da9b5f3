/**
 * RFC 5280 §6.1 rule by rule: one wrong thing in a chain that is otherwise right, the code and the
 * place that the judge names, and what `openssl verify -x509_strict` says to the same chain. Where
 * we are stricter than OpenSSL 3.0, the reason stands beside it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { der } from '@countersign/core/codec'
import {
  encodeExtension,
  encodeNameConstraints,
  type GeneralName,
  type KeyUsageBit,
  purposes,
} from '@countersign/core/credential'
import { needsOpenssl, temporaryFolder } from '../x509/support.ts'
import {
  type Chain,
  day,
  type Entity,
  newSigner,
  now,
  opensslAccepts,
  root,
  type Shape,
  verdict,
} from './world.ts'

interface Rule {
  readonly says: string
  readonly root?: Shape
  readonly ca?: Shape
  readonly leaf?: Shape
  readonly ask?: Partial<Chain>
  readonly verdict: string
  /** Why OpenSSL accepts what we refuse. */
  readonly openssl?: string
}

const dns = (value: string): GeneralName => ({ kind: 'dns', value })
const server = { extKeyUsage: { oid: purposes.serverAuth, explicit: false } }
const client = { extKeyUsage: { oid: purposes.clientAuth, explicit: false } }
const signing: readonly KeyUsageBit[] = ['digitalSignature']
const unknownOid = '2.25.4711'
const nothing = der.sequence()

const rules: readonly Rule[] = [
  { says: 'a sound chain is accepted', verdict: 'ok' },
  {
    says: 'a sound chain is accepted for a server name',
    leaf: { altNames: [dns('pump.example.com')] },
    ask: { ...server, name: { kind: 'DNS', value: 'pump.example.com' } },
    verdict: 'ok',
  },
  {
    says: 'an expired leaf is refused',
    leaf: { notAfter: now - day },
    verdict: 'ERR_CERT_EXPIRED link 0 (CN=leaf): validity.notAfter',
  },
  {
    says: 'a leaf of the future is refused',
    leaf: { notBefore: now + day },
    verdict: 'ERR_CERT_NOT_YET_VALID link 0 (CN=leaf): validity.notBefore',
  },
  {
    says: 'an expired intermediate is refused',
    ca: { notAfter: now - day },
    verdict: 'ERR_CHAIN_EXPIRED link 1 (CN=Test CA): validity.notAfter',
  },
  {
    says: 'an expired anchor is refused',
    root: { notAfter: now - day },
    verdict: 'ERR_CHAIN_EXPIRED link 2 (CN=Test Root): validity.notAfter',
  },
  {
    says: 'a leaf acting as a CA is refused',
    ca: { ca: false, keyUsage: signing },
    verdict: 'ERR_CHAIN_NOT_A_CA link 1 (CN=Test CA): basicConstraints',
  },
  {
    says: 'a CA without keyCertSign is refused',
    ca: { keyUsage: ['cRLSign'] },
    verdict: 'ERR_CHAIN_KEY_USAGE link 1 (CN=Test CA): keyUsage',
  },
  {
    says: 'a CA whose basicConstraints is not critical is refused',
    ca: {
      without: ['basicConstraints'],
      extra: [encodeExtension('2.5.29.19', false, der.sequence(der.boolean(true)))],
    },
    verdict: 'ERR_CERT_MALFORMED link 1 (CN=Test CA): basicConstraints',
  },
  {
    says: 'a CA below a path length of zero is refused',
    root: { pathLen: 0 },
    verdict: 'ERR_CHAIN_PATH_LENGTH link 1 (CN=Test CA): basicConstraints.pathLenConstraint',
  },
  {
    says: 'a leaf with keyCertSign is refused',
    leaf: { keyUsage: ['digitalSignature', 'keyCertSign'] },
    verdict: 'ERR_CERT_MALFORMED link 0 (CN=leaf): keyUsage',
  },
  {
    says: 'a leaf with a path length is refused',
    leaf: {
      extra: [encodeExtension('2.5.29.19', true, der.sequence(der.integer(0)))],
    },
    verdict: 'ERR_CERT_MALFORMED link 0 (CN=leaf): basicConstraints',
  },
  {
    says: 'an unknown critical extension of the leaf is refused',
    leaf: { extra: [encodeExtension(unknownOid, true, nothing)] },
    verdict: `ERR_CHAIN_CRITICAL_EXTENSION link 0 (CN=leaf): extension ${unknownOid}`,
  },
  {
    says: 'an unknown critical extension of a CA is refused',
    ca: { extra: [encodeExtension(unknownOid, true, nothing)] },
    verdict: `ERR_CHAIN_CRITICAL_EXTENSION link 1 (CN=Test CA): extension ${unknownOid}`,
  },
  {
    says: 'an unknown extension that is not critical is let pass',
    leaf: { extra: [encodeExtension(unknownOid, false, nothing)] },
    verdict: 'ok',
  },
  {
    says: 'a leaf without authorityKeyIdentifier is refused',
    leaf: { without: ['aki'] },
    verdict: 'ERR_CERT_MALFORMED link 0 (CN=leaf): authorityKeyIdentifier',
  },
  {
    says: 'a CA without subjectKeyIdentifier is refused',
    ca: { without: ['ski'] },
    verdict: 'ERR_CERT_MALFORMED link 1 (CN=Test CA): subjectKeyIdentifier',
  },
  {
    says: 'a leaf with neither subject nor subjectAltName is refused',
    leaf: { without: ['name'] },
    verdict: 'ERR_CERT_MALFORMED link 0 ((empty name)): subjectAltName',
  },
  {
    says: 'a serial number of zero is refused',
    leaf: { serial: Uint8Array.of(0) },
    verdict: 'ERR_CERT_MALFORMED link 0 (CN=leaf): serialNumber',
    openssl: 'OpenSSL 3.0 does not look at serial numbers',
  },
  {
    says: 'a serial number of 21 octets is refused',
    leaf: { serial: new Uint8Array(21).fill(1) },
    verdict: 'ERR_CERT_MALFORMED link 0 (CN=leaf): serialNumber',
    openssl: 'OpenSSL 3.0 does not look at serial numbers',
  },
  {
    says: 'a server certificate is no client certificate',
    leaf: { extKeyUsage: [purposes.serverAuth] },
    ask: client,
    verdict: 'ERR_CHAIN_PURPOSE link 0 (CN=leaf): extKeyUsage',
  },
  {
    says: 'a leaf without purposes is for any',
    leaf: { extKeyUsage: [] },
    ask: client,
    verdict: 'ok',
  },
  {
    says: 'a leaf without purposes is refused where one must be explicit',
    leaf: { extKeyUsage: [] },
    ask: { extKeyUsage: { oid: purposes.operator, explicit: true } },
    verdict: 'ERR_CHAIN_PURPOSE link 0 (CN=leaf): extKeyUsage',
    openssl: 'OpenSSL knows no purpose of this product',
  },
  {
    says: 'anyExtendedKeyUsage of a leaf is no purpose',
    leaf: { extKeyUsage: ['2.5.29.37.0'] },
    ask: client,
    verdict: 'ERR_CHAIN_PURPOSE link 0 (CN=leaf): extKeyUsage',
  },
  {
    says: 'a CA for servers certifies no clients',
    ca: { extKeyUsage: [purposes.serverAuth] },
    ask: client,
    verdict: 'ERR_CHAIN_PURPOSE link 1 (CN=Test CA): extKeyUsage',
  },
  {
    says: 'a CA for any purpose certifies clients',
    ca: { extKeyUsage: ['2.5.29.37.0'] },
    ask: client,
    verdict: 'ok',
    openssl: 'refused: OpenSSL 3.0 wants the purpose itself in a CA',
  },
  {
    says: 'a name outside the permitted ones is refused',
    ca: { permitted: [dns('example.com')] },
    leaf: { altNames: [dns('example.net')] },
    verdict: 'ERR_CHAIN_NAME_CONSTRAINTS link 0 (CN=leaf): nameConstraints of a CA above',
  },
  {
    says: 'a name below a permitted one is accepted',
    ca: { permitted: [dns('example.com')] },
    leaf: { altNames: [dns('a.b.example.com')] },
    verdict: 'ok',
  },
  {
    says: 'an excluded name is refused, also when it is permitted',
    ca: { permitted: [dns('example.com')], excluded: [dns('b.example.com')] },
    leaf: { altNames: [dns('a.b.example.com')] },
    verdict: 'ERR_CHAIN_NAME_CONSTRAINTS link 0 (CN=leaf): nameConstraints of a CA above',
  },
  {
    says: 'constraints of a root bind through an intermediate that permits more',
    root: { permitted: [dns('example.com')] },
    ca: { permitted: [dns('example.net')] },
    leaf: { altNames: [dns('a.example.net')] },
    verdict: 'ERR_CHAIN_NAME_CONSTRAINTS link 0 (CN=leaf): nameConstraints of a CA above',
  },
  {
    says: 'name constraints of a leaf are refused',
    leaf: { extra: [encodeNameConstraints([dns('example.com')], [])] },
    verdict: 'ERR_CERT_MALFORMED link 0 (CN=leaf): nameConstraints',
    openssl: 'OpenSSL 3.0 lets a leaf carry name constraints',
  },
  {
    says: 'a name that the leaf does not carry is refused',
    leaf: { altNames: [dns('pump.example.com')] },
    ask: { name: { kind: 'DNS', value: 'valve.example.com' } },
    verdict: 'ERR_CHAIN_NAME link 0 (CN=leaf): subjectAltName',
  },
  {
    says: 'the common name is never a name',
    leaf: { name: 'pump.example.com' },
    ask: { name: { kind: 'DNS', value: 'pump.example.com' } },
    verdict: 'ERR_CHAIN_NAME link 0 (CN=pump.example.com): subjectAltName',
    openssl: 'OpenSSL falls back to the common name',
  },
  {
    says: 'a demanded policy that no certificate states is refused',
    ca: {
      extra: [
        encodeExtension(
          '2.5.29.36',
          true,
          der.sequence(der.implicitPrimitive(0, Uint8Array.of(0))),
        ),
      ],
    },
    verdict: 'ERR_CHAIN_POLICY link 0 (CN=leaf): certificatePolicies',
    openssl: 'OpenSSL checks policies only with -policy_check',
  },
  {
    says: 'Ed25519 all the way is accepted',
    root: { signer: newSigner('Ed25519') },
    ca: { signer: newSigner('Ed25519') },
    leaf: { signer: newSigner('Ed25519') },
    verdict: 'ok',
  },
  {
    says: 'P-384 above P-256 is accepted',
    root: { signer: newSigner('P-384') },
    ca: { signer: newSigner('P-384') },
    verdict: 'ok',
  },
  {
    says: 'a CA certificate is judged as a CA',
    leaf: { ca: true },
    ask: { asCa: true },
    verdict: 'ok',
  },
  {
    says: 'an end entity is no CA',
    ask: { asCa: true },
    verdict: 'ERR_CHAIN_NOT_A_CA link 0 (CN=leaf): basicConstraints',
    openssl: 'asked without a purpose, OpenSSL does not mind',
  },
]

const { skip } = needsOpenssl()
const folder = temporaryFolder()

for (const rule of rules) {
  test(rule.says, async () => {
    assert.equal(verdict(await chainOf(rule)), rule.verdict)
  })

  const differs = rule.openssl === undefined ? '' : `, which it is not for OpenSSL: ${rule.openssl}`
  test(`${rule.says}${differs || ', for OpenSSL as well'}`, { skip }, async () => {
    const chain = await chainOf(rule)
    const agrees = opensslAccepts(folder, chain) === (rule.verdict === 'ok')
    assert.equal(agrees, rule.openssl === undefined, `openssl ${agrees ? 'agrees' : 'differs'}`)
  })
}

async function chainOf(rule: Rule): Promise<Chain> {
  const anchor = await root(rule.root)
  const ca: Entity = await anchor.issue({ name: 'Test CA', ca: true, ...rule.ca })
  const leaf = await ca.issue({ name: 'leaf', ...rule.leaf })
  return {
    leaf: leaf.certificate,
    intermediates: [ca.certificate],
    anchors: [anchor.certificate],
    ...rule.ask,
  }
}
