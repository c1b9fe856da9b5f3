/**
 * What a certification request may not ask: each refusal with its reason, from requests that
 * OpenSSL made.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { der, fromHex } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificateRequest,
  encodeSignatureAlgorithm,
  type GeneralName,
  macAddressName,
} from '@countersign/core/credential'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { judgeDeviceRequest, judgeKeyRequest, requireName } from '../../src/authority/request.ts'
import { missing, openssl } from './foreign.ts'
import { newKey, requestFor } from './house.ts'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'csr-'))
})

after(async () => {
  await rm(folder, { recursive: true, force: true })
})

function codeOf(csr: Uint8Array): string {
  try {
    judgeDeviceRequest(csr, nodeCrypto)
    return 'taken'
  } catch (error) {
    assert.ok(error instanceof PeerError, String(error))
    assert.ok(isCountersignError(error) && error.hint !== undefined, 'a refusal has a hint')
    return error.code
  }
}

interface Wanted {
  readonly key?: readonly string[]
  readonly subject?: string
  readonly sign?: readonly string[]
  readonly extensions?: readonly string[]
}

let count = 0

async function byOpenssl(wanted: Wanted): Promise<Uint8Array> {
  const base = join(folder, String(++count))
  const keyArguments = wanted.key ?? ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']
  const made = await openssl('genpkey', ...keyArguments, '-out', `${base}.key`)
  assert.equal(made.code, 0, made.text)
  const asked = await openssl(
    'req',
    '-new',
    '-key',
    `${base}.key`,
    '-subj',
    wanted.subject ?? '/serialNumber=SN-1',
    ...(wanted.extensions ?? []).flatMap((text) => ['-addext', text]),
    ...(wanted.sign ?? []),
    '-outform',
    'DER',
    '-out',
    `${base}.der`,
  )
  assert.equal(asked.code, 0, asked.text)
  return readFile(`${base}.der`)
}

const cases: readonly (readonly [string, Wanted, string])[] = [
  ['P-256', {}, 'taken'],
  ['Ed25519', { key: ['-algorithm', 'ED25519'] }, 'taken'],
  ['P-256 signed with SHA-384', { sign: ['-sha384'] }, 'taken'],
  [
    'CA:FALSE and clientAuth',
    { extensions: ['basicConstraints=CA:FALSE', 'extendedKeyUsage=clientAuth'] },
    'taken',
  ],
  [
    'keyUsage of a leaf',
    { extensions: ['keyUsage=critical,digitalSignature,keyAgreement'] },
    'taken',
  ],
  ['an unknown extension, not critical', { extensions: ['1.2.3.4.5=DER:0500'] }, 'taken'],
  [
    'RSA of 1024 bits',
    { key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'] },
    'ERR_CSR_KEY',
  ],
  [
    'RSA of 2048 bits',
    { key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'] },
    'ERR_CSR_KEY',
  ],
  ['P-384', { key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'] }, 'ERR_CSR_KEY'],
  [
    'secp256k1',
    { key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'] },
    'ERR_CSR_KEY',
  ],
  [
    'P-256 by explicit parameters',
    {
      key: [
        '-algorithm',
        'EC',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-pkeyopt',
        'ec_param_enc:explicit',
      ],
    },
    'ERR_CSR_KEY',
  ],
  ['Ed448', { key: ['-algorithm', 'ED448'] }, 'ERR_CSR_KEY'],
  ['a signature with SHA-1', { sign: ['-sha1'] }, 'ERR_CSR_ALGORITHM'],
  ['CA:TRUE', { extensions: ['basicConstraints=critical,CA:TRUE'] }, 'ERR_CSR_CA'],
  ['CA:TRUE, not critical', { extensions: ['basicConstraints=CA:TRUE,pathlen:0'] }, 'ERR_CSR_CA'],
  ['keyCertSign', { extensions: ['keyUsage=keyCertSign'] }, 'ERR_CSR_KEY_USAGE'],
  ['cRLSign', { extensions: ['keyUsage=digitalSignature,cRLSign'] }, 'ERR_CSR_KEY_USAGE'],
  ['serverAuth', { extensions: ['extendedKeyUsage=clientAuth,serverAuth'] }, 'ERR_CSR_PURPOSE'],
  ['any purpose', { extensions: ['extendedKeyUsage=anyExtendedKeyUsage'] }, 'ERR_CSR_PURPOSE'],
  [
    'an unknown critical extension',
    { extensions: ['1.2.3.4.5=critical,DER:0500'] },
    'ERR_CSR_EXTENSION',
  ],
  [
    'name constraints',
    { extensions: ['nameConstraints=critical,permitted;DNS:example.com'] },
    'ERR_CSR_EXTENSION',
  ],
  ['no serialNumber', { subject: '/CN=thing' }, 'ERR_CSR_SUBJECT'],
  ['two serialNumbers', { subject: '/serialNumber=A/serialNumber=B' }, 'ERR_CSR_SUBJECT'],
  ['a serialNumber with spaces around', { subject: '/serialNumber= A' }, 'ERR_CSR_SUBJECT'],
  [
    'the name of a server',
    { extensions: ['subjectAltName=DNS:server.example.com'] },
    'ERR_CSR_NAME',
  ],
  ['an address', { extensions: ['subjectAltName=IP:192.0.2.1'] }, 'ERR_CSR_NAME'],
  ['a mailbox', { extensions: ['subjectAltName=email:a@example.com'] }, 'ERR_CSR_NAME'],
  ['another URI', { extensions: ['subjectAltName=URI:https://example.com/'] }, 'ERR_CSR_NAME'],
  ['an EUI-64 cut short', { extensions: ['subjectAltName=URI:urn:dev:mac:0011'] }, 'ERR_CSR_NAME'],
  [
    'two EUI-64',
    {
      extensions: [
        'subjectAltName=URI:urn:dev:mac:0211223344556677,URI:urn:dev:mac:0211223344556678',
      ],
    },
    'ERR_CSR_NAME',
  ],
  [
    'one EUI-64 said twice',
    {
      extensions: [
        'subjectAltName=URI:urn:dev:mac:0211223344556677,URI:URN:DEV:MAC:0211223344556677',
      ],
    },
    'taken',
  ],
  [
    'a MACAddress of six octets',
    { extensions: ['subjectAltName=DER:3016a01406082b0601050507080ca0080406001122334455'] },
    'ERR_CSR_NAME',
  ],
  [
    'a MACAddress of eight octets',
    { extensions: ['subjectAltName=DER:3018a01606082b0601050507080ca00a04080011223344556677'] },
    'taken',
  ],
  [
    'a MACAddress that is no OCTET STRING',
    { extensions: ['subjectAltName=otherName:1.3.6.1.5.5.7.8.12;UTF8:abcdefgh'] },
    'ERR_CSR_NAME',
  ],
]

describe('a request of a device by OpenSSL', { skip: missing('openssl') }, () => {
  for (const [what, wanted, code] of cases) {
    it(`with ${what} is ${code === 'taken' ? 'taken' : `refused: ${code}`}`, async () => {
      assert.equal(codeOf(await byOpenssl(wanted)), code)
    })
  }

  it('with a compressed point is refused: one key has one name in the registry', async () => {
    const key = join(folder, 'compressed.key')
    await openssl(
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-pkeyopt',
      'point-format:compressed',
      '-out',
      `${key}.1`,
    )
    const converted = await openssl(
      'ec',
      '-in',
      `${key}.1`,
      '-conv_form',
      'compressed',
      '-out',
      key,
    )
    assert.equal(converted.code, 0, converted.text)
    const csr = join(folder, 'compressed.der')
    await openssl(
      'req',
      '-new',
      '-key',
      key,
      '-subj',
      '/serialNumber=C',
      '-outform',
      'DER',
      '-out',
      csr,
    )
    const bytes = await readFile(csr)
    // 03 22 00 02|03: a BIT STRING of a compressed point.
    assert.match(bytes.toString('hex'), /03220002|03220003/)
    assert.equal(codeOf(bytes), 'ERR_CSR_KEY')
  })
})

/** The verdict on a request whose serialNumber has this encoding. */
async function named(value: Uint8Array): Promise<string> {
  const { signer } = newKey()
  const attribute = der.sequence(der.oid(attributeOid.serialNumber), value)
  const subject = der.sequence(der.setOf(attribute))
  const info = der.sequence(der.integer(0), subject, signer.spki, der.explicit(0))
  const signature = der.bitString(await signer.sign(info))
  return codeOf(der.sequence(info, encodeSignatureAlgorithm(signer.scheme), signature))
}

