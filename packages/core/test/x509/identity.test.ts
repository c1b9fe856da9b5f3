/** A device's names in its certificate, and names as people see them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { der, fromHex } from '@countersign/core/codec'
import {
  attributeOid,
  encodeGeneralNames,
  encodeName,
  euiFromCertificate,
  formatName,
  type GeneralName,
  hardwareModuleName,
  hardwareModuleOf,
  macAddressesOf,
  macAddressName,
  otherNameOid,
  parseCertificate,
  parseName,
  serialNumberOf,
} from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import { certificateOf, withExtension } from './shapes.ts'
import { refuses } from './support.ts'

function certificateWith(...names: readonly GeneralName[]): ReturnType<typeof parseCertificate> {
  return parseCertificate(withExtension('subjectAltName', encodeGeneralNames(names)))
}

const eui64 = macAddressName(fromHex('02000000000000a1'))
const eui48 = macAddressName(fromHex('0200000000a1'))

test('a MACAddress is an OCTET STRING of 6 or 8 octets under 1.3.6.1.5.5.7.8.12', () => {
  assert.deepEqual(eui64, {
    kind: 'other',
    type: '1.3.6.1.5.5.7.8.12',
    value: fromHex('040802000000000000a1'),
  })
  assert.deepEqual(macAddressesOf([eui48, { kind: 'dns', value: 'a' }, eui64]), [
    fromHex('0200000000a1'),
    fromHex('02000000000000a1'),
  ])
  assert.throws(() => macAddressName(new Uint8Array(7)), CallerError)
  for (const value of [
    '0407020000000000a1',
    '040002',
    '0400',
    '0c0802000000000000a1',
    '040802000000000000a10500',
  ]) {
    refuses(
      () =>
        macAddressesOf([{ kind: 'other', type: otherNameOid.macAddress, value: fromHex(value) }]),
      /ERR_DER|ERR_X509/,
    )
  }
})

test('a certificate names one EUI-64 or none', () => {
  assert.equal(euiFromCertificate(certificateWith(eui48, eui64)), '02000000000000a1')
  assert.equal(euiFromCertificate(certificateWith(eui64, eui64)), '02000000000000a1')
  assert.equal(euiFromCertificate(certificateWith(eui48)), undefined)
  assert.equal(euiFromCertificate(parseCertificate(certificateOf({}))), undefined)
  const two = certificateWith(eui64, macAddressName(fromHex('02000000000000a2')))
  refuses(() => euiFromCertificate(two), 'ERR_X509_SYNTAX', 'certificate.extensions.subjectAltName')
})

test('a hardwareModuleName has a type and a serial number', () => {
  const module = { type: '1.3.6.1.4.1.42', serial: fromHex('0123') }
  const name = hardwareModuleName(module)
  assert.deepEqual(
    hardwareModuleOf(certificateWith(eui64, name).extensions.subjectAltName ?? []),
    module,
  )
  assert.equal(hardwareModuleOf([eui64]), undefined)
  assert.equal(hardwareModuleOf([name, name]), undefined)
  refuses(
    () =>
      hardwareModuleOf([
        { kind: 'other', type: otherNameOid.hardwareModuleName, value: fromHex('3003060101') },
      ]),
    'ERR_DER_TRUNCATED',
  )
})

test('the serial number is the one of the subject, if there is exactly one', () => {
  const serial = { type: attributeOid.serialNumber, value: 'A-7' }
  assert.equal(serialNumberOf(parseName(encodeName([serial]))), 'A-7')
  assert.equal(serialNumberOf(parseName(encodeName([serial, serial]))), undefined)
  assert.equal(serialNumberOf(parseName(encodeName([]))), undefined)
})

const show = (value: string) =>
  formatName(parseName(encodeName([{ type: attributeOid.commonName, value }])))

test('names for people hide nothing and move no cursor', () => {
  assert.equal(show('Pümpe 7'), 'CN=Pümpe 7')
  assert.equal(show('a, O=b'), 'CN=a\\, O\\=b')
  assert.equal(show('a\r\n\x1b[2Jb'), 'CN=a\\u{d}\\u{a}\\u{1b}[2Jb')
  assert.equal(show('\u202Egnp.exe'), 'CN=\\u{202e}gnp.exe')
  assert.equal(show('a\u200Bb\u2028c\u00ADd\uFEFF'), 'CN=a\\u{200b}b\\u{2028}c\\u{ad}d\\u{feff}')
  assert.equal(show('\u{E0041}'), 'CN=\\u{e0041}')
  assert.equal(formatName(parseName(encodeName([]))), '(empty name)')
  const bmp = der.sequence(
    der.setOf(der.sequence(der.oid('2.5.4.3'), der.element(0x1e, fromHex('0041')))),
  )
  assert.equal(formatName(parseName(bmp)), 'CN=#0041')
  const several = der.sequence(
    der.setOf(
      der.sequence(der.oid('2.5.4.10'), der.utf8String('o')),
      der.sequence(der.oid('1.2.3'), der.utf8String('x')),
    ),
  )
  assert.equal(formatName(parseName(several)), '1.2.3=x + O=o')
})
