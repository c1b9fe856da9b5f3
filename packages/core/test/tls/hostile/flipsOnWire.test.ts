/**
 * Each bit of each record flipped on the wire, where the puppet does not see it. Nothing is accepted
 * but the lower byte of the version of records that are not protected, which RFC 8446 §5.1 wants
 * ignored; that of a protected one is authenticated with the rest of its header.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyUpdate, ticket } from '../puppetSteps.ts'
import { Family, type Tally } from './families.ts'
import { full, resumed, retried } from './settings.ts'

const header: Tally = { type: 'unexpected_message 8', 'major version': 'decode_error 8' }
const plainHeader: Tally = { ...header, 'minor version': 'accepted 8' }
const protectedHeader: Tally = { ...header, 'minor version': 'bad_record_mac 8' }

/** The length is another: it takes too little, or bytes of the next record, or waits for them. */
function sealed(length: string, bits: number): Tally {
  return { ...protectedHeader, length, body: `bad_record_mac ${bits}` }
}

/** The two sides hashed other hellos: their keys differ, and the client's alert is not read. */
const otherKeys = 'unread ERR_TLS_RECORD_MAC'

test('each bit of the records of a full flight counts', async () => {
  const family = await Family.of(full)
  assert.deepEqual(await family.wireFlips(0), {
    ...plainHeader,
    length: 'record_overflow 2, unexpected_message 10, waits 4',
    body: `decode_error 76, illegal_parameter 311, internal_error 11, protocol_version 32, unexpected_message 16, ${otherKeys} 513, unsupported_extension 17`,
  })
  // change_cipher_spec is one byte, which is 1.
  assert.deepEqual(await family.wireFlips(1), {
    ...plainHeader,
    length: 'record_overflow 1, unexpected_message 10, waits 5',
    body: 'unexpected_message 8',
  })
  const encrypted = [
    sealed('bad_record_mac 10, record_overflow 1, waits 5', 184),
    sealed('bad_record_mac 10, record_overflow 1, waits 5', 288),
    // Each 7th bit of a Certificate meets each bit of a byte, and each byte.
    sealed('bad_record_mac 9, record_overflow 2, waits 5', 814),
    sealed('bad_record_mac 7, record_overflow 1, waits 8', 712),
    sealed('bad_record_mac 4, record_overflow 1, waits 11', 424),
  ]
  for (const [index, expected] of encrypted.entries()) {
    assert.deepEqual(await family.wireFlips(index + 2, index === 2 ? 7 : 1), expected)
  }
})

test('each bit of the records of a flight that resumes counts', async () => {
  const family = await Family.of(await resumed())
  assert.deepEqual(await family.wireFlips(0), {
    ...plainHeader,
    length: 'record_overflow 2, unexpected_message 8, waits 6',
    body: `decode_error 91, illegal_parameter 329, internal_error 11, protocol_version 32, unexpected_message 16, ${otherKeys} 513, unsupported_extension 32`,
  })
  const extensions = sealed('bad_record_mac 6, record_overflow 1, waits 9', 184)
  assert.deepEqual(await family.wireFlips(2), extensions)
  const finished = sealed('bad_record_mac 4, record_overflow 1, waits 11', 424)
  assert.deepEqual(await family.wireFlips(3), finished)
})

test('each bit of the record of a HelloRetryRequest counts', async () => {
  const family = await Family.of(retried)
  assert.deepEqual(await family.wireFlips(0), {
    ...plainHeader,
    length: 'record_overflow 2, unexpected_message 3, waits 11',
    // Another cookie is echoed as it came; the hash over it tells.
    body: `decode_error 89, illegal_parameter 313, internal_error 11, protocol_version 32, unexpected_message 8, ${otherKeys} 48, unsupported_extension 288, waits 11`,
  })
})

test('each bit of the records behind a handshake counts', async () => {
  const family = await Family.of({ afterwards: [ticket(), keyUpdate()] })
  const records = [
    sealed('bad_record_mac 7, record_overflow 1, waits 8', 416),
    sealed('bad_record_mac 6, record_overflow 1, waits 9', 176),
    // Data, and the farewell.
    sealed('bad_record_mac 5, record_overflow 1, waits 10', 208),
    sealed('bad_record_mac 3, record_overflow 1, waits 12', 152),
  ]
  for (const [index, expected] of records.entries()) {
    assert.deepEqual(await family.wireFlips(index + 7), expected)
  }
})
