/**
 * The same certificates through other parsers: pkijs, @peculiar/x509 and Node's (OpenSSL) must see
 * what we see.
 */
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 wants it loaded before itself
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { X509Certificate as NodeCertificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificateList,
  createCertificateRequest,
  encodeCrlNumber,
  encodeName,
  parseCertificate,
  parseCertificateList,
  parseCertificateRequest,
} from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import {
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  X509Certificate,
  X509Crl,
} from '@peculiar/x509'
import { Certificate, CertificateRevocationList, CertificationRequest } from 'pkijs'
import {
  appendixC,
  limboCases,
  limboCertificates,
  needsOpenssl,
  opensslBytes,
  p256Signer,
  temporaryFolder,
} from './support.ts'

function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

/** The fields that every parser must agree about, as text. */
interface Seen {
  readonly serial: bigint
  readonly notBefore: number
  readonly notAfter: number
  readonly spki: string
  readonly extensions: readonly (readonly [string, boolean, string])[]
}

function ours(der: Uint8Array): Seen {
  const certificate = parseCertificate(der)
  return {
    serial: BigInt(`0x${hex(certificate.serial)}`),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    spki: hex(certificate.spki.der),
    extensions: certificate.extensions.all.map(({ oid, critical, value }) => [
      oid,
      critical,
      hex(value),
    ]),
  }
}

function pkijs(der: Uint8Array): Seen {
  const certificate = Certificate.fromBER(plain(der))
  return {
    serial: BigInt(`0x${hex(new Uint8Array(certificate.serialNumber.valueBlock.valueHexView))}`),
    notBefore: certificate.notBefore.value.getTime(),
    notAfter: certificate.notAfter.value.getTime(),
    spki: hex(new Uint8Array(certificate.subjectPublicKeyInfo.toSchema().toBER())),
    extensions: (certificate.extensions ?? []).map(({ extnID, critical, extnValue }) => [
      extnID,
      critical,
      hex(new Uint8Array(extnValue.valueBlock.valueHexView)),
    ]),
  }
}

function peculiar(der: Uint8Array): Seen {
  const certificate = new X509Certificate(plain(der))
  return {
    serial: BigInt(`0x${certificate.serialNumber}`),
    notBefore: certificate.notBefore.getTime(),
    notAfter: certificate.notAfter.getTime(),
    spki: hex(new Uint8Array(certificate.publicKey.rawData)),
    extensions: Array.from(certificate.extensions, ({ type, critical, value }) => [
      type,
      critical,
      hex(new Uint8Array(value)),
    ]),
  }
}

/** The certificates of Appendix C and of limbo that we read, each once. */
function readable(): readonly Uint8Array[] {
  const found = new Map<string, Uint8Array>()
  const all = [
    ...appendixC()
      .filter(({ id }) => id !== 'C.4')
      .map(({ der }) => der),
    ...limboCases().flatMap(limboCertificates),
  ]
  for (const der of all) {
    try {
      found.set(hex(parseCertificate(der).signature), der)
    } catch (error) {
      assert.ok(error instanceof PeerError)
    }
  }
  return [...found.values()]
}

test('pkijs sees the same certificates', () => {
  const certificates = readable()
  assert.ok(certificates.length > 300)
  for (const der of certificates) assert.deepEqual(ours(der), pkijs(der))
})

test('@peculiar/x509 sees the same certificates', () => {
  // Its extension classes take time to make: every fifth certificate.
  for (const der of readable().filter((_, index) => index % 5 === 0))
    assert.deepEqual(ours(der), peculiar(der))
})

test('OpenSSL inside Node sees the same keys and dates', () => {
  for (const der of readable()) {
    const node = new NodeCertificate(der)
    const { serial, notBefore, notAfter, spki } = ours(der)
    assert.equal(BigInt(`0x${node.serialNumber}`), serial)
    assert.equal(node.validFromDate.getTime(), notBefore)
    assert.equal(node.validToDate.getTime(), notAfter)
    const { algorithm } = parseCertificate(der).spki
    // Keys of unknown algorithms may be unknown to OpenSSL as well, or come out re-encoded.
    if (algorithm !== undefined)
      assert.equal(node.publicKey.export({ type: 'spki', format: 'der' }).toString('hex'), spki)
  }
})

