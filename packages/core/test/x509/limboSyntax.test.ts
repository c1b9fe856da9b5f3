/**
 * Every certificate and CRL of the limbo subset through the parsers: those of accepted chains
 * parse, and the only ones refused here are listed with the rule they break. Whether the others
 * chain is the judge's.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePem } from '@countersign/core/codec'
import { parseCertificate, parseCertificateList } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import { limboCases, limboCertificates } from './support.ts'

/** Case to the code that one of its certificates is refused with. */
const malformed: Readonly<Record<string, string>> = {
  'pathological::nc-dos-2': 'ERR_X509_LIMIT',
  'pathological::nc-dos-3': 'ERR_X509_LIMIT',
  'rfc5280::nc::invalid-ipv4-address': 'ERR_X509_SYNTAX',
  'rfc5280::nc::invalid-email-address': 'ERR_X509_SYNTAX',
  'rfc5280::nc::nc-permits-invalid-ip-san': 'ERR_X509_SYNTAX',
  'rfc5280::san::malformed': 'ERR_DER_TAG',
  'rfc5280::san::ip-in-dns': 'ERR_X509_SYNTAX',
  'rfc5280::duplicate-extensions': 'ERR_X509_SYNTAX',
  'rfc5280::mismatching-signature-algorithm': 'ERR_X509_SYNTAX',
  'webpki::aki::root-with-aki-authoritycertissuer': 'ERR_X509_SYNTAX',
  'webpki::san::unicode-emoji-san': 'ERR_DER_VALUE',
  'webpki::malformed-aia': 'ERR_DER_TAG',
}

test('exactly the malformed certificates of limbo are refused, each with its code', () => {
  const refused: Record<string, string> = {}
  let parsed = 0
  for (const one of limboCases()) {
    for (const der of limboCertificates(one)) {
      try {
        assert.equal(parseCertificate(der).der.length, der.length)
        parsed++
      } catch (error) {
        assert.ok(error instanceof PeerError, one.id)
        assert.equal(one.expected_result, 'FAILURE', `${one.id}: ${error.message}`)
        refused[one.id] = error.code
      }
    }
  }
  assert.deepEqual(refused, malformed)
  assert.ok(parsed > 600)
})

test('every CRL of limbo parses', () => {
  const lists = limboCases().flatMap(({ crls }) => crls ?? [])
  assert.ok(lists.length > 5)
  for (const text of lists) {
    for (const { der } of parsePem(text)) assert.ok(parseCertificateList(der).entryCount > 0)
  }
})

test('a curve given by its parameters leaves the key without an algorithm', () => {
  const found = limboCases().find(({ id }) => id === 'webpki::explicit-curve')
  assert.ok(found)
  for (const der of limboCertificates(found)) {
    assert.equal(parseCertificate(der).spki.algorithm, undefined)
  }
})
