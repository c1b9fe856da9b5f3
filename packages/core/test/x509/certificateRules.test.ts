/** The rules of RFC 5280 §4.1 and of the algorithms it uses, each with what breaks it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, der, fromHex } from '@countersign/core/codec'
import {
  encodeBasicConstraints,
  encodeExtension,
  encodeName,
  algorithmOid as id,
  parseCertificate,
  parseSpki,
} from '@countersign/core/credential'
import { certificateOf, withExtensions } from './shapes.ts'
import { refuses } from './support.ts'

const parse = (shape: Parameters<typeof certificateOf>[0]) => () =>
  parseCertificate(certificateOf(shape))
const sha256WithNull = der.sequence(der.oid(id.sha256), der.nullValue())

const scheme = (...parts: readonly Uint8Array[]) => parse({ outer: der.sequence(...parts) })
const mgf = (hash: Uint8Array) => der.sequence(der.oid(id.mgf1), hash)
const pss = (...parts: readonly Uint8Array[]) =>
  parse({ outer: der.sequence(der.oid(id.rsaPss), der.sequence(...parts)) })
const key = (algorithm: Uint8Array, bits: Uint8Array) => () =>
  parseSpki(der.sequence(algorithm, der.bitString(bits)))
const point = (first: number, length: number) => new Uint8Array(length).fill(first, 0, 1)
const rsa =
  (
    modulus: bigint | Uint8Array,
    exponent: bigint,
    parameters: readonly Uint8Array[] = [der.nullValue()],
  ) =>
  () => {
    const n = typeof modulus === 'bigint' ? der.integer(modulus) : modulus
    const bits = der.sequence(n, der.integer(exponent))
    return parseSpki(
      der.sequence(der.sequence(der.oid(id.rsaEncryption), ...parameters), der.bitString(bits)),
    )
  }
const cn = (value: Uint8Array) => der.sequence(der.oid('2.5.4.3'), value)
const subject = (...rdns: readonly Uint8Array[]) => parse({ subject: der.sequence(...rdns) })
const one = (arc: number) => encodeExtension(`1.2.3.${arc}`, false, Uint8Array.of(5, 0))

test('the unbent shape parses', () => {
  const certificate = parseCertificate(certificateOf({}))
  assert.equal(certificate.version, 3)
  assert.equal(certificate.spki.algorithm?.kind, 'ec')
  assert.deepEqual(certificate.extensions.all, [])
})

test('versions are 1 by absence, 2 and 3, and only what a version has may stand in it', () => {
  const extensions = der.explicit(3, der.sequence(encodeBasicConstraints(true)))
  const uniqueId = der.element(0x81, Uint8Array.of(0, 1))
  assert.equal(parse({ version: [] })().version, 1)
  assert.equal(parse({ version: [der.explicit(0, der.integer(1))], rest: [uniqueId] })().version, 2)
  refuses(parse({ version: [der.explicit(0, der.integer(0))] }), 'ERR_X509_SYNTAX')
  refuses(
    parse({ version: [der.explicit(0, der.integer(3))] }),
    'ERR_DER_VALUE',
    'certificate.version.value',
  )
  refuses(parse({ version: [der.explicit(0)] }), 'ERR_DER_TRUNCATED')
  refuses(parse({ version: [], rest: [extensions] }), 'ERR_X509_SYNTAX')
  refuses(parse({ version: [], rest: [uniqueId] }), 'ERR_X509_SYNTAX')
  refuses(
    parse({ version: [der.explicit(0, der.integer(1))], rest: [extensions] }),
    'ERR_X509_SYNTAX',
  )
})

test('nothing stands behind the certificate, the signed part or the extensions', () => {
  refuses(
    () => parseCertificate(concat(certificateOf({}), Uint8Array.of(0))),
    'ERR_DER_TRAILING',
    'certificate',
  )
  refuses(parse({ rest: [der.nullValue()] }), 'ERR_DER_TRAILING', 'certificate')
  const list = der.sequence(encodeBasicConstraints(true))
  refuses(
    parse({ rest: [der.explicit(3, list, der.nullValue())] }),
    'ERR_DER_TRAILING',
    'certificate.extensions',
  )
})

test('serial numbers are carried as they are, up to the limit', () => {
  assert.deepEqual(parse({ serial: fromHex('0201ff') })().serial, fromHex('ff'))
  assert.deepEqual(parse({ serial: der.integer(0) })().serial, fromHex('00'))
  assert.equal(parse({ serial: der.element(2, new Uint8Array(64).fill(1)) })().serial.length, 64)
  refuses(
    parse({ serial: der.element(2, new Uint8Array(65).fill(1)) }),
    'ERR_DER_VALUE',
    'certificate.serialNumber',
  )
  refuses(parse({ serial: fromHex('02020001') }), 'ERR_DER_VALUE')
})

test('the algorithm stands twice and is the same, octet by octet', () => {
  const ed25519 = der.sequence(der.oid(id.ed25519))
  refuses(parse({ inner: ed25519 }), 'ERR_X509_SYNTAX', 'certificate.signature')
  const bare = der.sequence(der.oid(id.sha256WithRsa))
  const withNull = der.sequence(der.oid(id.sha256WithRsa), der.nullValue())
  const bent = parse({ inner: bare, outer: withNull })
  refuses(bent, 'ERR_X509_SYNTAX', 'certificate.signature')
})

test('parameters: none for ECDSA and Ed25519, NULL or none for RSA', () => {
  assert.deepEqual(scheme(der.oid(id.ed25519))().scheme, { kind: 'ed25519' })
  assert.deepEqual(scheme(der.oid(id.ecdsaWithSha384))().scheme, {
    kind: 'ecdsa',
    hash: 'sha384',
    encoding: 'der',
  })
  // RFC 4055 §5 on both forms.
  assert.deepEqual(scheme(der.oid(id.sha256WithRsa), der.nullValue())().scheme, {
    kind: 'rsa-pkcs1',
    hash: 'sha256',
  })
  assert.deepEqual(scheme(der.oid(id.sha256WithRsa))().scheme, {
    kind: 'rsa-pkcs1',
    hash: 'sha256',
  })
  refuses(scheme(der.oid(id.ecdsaWithSha256), der.nullValue()), 'ERR_X509_SYNTAX')
  refuses(scheme(der.oid(id.ed25519), der.nullValue()), 'ERR_X509_SYNTAX')
  refuses(scheme(der.oid(id.sha256WithRsa), der.sequence()), 'ERR_DER_TAG')
  refuses(scheme(der.oid(id.sha256WithRsa), der.nullValue(), der.nullValue()), 'ERR_DER_TRAILING')
  refuses(scheme(der.oid('1.2.3'), der.nullValue(), der.nullValue()), 'ERR_DER_TRAILING')
  refuses(scheme(), 'ERR_DER_TRUNCATED')
})

test('MD5 and other unknown algorithms are carried without a scheme', () => {
  const md5 = parse({ outer: der.sequence(der.oid('1.2.840.113549.1.1.4'), der.nullValue()) })()
  assert.equal(md5.scheme, undefined)
  assert.equal(md5.signatureOid, '1.2.840.113549.1.1.4')
})

test('RSASSA-PSS names one hash for message and mask, and leaves its defaults out', () => {
  const sha384 = der.sequence(der.oid(id.sha384))
  const good = [der.explicit(0, sha256WithNull), der.explicit(1, mgf(sha256WithNull))]
  assert.deepEqual(pss(...good, der.explicit(2, der.integer(32)))().scheme, {
    kind: 'rsa-pss',
    hash: 'sha256',
    saltLength: 32,
  })
  assert.deepEqual(pss(...good)().scheme, { kind: 'rsa-pss', hash: 'sha256', saltLength: 20 })
  assert.deepEqual(pss()().scheme, { kind: 'rsa-pss', hash: 'sha1', saltLength: 20 })
  assert.equal(
    pss(der.explicit(0, sha256WithNull), der.explicit(1, mgf(sha384)))().scheme,
    undefined,
  )
  assert.equal(pss(der.explicit(0, sha256WithNull))().scheme, undefined)
  assert.equal(pss(der.explicit(0, der.sequence(der.oid('1.2.3'))))().scheme, undefined)
  const sha1 = der.sequence(der.oid(id.sha1), der.nullValue())
  refuses(pss(der.explicit(0, sha1)), 'ERR_X509_SYNTAX')
  refuses(pss(der.explicit(1, mgf(sha1))), 'ERR_X509_SYNTAX')
  refuses(pss(...good, der.explicit(2, der.integer(20))), 'ERR_X509_SYNTAX')
  refuses(pss(...good, der.explicit(3, der.integer(1))), 'ERR_DER_TRAILING')
  refuses(pss(...good, der.explicit(2, der.integer(5000))), 'ERR_DER_VALUE')
  refuses(parse({ outer: der.sequence(der.oid(id.rsaPss)) }), 'ERR_DER_TRUNCATED')
  refuses(parse({ outer: der.sequence(der.oid(id.rsaPss), der.nullValue()) }), 'ERR_DER_TAG')
})

test('keys: named curves with a point of their size, Ed25519 of 32 octets, RSA with NULL', () => {
  const p256 = der.sequence(der.oid(id.ecPublicKey), der.oid(id.p256))
  assert.deepEqual(key(p256, point(4, 65))().algorithm, { kind: 'ec', curve: 'P-256' })
  assert.deepEqual(key(p256, point(3, 33))().algorithm, { kind: 'ec', curve: 'P-256' })
  for (const bad of [
    point(0, 1),
    point(4, 64),
    point(4, 66),
    point(2, 65),
    point(4, 33),
    point(6, 65),
    new Uint8Array(0),
  ]) {
    refuses(key(p256, bad), 'ERR_X509_SYNTAX')
  }
  const p384 = der.sequence(der.oid(id.ecPublicKey), der.oid(id.p384))
  assert.deepEqual(key(p384, point(4, 97))().algorithm, { kind: 'ec', curve: 'P-384' })
  refuses(key(p384, point(4, 65)), 'ERR_X509_SYNTAX')
  const secp256k1 = der.sequence(der.oid(id.ecPublicKey), der.oid('1.3.132.0.10'))
  assert.equal(key(secp256k1, point(4, 65))().algorithm, undefined)
  const implicit = der.sequence(der.oid(id.ecPublicKey), der.nullValue())
  assert.equal(key(implicit, point(4, 65))().algorithm, undefined)
  refuses(key(der.sequence(der.oid(id.ecPublicKey)), point(4, 65)), 'ERR_DER_TRUNCATED')
  refuses(
    key(der.sequence(der.oid(id.ecPublicKey), der.boolean(true)), point(4, 65)),
    'ERR_DER_TAG',
  )
  const ed25519 = der.sequence(der.oid(id.ed25519))
  assert.deepEqual(key(ed25519, new Uint8Array(32))().algorithm, { kind: 'ed25519' })
  refuses(key(ed25519, new Uint8Array(33)), 'ERR_X509_SYNTAX')
  refuses(
    key(der.sequence(der.oid(id.ed25519), der.nullValue()), new Uint8Array(32)),
    'ERR_X509_SYNTAX',
  )
})

test('RSA keys have an odd modulus and an odd exponent, and bounded size', () => {
  const modulus = 2n ** 2047n + 1n
  assert.deepEqual(rsa(modulus, 65_537n)().algorithm, { kind: 'rsa', modulusBits: 2048 })
  refuses(rsa(modulus, 65_537n, []), 'ERR_DER_TRUNCATED')
  refuses(rsa(modulus, 1n), 'ERR_X509_SYNTAX')
  refuses(rsa(modulus, 65_536n), 'ERR_X509_SYNTAX')
  refuses(rsa(modulus + 1n, 3n), 'ERR_X509_SYNTAX')
  refuses(rsa(3n, 3n), 'ERR_X509_SYNTAX')
  refuses(rsa(modulus, 2n ** 256n + 1n), 'ERR_X509_SYNTAX')
  refuses(rsa(2n ** 16_384n + 1n, 3n), 'ERR_X509_SYNTAX')
  assert.deepEqual(rsa(modulus, 2n ** 256n - 1n)().algorithm, { kind: 'rsa', modulusBits: 2048 })
  refuses(rsa(fromHex('0201ff'), 3n), 'ERR_X509_SYNTAX')
  refuses(rsa(2n ** 16_392n + 1n, 3n), 'ERR_DER_VALUE')
})

test('a signature and a key are BIT STRINGs of whole octets', () => {
  refuses(parse({ signature: fromHex('03020780') }), 'ERR_DER_VALUE', 'certificate.signatureValue')
  refuses(parse({ signature: der.octetString(Uint8Array.of(1)) }), 'ERR_DER_TAG')
})

test('names: sets are not empty, sorted and without doubles; values are not empty', () => {
  const a = cn(der.utf8String('a'))
  const b = cn(der.utf8String('b'))
  assert.equal(subject(der.setOf(b, a))().subject.rdns[0]?.length, 2)
  assert.deepEqual(subject()().subject.rdns, [])
  refuses(subject(der.setOf()), 'ERR_X509_SYNTAX', 'certificate.subject')
  refuses(subject(der.element(0x31, b, a)), 'ERR_X509_SYNTAX')
  refuses(subject(der.element(0x31, a, a)), 'ERR_X509_SYNTAX')
  refuses(subject(der.setOf(cn(der.utf8String('')))), 'ERR_X509_SYNTAX')
  refuses(subject(der.setOf(cn(der.element(0x13, Uint8Array.of(0x40))))), 'ERR_DER_VALUE')
  refuses(subject(der.setOf(der.sequence(der.oid('2.5.4.3')))), 'ERR_DER_TRUNCATED')
  refuses(
    subject(der.setOf(der.sequence(der.oid('2.5.4.3'), der.utf8String('a'), der.nullValue()))),
    'ERR_DER_TRAILING',
  )
  for (const value of [
    '0101ff',
    '0500',
    '180f3230323630313031303030303030',
    '8c0141',
    '5800',
    '1e0141',
    '1c024142',
    '03020781',
    '310130',
    '060128',
  ]) {
    refuses(subject(der.setOf(cn(fromHex(value)))), /ERR_DER|ERR_X509/, undefined, value)
  }
  for (const value of [
    '1e020041',
    '1c0400000041',
    '140141',
    '03020780',
    '180f32303236303130313030303030305a',
    '30020c00',
  ]) {
    assert.equal(subject(der.setOf(cn(fromHex(value))))().subject.rdns[0]?.[0]?.text, undefined)
  }
  const many = Array.from({ length: 65 }, () => ({ type: '2.5.4.3', value: 'x' }))
  refuses(parse({ subject: encodeName(many) }), 'ERR_X509_LIMIT', 'certificate.subject')
  assert.equal(parse({ subject: encodeName(many.slice(1)) })().subject.rdns.length, 64)
})

test('validity is two times and nothing else', () => {
  refuses(
    parse({ validity: der.sequence(der.time(0)) }),
    'ERR_DER_TRUNCATED',
    'certificate.validity.notAfter',
  )
  refuses(
    parse({ validity: der.sequence(der.time(0), der.time(0), der.time(0)) }),
    'ERR_DER_TRAILING',
    'certificate.validity',
  )
})

test('extensions: at least one, none twice, no written default, bounded in number', () => {
  refuses(() => parseCertificate(withExtensions()), 'ERR_X509_SYNTAX', 'certificate.extensions')
  refuses(() => parseCertificate(withExtensions(one(1), one(1))), 'ERR_X509_SYNTAX')
  const written = der.sequence(der.oid('1.2.3'), der.boolean(false), der.octetString())
  refuses(
    () => parseCertificate(withExtensions(written)),
    'ERR_DER_VALUE',
    'certificate.extensions.critical',
  )
  const many = Array.from({ length: 65 }, (_, arc) => one(arc))
  refuses(() => parseCertificate(withExtensions(...many)), 'ERR_X509_LIMIT')
  assert.equal(parseCertificate(withExtensions(...many.slice(1))).extensions.all.length, 64)
})

test('a certificate above 64 KiB is refused unread', () => {
  const large = withExtensions(encodeExtension('1.2.3', false, new Uint8Array(65_536)))
  refuses(() => parseCertificate(large), 'ERR_DER_SIZE', 'certificate')
})
