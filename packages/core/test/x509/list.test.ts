/** CRLs (RFC 5280 §5): OpenSSL's and ours through the parser, look-ups, and what breaks a list. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { compareBytes, concat, der, fromHex, pem } from '@countersign/core/codec'
import {
  createCertificateList,
  encodeCrlNumber,
  encodeExtension,
  encodeIssuingDistributionPoint,
  extensionOid as id,
  parseCertificateList,
} from '@countersign/core/credential'
import { listOf, name, revokedEntry } from './shapes.ts'
import {
  needsOpenssl,
  openssl,
  opensslBytes,
  p256Signer,
  refuses,
  seed,
  temporaryFolder,
} from './support.ts'

const at = Date.parse('2026-01-02T03:04:05Z')

/** Positive serial numbers without order and without doubles, from a seed. */
function serials(count: number, from: number): readonly Uint8Array[] {
  let state = from || 1
  const found = new Map<string, Uint8Array>()
  while (found.size < count) {
    const serial = new Uint8Array(16)
    for (let index = 0; index < 16; index++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      serial[index] = state >>> 16
    }
    serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x01
    found.set(serial.join(), serial)
  }
  return [...found.values()]
}

test('OpenSSL reads a CRL of ours, entry by entry', needsOpenssl(), async () => {
  const entries = serials(3, seed).map((serial, reason) => ({ serial, revokedAt: at, reason }))
  const extensions = [encodeCrlNumber(300), encodeIssuingDistributionPoint({ only: 'user' })]
  const list = await createCertificateList(
    { issuer: name, thisUpdate: at, nextUpdate: at + 1000, entries, extensions },
    p256Signer(),
  )
  const file = `${temporaryFolder()}/crl.pem`
  writeFileSync(file, pem('X509 CRL', list))
  const text = openssl(['crl', '-in', file, '-noout', '-text']).toString()
  assert.match(text, /X509v3 CRL Number: \n\s+300/)
  assert.match(text, /Only User Certificates/)
  for (const { serial } of entries)
    assert.ok(text.includes(Buffer.from(serial).toString('hex').toUpperCase()))
  assert.equal(text.match(/Revocation Date: Jan {2}2 03:04:05 2026 GMT/g)?.length, 3)
  assert.match(text, /Key Compromise[^]*CA Compromise/)
})

