/** Values of the certificate extensions (RFC 5280 §4.2.1), each with what breaks it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { der, fromHex, hex } from '@countersign/core/codec'
import { type extensionOid, type GeneralName, parseCertificate } from '@countersign/core/credential'
import { name, withExtension, withName } from './shapes.ts'
import { refuses } from './support.ts'

type Id = keyof typeof extensionOid

function parse(id: Id, value: Uint8Array): ReturnType<typeof parseCertificate>['extensions'] {
  return parseCertificate(withExtension(id, value)).extensions
}

function broken(
  id: Id,
  value: Uint8Array | string,
  code: string | RegExp = /ERR_DER|ERR_X509/,
): void {
  const bytes = typeof value === 'string' ? fromHex(value) : value
  const error = refuses(() => parse(id, bytes), code)
  assert.match(error.where ?? '', new RegExp(`^certificate\\.extensions\\.${id}`))
}

/** The one name of a SAN made of this element. */
function san(element: Uint8Array): GeneralName | undefined {
  return parseCertificate(withName(element)).extensions.subjectAltName?.[0]
}

function text(number: number, value: string): Uint8Array {
  return der.element(0x80 | number, Buffer.from(value, 'latin1'))
}

const point = (...parts: readonly Uint8Array[]) => der.sequence(der.sequence(...parts))
const subtree = (base: Uint8Array, ...more: readonly Uint8Array[]) => der.sequence(base, ...more)
const permitted = (...subtrees: readonly Uint8Array[]) => der.sequence(der.explicit(0, ...subtrees))

test('every known extension must be exactly one value', () => {
  const ids: readonly Id[] = [
    'basicConstraints',
    'keyUsage',
    'extKeyUsage',
    'subjectAltName',
    'issuerAltName',
    'nameConstraints',
    'subjectKeyIdentifier',
    'authorityKeyIdentifier',
    'cRLDistributionPoints',
    'certificatePolicies',
    'policyMappings',
    'policyConstraints',
    'inhibitAnyPolicy',
    'freshestCRL',
    'authorityInfoAccess',
    'subjectInfoAccess',
  ]
  for (const id of ids) {
    broken(id, '')
    broken(id, '0500')
    broken(id, '3003')
    broken(id, '310130')
  }
  broken('basicConstraints', '30000500', 'ERR_DER_TRAILING')
  broken('subjectKeyIdentifier', '0401010500', 'ERR_DER_TRAILING')
})

test('basicConstraints', () => {
  assert.deepEqual(parse('basicConstraints', fromHex('3000')).basicConstraints, {
    ca: false,
    pathLen: undefined,
  })
  assert.deepEqual(parse('basicConstraints', fromHex('30060101ff020100')).basicConstraints, {
    ca: true,
    pathLen: 0,
  })
  broken('basicConstraints', '3003010100', 'ERR_DER_VALUE')
  broken('basicConstraints', '30030101fe', 'ERR_DER_VALUE')
  broken('basicConstraints', '30060101ff0201ff', 'ERR_DER_VALUE')
  broken('basicConstraints', '300a0101ff02050100000000', 'ERR_DER_VALUE')
  broken('basicConstraints', '30080101ff0201000500', 'ERR_DER_TRAILING')
})

test('keyUsage has a bit, and none that has no name', () => {
  assert.deepEqual([...(parse('keyUsage', fromHex('0303070080')).keyUsage ?? [])], ['decipherOnly'])
  assert.deepEqual(
    [...(parse('keyUsage', fromHex('030205a0')).keyUsage ?? [])],
    ['digitalSignature', 'keyEncipherment'],
  )
  broken('keyUsage', '030100', 'ERR_X509_SYNTAX')
  broken('keyUsage', '03020700', 'ERR_DER_VALUE')
  broken('keyUsage', '03020680', 'ERR_DER_VALUE')
  broken('keyUsage', '0303060040', 'ERR_DER_VALUE')
})

test('extKeyUsage and policies are not empty, and no policy stands twice', () => {
  assert.deepEqual(parse('extKeyUsage', der.sequence(der.oid('1.3.6.1.5.5.7.3.1'))).extKeyUsage, [
    '1.3.6.1.5.5.7.3.1',
  ])
  broken('extKeyUsage', '3000', 'ERR_X509_SYNTAX')
  broken('certificatePolicies', '3000', 'ERR_X509_SYNTAX')
  const policy = der.sequence(der.oid('1.2.3'))
  const qualified = der.sequence(
    der.oid('1.2.4'),
    der.sequence(der.sequence(der.oid('1.3.6.1.5.5.7.2.1'), der.ia5String('http://x'))),
  )
  assert.deepEqual(parse('certificatePolicies', der.sequence(policy, qualified)).policies, [
    '1.2.3',
    '1.2.4',
  ])
  broken('certificatePolicies', der.sequence(policy, policy), 'ERR_X509_SYNTAX')
  broken(
    'certificatePolicies',
    der.sequence(der.sequence(der.oid('1.2.4'), der.sequence())),
    'ERR_X509_SYNTAX',
  )
  broken(
    'policyMappings',
    der.sequence(der.sequence(der.oid('2.5.29.32.0'), der.oid('1.2.3'))),
    'ERR_X509_SYNTAX',
  )
  parse('policyMappings', der.sequence(der.sequence(der.oid('1.2.4'), der.oid('1.2.3'))))
})

