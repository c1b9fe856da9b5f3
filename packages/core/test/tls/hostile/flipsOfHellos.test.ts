/**
 * ServerHello and HelloRetryRequest with each bit flipped, in a transcript that has the bit as the
 * client sees it. What is accepted: the server's random, which may be anything but a mark; a cookie,
 * which is the server's own; the top bit of an X25519 share, which RFC 7748 §5 has masked.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Family, type Tally } from './families.ts'
import { full, resumed, retried } from './settings.ts'

/** Whatever was agreed on before. */
const hello: Tally = {
  'message type': 'unexpected_message 8',
  legacy_version: 'protocol_version 16',
  'session_id length': 'decode_error 8',
  session_id: 'illegal_parameter 256',
  compression: 'illegal_parameter 8',
  'extensions length': 'decode_error 16',
  // Without it, it is TLS 1.2.
  'supported_versions type': 'protocol_version 16',
  // Body and type of the next extension are read as one that nobody asked for.
  'supported_versions length': 'decode_error 15, unsupported_extension 1',
  supported_versions: 'illegal_parameter 16',
}

const choice: Tally = {
  ...hello,
  // Longer: what comes next is a record that is encrypted.
  'message length': 'decode_error 5, internal_error 11, unexpected_message 8',
  random: 'accepted 256',
  // One bit from 0x1301 to 0x1303, which was offered: the two sides have other keys.
  cipher_suite: 'illegal_parameter 15, unread ERR_TLS_RECORD_MAC 1',
  'key_share type': 'unsupported_extension 16',
  group: 'illegal_parameter 16',
  'share length': 'decode_error 16',
  share: 'accepted 1, unread ERR_TLS_RECORD_MAC 255',
}

test('each bit of a ServerHello counts, but for its random', async () => {
  const family = await Family.of(full)
  assert.deepEqual(await family.flips('ServerHello'), {
    ...choice,
    'key_share length': 'decode_error 16',
  })
})

test('each bit of a ServerHello that resumes counts, but for its random', async () => {
  const family = await Family.of(await resumed())
  assert.deepEqual(await family.flips('ServerHello'), {
    ...choice,
    'key_share length': 'decode_error 15, unsupported_extension 1',
    // One bit to 43, a second one; one to 45, which has its place elsewhere.
    'pre_shared_key type': 'illegal_parameter 2, unsupported_extension 14',
    'pre_shared_key length': 'decode_error 16',
    pre_shared_key: 'illegal_parameter 16',
  })
})

test('each bit of a HelloRetryRequest counts, but for its cookie', async () => {
  const family = await Family.of(retried)
  assert.deepEqual(await family.flips('HelloRetryRequest'), {
    ...hello,
    'message length': 'decode_error 2, internal_error 11, waits 11',
    // No longer a request to try again, but a ServerHello with a cookie.
    random: 'unsupported_extension 256',
    cipher_suite: 'illegal_parameter 16',
    'key_share type': 'unsupported_extension 16',
    'key_share length': 'decode_error 16',
    key_share: 'illegal_parameter 16',
    // One bit to 45, which was asked for and has its place elsewhere.
    'cookie type': 'illegal_parameter 1, unsupported_extension 15',
    'cookie length': 'decode_error 16',
    'cookie value length': 'decode_error 16',
    'cookie value': 'accepted 48',
  })
})