test('a CRL of OpenSSL is read with its reasons and its date of invalidity', needsOpenssl(), () => {
  const folder = temporaryFolder()
  writeFileSync(
    `${folder}/index.txt`,
    [
      'R\t301231000000Z\t260102030405Z,keyTime,20251231000000Z\t0A\tunknown\t/CN=a',
      'R\t301231000000Z\t260102030405Z,superseded\t00FF\tunknown\t/CN=b',
      'R\t301231000000Z\t260102030405Z\t7B\tunknown\t/CN=c',
      '',
    ].join('\n'),
  )
  writeFileSync(`${folder}/crlnumber`, '1F\n')
  writeFileSync(
    `${folder}/c.cnf`,
    `[ca]\ndefault_ca=c\n[c]\ndatabase=${folder}/index.txt\ncrlnumber=${folder}/crlnumber\ndefault_md=sha256\ndefault_crl_days=7\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\nissuerAltName=URI:http://x\n[dn]\nCN=ca\n[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=v\n[v]\nsubjectKeyIdentifier=hash\nbasicConstraints=critical,CA:TRUE\n`,
  )
  openssl([
    'req',
    '-x509',
    '-config',
    `${folder}/c.cnf`,
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${folder}/k`,
    '-out',
    `${folder}/c`,
  ])
  openssl([
    'ca',
    '-gencrl',
    '-config',
    `${folder}/c.cnf`,
    '-keyfile',
    `${folder}/k`,
    '-cert',
    `${folder}/c`,
    '-out',
    `${folder}/crl`,
  ])
  const list = parseCertificateList(
    opensslBytes(['crl', '-in', `${folder}/crl`, '-outform', 'DER']),
  )
  assert.equal(list.crlNumber, 31n)
  assert.equal(list.entryCount, 3)
  assert.equal(list.authorityKeyId?.length, 20)
  assert.equal(list.findRevoked(fromHex('0a'))?.reason, 'keyCompromise')
  assert.equal(list.findRevoked(fromHex('00ff'))?.reason, 'superseded')
  assert.deepEqual(list.findRevoked(fromHex('7b')), {
    serial: fromHex('7b'),
    revokedAt: at,
    reason: undefined,
  })
  assert.equal(list.findRevoked(fromHex('ff')), undefined)
  assert.deepEqual(list.unknownCritical, [])
})

test('every serial number of a long list is found, sorted or not, and no other is', async () => {
  const some = serials(2000, seed)
  for (const listed of [some, some.toSorted(compareBytes)]) {
    const entries = listed
      .slice(1)
      .map((serial, index) => ({ serial, revokedAt: at, reason: index % 2 }))
    const list = parseCertificateList(
      await createCertificateList(
        { issuer: name, thisUpdate: at, nextUpdate: at, entries, extensions: [encodeCrlNumber(1)] },
        p256Signer(),
      ),
    )
    assert.equal(list.entryCount, entries.length)
    for (const { serial, reason } of entries) {
      const found = list.findRevoked(serial)
      assert.deepEqual(found?.serial, serial, `seed ${seed}`)
      assert.equal(found.reason, reason === 1 ? 'keyCompromise' : undefined)
    }
    assert.equal(list.findRevoked(listed[0] ?? new Uint8Array()), undefined)
    assert.equal(list.findRevoked(new Uint8Array(0)), undefined)
  }
})

test('of two entries for one certificate the one that revokes counts', () => {
  const removed = revokedEntry(5, [encodeExtension(id.reasonCode, false, fromHex('0a0108'))])
  const revoked = revokedEntry(5, [encodeExtension(id.reasonCode, false, fromHex('0a0101'))])
  for (const revokedList of [der.sequence(removed, revoked), der.sequence(revoked, removed)]) {
    assert.equal(
      parseCertificateList(listOf({ revoked: revokedList })).findRevoked(Uint8Array.of(5))?.reason,
      'keyCompromise',
    )
  }
})

test('critical extensions that are not understood are named, of the list and of its entries', () => {
  const unknown = encodeExtension('1.2.3', true, fromHex('0500'))
  assert.deepEqual(parseCertificateList(listOf({ extensions: [unknown] })).unknownCritical, [
    '1.2.3',
  ])
  const entry = der.sequence(revokedEntry(5, [unknown]))
  assert.deepEqual(parseCertificateList(listOf({ revoked: entry })).unknownCritical, ['1.2.3'])
  const names = der.sequence(der.ia5String('a.example', 0x82))
  const indirect = der.sequence(
    revokedEntry(5, [encodeExtension(id.certificateIssuer, true, names)]),
  )
  assert.deepEqual(parseCertificateList(listOf({ revoked: indirect })).unknownCritical, [
    id.certificateIssuer,
  ])
  const relative = der.explicit(
    0,
    der.explicit(1, der.sequence(der.oid('2.5.4.3'), der.utf8String('x'))),
  )
  const scope = encodeExtension(id.issuingDistributionPoint, true, der.sequence(relative))
  assert.deepEqual(parseCertificateList(listOf({ extensions: [scope] })).unknownCritical, [
    id.issuingDistributionPoint,
  ])
  const harmless = encodeExtension('1.2.3', false, fromHex('0500'))
  assert.deepEqual(parseCertificateList(listOf({ extensions: [harmless] })).unknownCritical, [])
})

const idp = (value: string) =>
  parseCertificateList(
    listOf({ extensions: [encodeExtension(id.issuingDistributionPoint, true, fromHex(value))] }),
  ).issuingDistributionPoint

test('scope and delta are read', () => {
  const none = {
    fullName: undefined,
    onlyUserCerts: false,
    onlyCaCerts: false,
    onlySomeReasons: false,
    indirect: false,
    onlyAttributeCerts: false,
  }
  assert.deepEqual(idp('30038101ff'), { ...none, onlyUserCerts: true })
  assert.deepEqual(idp('30038201ff'), { ...none, onlyCaCerts: true })
  assert.deepEqual(idp('300483020106'), { ...none, onlySomeReasons: true })
  assert.deepEqual(idp('30038401ff'), { ...none, indirect: true })
  assert.deepEqual(idp('30038501ff'), { ...none, onlyAttributeCerts: true })
  assert.deepEqual(idp('300aa008a006860461 3a2f2f'.replace(' ', '')), {
    ...none,
    fullName: [{ kind: 'uri', value: 'a://' }],
  })
  const delta = encodeExtension(id.deltaCRLIndicator, true, fromHex('020101'))
  assert.equal(parseCertificateList(listOf({ extensions: [delta] })).isDelta, true)
})

const listExtension = (oid: string, value: string) => ({
  extensions: [encodeExtension(oid, false, fromHex(value))],
})
const entryWith = (oid: string, value: string) => ({
  revoked: der.sequence(revokedEntry(5, [encodeExtension(oid, false, fromHex(value))])),
})

test('what breaks a list is refused', () => {
  const cases: readonly (readonly [Parameters<typeof listOf>[0], string])[] = [
    [{ version: [] }, 'ERR_DER_TAG'],
    [{ version: [der.integer(0)] }, 'ERR_X509_SYNTAX'],
    [{ version: [der.integer(2)] }, 'ERR_DER_VALUE'],
    [{ dates: [] }, 'ERR_DER_TRUNCATED'],
    [{ dates: [der.time(0), der.time(0), der.time(0)] }, 'ERR_DER_TRAILING'],
    [{ revoked: der.sequence() }, 'ERR_X509_SYNTAX'],
    [{ revoked: der.sequence(der.nullValue()) }, 'ERR_DER_TAG'],
    [{ revoked: der.sequence(der.sequence(der.integer(1))) }, 'ERR_DER_TRUNCATED'],
    [{ revoked: der.sequence(der.sequence(der.time(0), der.integer(1))) }, 'ERR_DER_TAG'],
    [
      { revoked: der.sequence(der.sequence(der.integer(1), der.time(0), der.nullValue())) },
      'ERR_DER_TAG',
    ],
    [{ revoked: der.sequence(der.sequence(fromHex('02020001'), der.time(0))) }, 'ERR_DER_VALUE'],
    [
      {
        revoked: der.sequence(
          der.sequence(der.element(2, new Uint8Array(65).fill(1)), der.time(0)),
        ),
      },
      'ERR_DER_VALUE',
    ],
    [{ revoked: der.sequence(revokedEntry(5, [])) }, 'ERR_X509_SYNTAX'],
    [entryWith(id.reasonCode, '0a0107'), 'ERR_X509_SYNTAX'],
    [entryWith(id.reasonCode, '0a010b'), 'ERR_DER_VALUE'],
    [entryWith(id.reasonCode, '020101'), 'ERR_DER_TAG'],
    [entryWith(id.reasonCode, '0a01010500'), 'ERR_DER_TRAILING'],
    [entryWith(id.invalidityDate, '170d3236303130323033303430355a'), 'ERR_DER_TAG'],
    [{ extensions: [] }, 'ERR_X509_SYNTAX'],
    [{ extensions: [encodeCrlNumber(1), encodeCrlNumber(1)] }, 'ERR_X509_SYNTAX'],
    [listExtension(id.cRLNumber, '0201ff'), 'ERR_DER_VALUE'],
    [listExtension(id.cRLNumber, `0215${'01'.repeat(21)}`), 'ERR_DER_VALUE'],
    [listExtension(id.cRLNumber, '0500'), 'ERR_DER_TAG'],
    [listExtension(id.issuingDistributionPoint, '3000'), 'ERR_X509_SYNTAX'],
    [listExtension(id.issuingDistributionPoint, '3003810100'), 'ERR_DER_VALUE'],
    [listExtension(id.issuingDistributionPoint, '30068101ff8201ff'), 'ERR_X509_SYNTAX'],
    [listExtension(id.issuingDistributionPoint, '30068201ff8101ff'), 'ERR_DER_TRAILING'],
  ]
  for (const [shape, code] of cases) {
    const error = refuses(() => parseCertificateList(listOf(shape)), code)
    assert.match(error.where ?? '', /^crl/)
  }
  refuses(
    () => parseCertificateList(concat(listOf({}), Uint8Array.of(0))),
    'ERR_DER_TRAILING',
    'crl',
  )
})