test('policyConstraints and inhibitAnyPolicy', () => {
  assert.deepEqual(parse('policyConstraints', fromHex('3006800100810102')).policyConstraints, {
    requireExplicitPolicy: 0,
    inhibitPolicyMapping: 2,
  })
  assert.equal(parse('inhibitAnyPolicy', fromHex('020103')).inhibitAnyPolicy, 3)
  broken('policyConstraints', '3000', 'ERR_X509_SYNTAX')
  broken('policyConstraints', '3006810100800100', 'ERR_DER_TRAILING')
  broken('inhibitAnyPolicy', '0201ff', 'ERR_DER_VALUE')
})

test('key identifiers, and the issuer form only as a pair', () => {
  const directory = der.explicit(1, der.explicit(4, name))
  const serial = fromHex('820101')
  const whole = der.sequence(fromHex('80020102'), directory, serial)
  assert.deepEqual(parse('authorityKeyIdentifier', whole).authorityKeyId, fromHex('0102'))
  assert.equal(parse('authorityKeyIdentifier', der.sequence()).authorityKeyId, undefined)
  broken('authorityKeyIdentifier', der.sequence(directory), 'ERR_X509_SYNTAX')
  broken('authorityKeyIdentifier', der.sequence(serial), 'ERR_X509_SYNTAX')
  broken('authorityKeyIdentifier', der.sequence(serial, directory), 'ERR_DER_TRAILING')
  assert.deepEqual(parse('subjectKeyIdentifier', fromHex('0402abcd')).subjectKeyId, fromHex('abcd'))
})

test('distribution points have a name or an issuer', () => {
  const uri = text(6, 'http://x/crl')
  const full = der.explicit(0, der.explicit(0, uri))
  assert.deepEqual(
    parse('cRLDistributionPoints', point(full, fromHex('81020106'))).crlDistributionPoints,
    [
      {
        fullName: [{ kind: 'uri', value: 'http://x/crl' }],
        hasRelativeName: false,
        hasReasons: true,
        cRLIssuer: undefined,
      },
    ],
  )
  const relative = der.explicit(
    0,
    der.explicit(1, der.sequence(der.oid('2.5.4.3'), der.utf8String('x'))),
  )
  assert.equal(
    parse('cRLDistributionPoints', point(relative)).crlDistributionPoints?.[0]?.hasRelativeName,
    true,
  )
  broken('cRLDistributionPoints', '3000', 'ERR_X509_SYNTAX')
  broken('cRLDistributionPoints', point(), 'ERR_X509_SYNTAX')
  broken('cRLDistributionPoints', point(fromHex('81020106')), 'ERR_X509_SYNTAX')
  broken('cRLDistributionPoints', point(der.explicit(0)), 'ERR_DER_TRUNCATED')
  broken('cRLDistributionPoints', point(der.explicit(0, der.explicit(0))), 'ERR_X509_SYNTAX')
  broken('cRLDistributionPoints', point(full, fromHex('81020206')), 'ERR_DER_VALUE')
})

test('access descriptions', () => {
  parse(
    'authorityInfoAccess',
    der.sequence(der.sequence(der.oid('1.3.6.1.5.5.7.48.1'), text(6, 'http://x'))),
  )
  broken('authorityInfoAccess', '3000', 'ERR_X509_SYNTAX')
  broken(
    'authorityInfoAccess',
    der.sequence(der.sequence(der.oid('1.3.6.1.5.5.7.48.1'))),
    'ERR_DER_TRUNCATED',
  )
})

test('subjectAltName carries every kind of name', () => {
  assert.deepEqual(san(text(1, 'a.b+c@example.com')), { kind: 'email', value: 'a.b+c@example.com' })
  assert.deepEqual(san(text(1, '"a b"@example.com')), { kind: 'email', value: '"a b"@example.com' })
  assert.deepEqual(san(text(2, '*.Example.com')), { kind: 'dns', value: '*.Example.com' })
  assert.deepEqual(san(text(2, 'localhost')), { kind: 'dns', value: 'localhost' })
  assert.deepEqual(san(text(6, 'urn:dev:mac:0200000000000001')), {
    kind: 'uri',
    value: 'urn:dev:mac:0200000000000001',
  })
  assert.deepEqual(san(fromHex('87047f000001')), { kind: 'ip', value: fromHex('7f000001') })
  assert.equal(san(der.element(0x87, new Uint8Array(16)))?.kind, 'ip')
  assert.deepEqual(san(der.oid('1.2.3', 0x88)), { kind: 'registeredId', value: '1.2.3' })
  const other = der.element(0xa0, der.oid('1.2.3'), der.explicit(0, fromHex('0500')))
  assert.deepEqual(san(other), { kind: 'other', type: '1.2.3', value: fromHex('0500') })
  const directory = san(der.explicit(4, name))
  assert.deepEqual(directory?.kind === 'directory' ? directory.value.der : undefined, name)
  assert.deepEqual(san(der.element(0xa3)), {
    kind: 'unsupported',
    tag: 0xa3,
    value: new Uint8Array(0),
  })
})

