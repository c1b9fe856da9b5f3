/** What a policy may ask for, and what is refused before a byte goes out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import type { ChannelCrypto } from '@countersign/core/ports'
import { type PolicyOptions, TlsClient } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { policyOf } from '../../src/tls/policy.ts'

/** A provider that has less than Node's. */
const small: ChannelCrypto = {
  ...nodeCrypto,
  aeads: ['aes-128-gcm'],
  groups: ['x25519'],
}

function refused(options: PolicyOptions, reason: RegExp, crypto: ChannelCrypto = nodeCrypto): void {
  assert.throws(
    () => policyOf(crypto, options),
    (error) => {
      assert.ok(error instanceof CallerError)
      assert.equal(error.code, 'ERR_TLS_POLICY')
      assert.match(error.message, reason)
      assert.equal(error.hint, 'Mend the options of the client.')
      return true
    },
  )
}

test('without a wish, a policy is what the provider has of the best', () => {
  const { suites, groups, shares, ...others } = policyOf(small)
  assert.deepEqual(
    suites.map(({ name }) => name),
    ['TLS_AES_128_GCM_SHA256'],
  )
  assert.deepEqual([groups, shares], [['x25519'], ['x25519']])
  assert.deepEqual(others, {
    alpn: [],
    recordContentMax: 16_384,
    staple: true,
    compatibility: true,
    resumption: true,
    recordsPerKeyMax: 2 ** 22,
  })
})

test('CCM with the short tag is never chosen unasked', () => {
  assert.ok(nodeCrypto.aeads.includes('aes-128-ccm-8'))
  const usual = policyOf(nodeCrypto).suites.map(({ name }) => name)
  assert.deepEqual(usual, [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
  ])
  const asked = policyOf(nodeCrypto, { suites: ['TLS_AES_128_CCM_8_SHA256'] })
  assert.deepEqual(
    asked.suites.map(({ name }) => name),
    ['TLS_AES_128_CCM_8_SHA256'],
  )
})

test('what is named and not there is refused by its name', () => {
  refused(
    { suites: ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'] },
    /TLS_CHACHA20_POLY1305_SHA256, which the crypto provider lacks/,
    small,
  )
  refused({ groups: ['secp256r1'] }, /secp256r1, which the crypto provider lacks/, small)
  const none: ChannelCrypto = { ...nodeCrypto, aeads: [], groups: [] }
  refused({}, /no cipher suite or no group/, none)
})

test('nothing to choose from is refused', () => {
  refused({ suites: [] }, /no cipher suite or no group/)
  refused({ groups: [] }, /no cipher suite or no group/)
})

test('what stands twice in a list is refused', () => {
  refused({ groups: ['x25519', 'x25519'] }, /twice/)
  refused({ suites: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256'] }, /twice/)
  refused({ alpn: ['mqtt', 'mqtt'] }, /twice/)
})

test('shares are of the groups, each once, in their order', () => {
  const groups = ['secp256r1', 'x25519'] as const
  for (const shares of [[], ['secp256r1'], ['x25519'], ['secp256r1', 'x25519']] as const) {
    assert.deepEqual(policyOf(nodeCrypto, { groups, shares }).shares, shares)
  }
  refused({ groups, shares: ['x25519', 'secp256r1'] }, /shares/)
  refused({ groups, shares: ['x25519', 'x25519'] }, /shares/)
  refused({ groups: ['x25519'], shares: ['secp256r1'] }, /shares/)
})

test('records have 64 to 16384 bytes, whole ones', () => {
  for (const recordContentMax of [64, 65, 1024, 16_384]) {
    assert.equal(policyOf(nodeCrypto, { recordContentMax }).recordContentMax, recordContentMax)
  }
  for (const recordContentMax of [-1, 0, 63, 16_385, 100.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    refused({ recordContentMax }, /records of/)
  }
})

test('a key serves one record at least, and 2^22 at most', () => {
  for (const recordsPerKeyMax of [1, 3, 2 ** 22]) {
    assert.equal(policyOf(nodeCrypto, { recordsPerKeyMax }).recordsPerKeyMax, recordsPerKeyMax)
  }
  for (const recordsPerKeyMax of [-1, 0, 2 ** 22 + 1, 1.5, Number.NaN]) {
    refused({ recordsPerKeyMax }, /under one key/)
  }
})

test('protocols are few, each with a name of 1 to 255 printable characters', () => {
  const alpn = ['mqtt', 'x', 'x'.repeat(255), 'http/1.1']
  assert.deepEqual(policyOf(nodeCrypto, { alpn }).alpn, alpn)
  for (const name of ['', 'x'.repeat(256), 'é', 'a\nb', 'a\u0000'])
    refused({ alpn: [name] }, /ALPN/)
  const many = Array.from({ length: 17 }, (_, index) => `protocol ${index}`)
  assert.equal(policyOf(nodeCrypto, { alpn: many.slice(1) }).alpn.length, 16)
  refused({ alpn: many }, /more than 16 ALPN names/)
})

test('a client is not made with a policy that cannot work', () => {
  const outlet = {
    send: () => assert.fail('sent'),
    secured: () => assert.fail('secured'),
    data: () => assert.fail('data'),
    resumable: () => assert.fail('resumable'),
    ended: () => assert.fail('ended'),
    failed: () => assert.fail('failed'),
  }
  const options = {
    crypto: nodeCrypto,
    random: { bytes: () => assert.fail('random') },
    clock: { now: () => 0 },
    trust: () => assert.fail('trust'),
  }
  const policy: PolicyOptions = { recordContentMax: 1 }
  assert.throws(() => new TlsClient({ ...options, policy }, outlet), { code: 'ERR_TLS_POLICY' })
})