describe('a request of a device', () => {
  it('signed by another key is refused', async () => {
    const [own, other] = [newKey().signer, newKey().signer]
    const csr = await createCertificateRequest({
      subject: [{ type: attributeOid.serialNumber, value: 'SN-1' }],
      signer: { ...own, sign: (message) => other.sign(message) },
    })
    assert.equal(codeOf(csr), 'ERR_CSR_SIGNATURE')
  })

  it('with any bit flipped is refused, and with any part cut off', async () => {
    const names: GeneralName[] = [macAddressName(fromHex('0211223344556677'))]
    const csr = await requestFor('SN-1', newKey().signer, names)
    assert.equal(codeOf(csr), 'taken')
    for (let bit = 0; bit < csr.length * 8; bit++) {
      const changed = Uint8Array.from(csr)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7))
      assert.notEqual(codeOf(changed), 'taken', `bit ${bit}`)
    }
    for (let length = 0; length < csr.length; length++) {
      assert.equal(codeOf(csr.subarray(0, length)), 'ERR_CSR_MALFORMED', `cut to ${length}`)
    }
    assert.equal(codeOf(Uint8Array.from([...csr, 0])), 'ERR_CSR_MALFORMED')
  })

  it('larger than any request, or nested without end, is refused before it costs anything', () => {
    assert.equal(codeOf(der.sequence(new Uint8Array(40_000))), 'ERR_CSR_MALFORMED')
    let nested: Uint8Array = new Uint8Array(0)
    for (let depth = 0; depth < 2000; depth++) nested = der.sequence(nested)
    assert.equal(codeOf(nested), 'ERR_CSR_MALFORMED')
  })

  it('whose serialNumber is no PrintableString, or too long, is refused', async () => {
    assert.equal(await named(der.printableString('A'.repeat(64))), 'taken')
    assert.equal(await named(der.printableString('A'.repeat(65))), 'ERR_CSR_SUBJECT')
    assert.equal(await named(der.utf8String('SN-1')), 'ERR_CSR_SUBJECT')
    assert.equal(await named(der.utf8String('SN-\u202e1')), 'ERR_CSR_SUBJECT')
    assert.equal(await named(der.ia5String('SN@1')), 'ERR_CSR_SUBJECT')
    assert.equal(await named(der.printableString('')), 'ERR_CSR_MALFORMED')
  })

  it('with a point that is not on the curve is refused', async () => {
    const { signer } = newKey()
    const spki = Uint8Array.from(signer.spki)
    spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1
    const csr = await createCertificateRequest({
      subject: [{ type: attributeOid.serialNumber, value: 'SN-1' }],
      signer: { ...signer, spki },
    })
    assert.equal(codeOf(csr), 'ERR_CSR_KEY')
  })
})

describe('a request that the operator hands in', () => {
  it('names its holder, and asks for no authority', async () => {
    const good = await byOpenssl({
      subject: '/CN=alice',
      extensions: ['extendedKeyUsage=serverAuth'],
    })
    assert.equal(judgeKeyRequest(good, nodeCrypto).commonName, 'alice')
    const authority = await byOpenssl({
      subject: '/CN=alice',
      extensions: ['basicConstraints=CA:TRUE'],
    })
    assert.throws(() => judgeKeyRequest(authority, nodeCrypto), { code: 'ERR_CSR_CA' })
    assert.equal(requireName('alice'), 'alice')
    for (const name of [undefined, '', 'x'.repeat(65)]) {
      assert.throws(() => requireName(name), { code: 'ERR_CSR_SUBJECT' })
    }
  })
})
