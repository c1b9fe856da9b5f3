/**
 * PKCS#10 requests (RFC 2986 §4, RFC 2985 §5.4): ours to OpenSSL, OpenSSL's to us, and what breaks
 * one.
 */
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { concat, der, fromHex, hex, pem } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificateRequest,
  encodeBasicConstraints,
  encodeExtension,
  formatName,
  hardwareModuleName,
  macAddressName,
  parseCertificateRequest,
  serialNumberOf,
} from '@countersign/core/credential'
import { attribute, extensionRequest, requestOf } from './shapes.ts'
import {
  needsOpenssl,
  openssl,
  opensslBytes,
  p256Signer,
  refuses,
  temporaryFolder,
} from './support.ts'

const subject = [
  { type: attributeOid.serialNumber, value: 'A-7' },
  { type: attributeOid.commonName, value: 'Pümpe' },
]
const altNames = [
  macAddressName(fromHex('0200000000000001')),
  hardwareModuleName({ type: '1.3.6.1.4.1.1', serial: fromHex('0102') }),
  { kind: 'uri', value: 'urn:dev:mac:0200000000000001' },
] as const

for (const encoding of ['der', 'p1363'] as const) {
  test(
    `OpenSSL verifies a request signed through a ${encoding} signer, and reads its names`,
    needsOpenssl(),
    async () => {
      const signer = p256Signer(encoding)
      const request = await createCertificateRequest({ subject, altNames, signer })
      const file = `${temporaryFolder()}/request.pem`
      writeFileSync(file, pem('CERTIFICATE REQUEST', request))
      const text = openssl([
        'req',
        '-in',
        file,
        '-verify',
        '-noout',
        '-text',
        '-nameopt',
        'utf8',
      ]).toString()
      assert.match(text, /serialNumber=A-7, CN=Pümpe/)
      assert.match(text, /URI:urn:dev:mac:0200000000000001/)
      assert.match(text, /othername: 1\.3\.6\.1\.5\.5\.7\.8\.12/)
    },
  )
}

test('a request of ours comes back as it was made, and its signature is over its signed part', async () => {
  const signer = p256Signer()
  const parsed = parseCertificateRequest(
    await createCertificateRequest({ subject, altNames, signer }),
  )
  assert.equal(serialNumberOf(parsed.subject), 'A-7')
  assert.equal(formatName(parsed.subject), 'serialNumber=A-7, CN=Pümpe')
  assert.deepEqual(parsed.spki.der, signer.spki)
  assert.deepEqual(parsed.requested.subjectAltName, altNames)
  const key = createPublicKey({ key: Buffer.from(parsed.spki.der), format: 'der', type: 'spki' })
  assert.ok(verify('sha256', parsed.tbs, key, parsed.signature))
})

test('a request without names has an empty set of attributes', async () => {
  const parsed = parseCertificateRequest(
    await createCertificateRequest({ subject, signer: p256Signer() }),
  )
  assert.deepEqual(parsed.requested.all, [])
  assert.equal(hex(parsed.tbs.subarray(-2)), 'a000')
})

test('requests of OpenSSL with every kind of key parse', needsOpenssl(), () => {
  const folder = temporaryFolder()
  const config = `${folder}/c.cnf`
  writeFileSync(
    config,
    `[req]
distinguished_name=dn
req_extensions=ext
prompt=no
attributes=att
[dn]
serialNumber=S1
O=Example
[att]
challengePassword=secret99
[ext]
basicConstraints=CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
subjectAltName=@alt
[alt]
DNS=a.example
IP=192.0.2.1
email=a@b.example
URI=urn:x:y
otherName=1.3.6.1.5.5.7.8.12;FORMAT:HEX,OCT:0200000000000001
`,
  )
  const keys: readonly (readonly [string, readonly string[]])[] = [
    ['ec', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['ec', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384']],
    ['ed25519', ['-newkey', 'ed25519']],
    ['rsa', ['-newkey', 'rsa:2048']],
    [
      'rsa',
      ['-newkey', 'rsa:1024', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'],
    ],
  ]
  for (const [kind, options] of keys) {
    const parsed = parseCertificateRequest(
      opensslBytes([
        'req',
        '-new',
        '-config',
        config,
        ...options,
        '-nodes',
        '-keyout',
        `${folder}/k`,
        '-outform',
        'DER',
      ]),
    )
    assert.equal(parsed.spki.algorithm?.kind, kind)
    assert.ok(parsed.scheme)
    assert.equal(serialNumberOf(parsed.subject), 'S1')
    assert.deepEqual(parsed.requested.extKeyUsage, ['1.3.6.1.5.5.7.3.2'])
    assert.deepEqual(
      parsed.requested.subjectAltName?.map(({ kind: name }) => name),
      ['dns', 'ip', 'email', 'uri', 'other'],
    )
  }
})

test('attributes: an empty field is there, sorted, with values, and extensionRequest once', () => {
  const extensions = der.sequence(encodeBasicConstraints(false))
  const other = attribute('1.2.840.113549.1.9.7', der.utf8String('x'))
  assert.equal(
    parseCertificateRequest(requestOf({ attributes: [extensionRequest(extensions)] })).requested
      .basicConstraints?.ca,
    false,
  )
  const cases: readonly (readonly [Parameters<typeof requestOf>[0], string])[] = [
    [{ version: der.integer(1) }, 'ERR_DER_VALUE'],
    [{ attributeField: [] }, 'ERR_DER_TRUNCATED'],
    [{ attributeField: [der.explicit(0), der.nullValue()] }, 'ERR_DER_TRAILING'],
    [{ attributes: [extensionRequest()] }, 'ERR_X509_SYNTAX'],
    [{ attributes: [extensionRequest(der.sequence())] }, 'ERR_X509_SYNTAX'],
    [
      { attributes: [extensionRequest(extensions, der.sequence(encodeBasicConstraints(true)))] },
      'ERR_DER_TRAILING',
    ],
    [
      {
        attributes: [
          extensionRequest(der.sequence(encodeBasicConstraints(true))),
          extensionRequest(extensions),
        ],
      },
      'ERR_X509_SYNTAX',
    ],
    [
      { attributes: [extensionRequest(extensions), extensionRequest(extensions)] },
      'ERR_X509_SYNTAX',
    ],
    [{ attributes: [extensionRequest(extensions), other] }, 'ERR_X509_SYNTAX'],
    [{ attributes: [attribute('1.2.3')] }, 'ERR_X509_SYNTAX'],
    [{ attributes: [der.nullValue()] }, 'ERR_DER_TAG'],
    [
      {
        attributes: Array.from({ length: 33 }, (_, arc) =>
          attribute(`1.2.${arc}`, der.nullValue()),
        ),
      },
      'ERR_X509_LIMIT',
    ],
  ]
  for (const [shape, code] of cases) {
    const error = refuses(() => parseCertificateRequest(requestOf(shape)), code)
    assert.match(error.where ?? '', /^csr/)
  }
})

test('a request that trails or is above 32 KiB is refused', () => {
  refuses(
    () => parseCertificateRequest(concat(requestOf({}), Uint8Array.of(0))),
    'ERR_DER_TRAILING',
    'csr',
  )
  const large = der.sequence(encodeExtension('1.2.3', false, new Uint8Array(32_768)))
  refuses(
    () => parseCertificateRequest(requestOf({ attributes: [extensionRequest(large)] })),
    'ERR_DER_SIZE',
    'csr',
  )
})
