/** PEM (RFC 7468). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex, parsePem, parsePemOne, pem } from '@countersign/core/codec'
import { refuses } from '../x509/support.ts'

const block = pem('CERTIFICATE', fromHex('30030201ff'))

test('a block is written with its label and lines of 64 characters', () => {
  assert.equal(block, '-----BEGIN CERTIFICATE-----\nMAMCAf8=\n-----END CERTIFICATE-----\n')
  const long = pem('X509 CRL', new Uint8Array(100)).split('\n')
  assert.deepEqual(
    long.map((line) => line.length),
    [24, 64, 64, 8, 22, 0],
  )
})

test('blocks are found between other text, with CRLF and without a newline at the end', () => {
  const text = `subject=CN = x\r\n${block.replaceAll('\n', '\r\n')}\r\nmore\n${pem('X509 CRL', fromHex('05')).trimEnd()}`
  const found = parsePem(text).map(({ label, der }) => [label, hex(der)])
  assert.deepEqual(found, [
    ['CERTIFICATE', '30030201ff'],
    ['X509 CRL', '05'],
  ])
  assert.deepEqual(parsePem(''), [])
})

test('a block that is cut, crossed, nested or no Base64 is refused with its line', () => {
  refuses(() => parsePem('-----BEGIN A-----\nMAMC'), 'ERR_PEM', 'line 2')
  refuses(() => parsePem('-----BEGIN A-----\n-----END B-----'), 'ERR_PEM', 'line 2')
  refuses(() => parsePem('-----END A-----'), 'ERR_PEM', 'line 1')
  refuses(() => parsePem('-----BEGIN A-----\n-----BEGIN A-----'), 'ERR_PEM', 'line 2')
  refuses(() => parsePem('-----BEGIN A-----\nM*==\n-----END A-----'), 'ERR_PEM', 'line 3')
  refuses(
    () => parsePem('-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nMAMC\n-----END A-----'),
    'ERR_PEM',
    'line 5',
  )
})

test('one block of the right label is exactly that', () => {
  assert.equal(hex(parsePemOne(block, 'CERTIFICATE')), '30030201ff')
  refuses(() => parsePemOne(block + block, 'CERTIFICATE'), 'ERR_PEM')
  refuses(() => parsePemOne(block, 'PRIVATE KEY'), 'ERR_PEM')
  refuses(() => parsePemOne('', 'CERTIFICATE'), 'ERR_PEM')
})

test('more blocks than the limit are refused', () => {
  refuses(() => parsePem('-----BEGIN A-----\n-----END A-----\n'.repeat(4097)), 'ERR_PEM')
})

test('a label longer than any that exists is none, so that no message carries it', () => {
  const long = 'A'.repeat(40_000)
  for (const text of [
    `-----BEGIN ${long}-----\n`,
    `-----BEGIN CERTIFICATE-----\n-----END ${long}-----`,
  ]) {
    let message = ''
    try {
      assert.deepEqual(parsePem(text), [])
    } catch (error) {
      message = String(error)
    }
    assert.ok(message.length < 200, `a message of ${message.length} characters`)
  }
})