const profiles = {
  ca: 'basicConstraints=critical,CA:TRUE,pathlen:3\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nnameConstraints=critical,permitted;DNS:example.com,excluded;IP:192.0.2.0/255.255.255.0,excluded;email:.example.com\npolicyConstraints=requireExplicitPolicy:1,inhibitPolicyMapping:0\ninhibitAnyPolicy=2\ncertificatePolicies=1.2.3.4,2.5.29.32.0\n',
  leaf: 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyAgreement,decipherOnly\nextendedKeyUsage=serverAuth,clientAuth,1.2.3.4\nsubjectAltName=DNS:a.example.com,DNS:*.b.example,IP:2001:db8::1,URI:urn:a:b,email:x@y.example,RID:1.2.3,dirName:d\nauthorityInfoAccess=OCSP;URI:http://o.example,caIssuers;URI:http://c.example\ncrlDistributionPoints=URI:http://l.example/a.crl\nissuerAltName=URI:http://i.example\n',
}

test('certificates that OpenSSL makes are read field by field', needsOpenssl(), () => {
  const folder = temporaryFolder()
  for (const [profile, extensions] of Object.entries(profiles)) {
    const config = `${folder}/${profile}.cnf`
    writeFileSync(
      config,
      `[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=e\n[dn]\nC=DE\nO=Größe & Co\nserialNumber=7\n[d]\nCN=dir\n[e]\n${extensions}`,
    )
    for (const key of [
      ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
      ['ed25519'],
      ['rsa:1024', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'],
    ]) {
      const der = opensslBytes([
        'req',
        '-x509',
        '-utf8',
        '-days',
        '20000',
        '-config',
        config,
        '-newkey',
        ...key,
        '-nodes',
        '-keyout',
        `${folder}/k`,
        '-outform',
        'DER',
      ])
      assert.deepEqual(ours(der), pkijs(der))
      const { extensions: parsed, notAfter } = parseCertificate(der)
      assert.ok(notAfter > Date.parse('2050-01-01T00:00:00Z'))
      if (profile === 'ca') {
        assert.deepEqual(parsed.basicConstraints, { ca: true, pathLen: 3 })
        assert.deepEqual(parsed.policyConstraints, {
          requireExplicitPolicy: 1,
          inhibitPolicyMapping: 0,
        })
        assert.equal(parsed.inhibitAnyPolicy, 2)
        assert.deepEqual(parsed.policies, ['1.2.3.4', '2.5.29.32.0'])
        assert.deepEqual(
          parsed.nameConstraints?.excluded.map(({ base }) => base.kind),
          ['ip', 'email'],
        )
      } else {
        assert.deepEqual(parsed.basicConstraints, { ca: false, pathLen: undefined })
        assert.deepEqual(
          [...(parsed.keyUsage ?? [])],
          ['digitalSignature', 'keyAgreement', 'decipherOnly'],
        )
        assert.deepEqual(
          parsed.subjectAltName?.map(({ kind }) => kind),
          ['dns', 'dns', 'ip', 'uri', 'email', 'registeredId', 'directory'],
        )
        assert.deepEqual(parsed.crlDistributionPoints?.[0]?.fullName, [
          { kind: 'uri', value: 'http://l.example/a.crl' },
        ])
      }
    }
  }
})

test('the other parsers read our requests and lists', async () => {
  const signer = p256Signer()
  const subject = [{ type: attributeOid.commonName, value: 'x' }]
  const request = await createCertificateRequest({
    subject,
    altNames: [{ kind: 'dns', value: 'a.example' }],
    signer,
  })
  assert.equal(await new Pkcs10CertificateRequest(plain(request)).verify(), true)
  assert.equal(await CertificationRequest.fromBER(plain(request)).verify(), true)
  assert.equal(hex(parseCertificateRequest(request).spki.der), hex(signer.spki))

  const entries = [
    { serial: Uint8Array.of(1, 2), revokedAt: Date.parse('2026-01-01T00:00:00Z'), reason: 4 },
  ]
  const list = await createCertificateList(
    {
      issuer: encodeName(subject),
      thisUpdate: 0,
      nextUpdate: 1000,
      entries,
      extensions: [encodeCrlNumber(9)],
    },
    signer,
  )
  const theirs = CertificateRevocationList.fromBER(plain(list))
  assert.equal(
    theirs.revokedCertificates?.[0]?.revocationDate.value.getTime(),
    entries[0]?.revokedAt,
  )
  assert.equal(new X509Crl(plain(list)).entries[0]?.serialNumber, '0102')
  assert.equal(parseCertificateList(list).findRevoked(Uint8Array.of(1, 2))?.reason, 'superseded')
})

test('a request of @peculiar/x509 is in the DER that we ask for', async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const extensions = [new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true)]
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=x',
    keys,
    signingAlgorithm: algorithm,
    extensions,
  })
  const { requested } = parseCertificateRequest(new Uint8Array(request.rawData))
  assert.deepEqual([...(requested.keyUsage ?? [])], ['digitalSignature'])
})