test('names that are no names are refused', () => {
  const bad: readonly Uint8Array[] = [
    ...[
      '',
      ' ',
      '.',
      'a..b',
      '.a',
      'a.',
      '-a.b',
      'a-.b',
      'a_b.c',
      'a b',
      '192.0.2.1',
      '1',
      'a.1',
      `${'a'.repeat(64)}.b`,
      'a\0.b',
      'ü.b',
      `${'a.'.repeat(127)}a`,
    ].map((value) => text(2, value)),
    ...[
      '',
      'a',
      '@b',
      'a@',
      'a@b@c',
      'a b@c',
      'a@b c',
      '.a@b',
      'a..b@c',
      'a@b_c',
      '<a@b>',
      'a\0@b',
      'ü@b',
    ].map((value) => text(1, value)),
    ...['', 'x', '//host/path', '/path', '1a:b', 'http:', 'http://a b', 'http://ü', 'a:\0'].map(
      (value) => text(6, value),
    ),
    ...[
      '8700',
      '8703010203',
      '87057f00000100',
      '8708c0000200ffffff00',
      '880180',
      '8800',
      'a000',
      'a0040c0141a000',
      'a00306012a',
      'a009060101a00405000500',
      '8400',
      'a400',
      'a4020500',
      'a502',
      '8900',
      'a900',
      '3000',
      '0500',
    ].map(fromHex),
  ]
  for (const element of bad) {
    refuses(() => san(element), /ERR_DER|ERR_X509/, undefined, hex(element))
  }
  refuses(() => parse('subjectAltName', der.sequence()), 'ERR_X509_SYNTAX')
})

test('a directoryName inside has the rules of a name', () => {
  refuses(() => san(der.explicit(4, der.sequence(der.setOf()))), 'ERR_X509_SYNTAX')
  refuses(() => san(der.explicit(4, name, name)), 'ERR_DER_TRAILING')
})

test('more than 1024 names are refused', () => {
  const names = Array.from({ length: 1025 }, () => text(2, 'a'))
  refuses(() => parse('subjectAltName', der.sequence(...names)), 'ERR_X509_LIMIT')
  assert.equal(
    parse('subjectAltName', der.sequence(...names.slice(1))).subjectAltName?.length,
    1024,
  )
})

test('nameConstraints', () => {
  for (const base of [
    text(2, 'example.com'),
    text(2, ''),
    text(1, 'a@b.c'),
    text(1, 'b.c'),
    text(1, '.b.c'),
    text(6, 'b.c'),
    text(6, '.b.c'),
    fromHex('8708c0000200ffffff00'),
    der.element(0x87, new Uint8Array(32)),
    der.explicit(4, name),
  ]) {
    assert.equal(
      parse('nameConstraints', permitted(subtree(base))).nameConstraints?.permitted.length,
      1,
    )
  }
  const both = der.sequence(
    der.explicit(0, subtree(text(2, 'a'))),
    der.explicit(1, subtree(text(2, 'b'))),
  )
  assert.deepEqual(parse('nameConstraints', both).nameConstraints, {
    permitted: [{ base: { kind: 'dns', value: 'a' } }],
    excluded: [{ base: { kind: 'dns', value: 'b' } }],
  })
  broken('nameConstraints', der.sequence(), 'ERR_X509_SYNTAX')
  broken('nameConstraints', permitted(), 'ERR_X509_SYNTAX')
  broken('nameConstraints', permitted(subtree(text(2, 'a'), fromHex('800100'))), 'ERR_X509_SYNTAX')
  broken('nameConstraints', permitted(subtree(text(2, 'a'), fromHex('800101'))), 'ERR_X509_SYNTAX')
  broken('nameConstraints', permitted(subtree(text(2, 'a'), fromHex('810101'))), 'ERR_X509_SYNTAX')
  broken('nameConstraints', permitted(subtree(fromHex('8704c0000200'))), 'ERR_X509_SYNTAX')
  for (const base of [
    text(2, '.a'),
    text(2, '*.a'),
    text(1, 'a@b@c'),
    text(1, ''),
    text(6, 'http://a'),
    text(6, '192.0.2.1'),
    fromHex('8708c0000200ffff00ff'),
    fromHex('8708c0000200ff7fff00'),
  ]) {
    broken('nameConstraints', permitted(subtree(base)), 'ERR_X509_SYNTAX')
  }
})

test('an unknown extension is carried with its octets', () => {
  const certificate = parseCertificate(withExtension('subjectKeyIdentifier', fromHex('0402abcd')))
  assert.deepEqual(certificate.extensions.all, [
    { oid: '2.5.29.14', critical: false, value: fromHex('0402abcd') },
  ])
})
