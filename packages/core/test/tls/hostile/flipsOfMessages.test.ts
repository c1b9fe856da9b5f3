/**
 * The encrypted messages of a server with each bit flipped, in a transcript that has the bit as the
 * client sees it. What is accepted: extensions that a client may ignore and this one does, a limit
 * for our records that is another sound one, schemes that are not ours, and what a server tells of
 * its tickets.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { identityOf, issuingCa } from '../puppetWorld.ts'
import { keyUpdate, ticket } from '../puppetSteps.ts'
import { Family, flipBit } from './families.ts'
import { full, knownAnchor, pinnedAnchor, resumed, talkative } from './settings.ts'

test('each bit of EncryptedExtensions counts, but for what is only advice', async () => {
  const family = await Family.of(talkative)
  assert.deepEqual(await family.flips('EncryptedExtensions'), {
    // One bit from 8 to 24: a KeyUpdate, which has one byte.
    'message type': 'decode_error 1, unexpected_message 7',
    'message length': 'decode_error 10, internal_error 12, waits 2',
    'extensions length': 'decode_error 16',
    'server_name type': 'illegal_parameter 1, unsupported_extension 15',
    'server_name length': 'decode_error 15, unsupported_extension 1',
    'supported_groups type': 'unsupported_extension 16',
    'supported_groups length': 'decode_error 15, illegal_parameter 1',
    // What groups the server likes is not read.
    'groups length': 'accepted 16',
    groups: 'accepted 16',
    'alpn type': 'illegal_parameter 1, unsupported_extension 15',
    'alpn length': 'decode_error 16',
    'protocols length': 'decode_error 16',
    'protocol length': 'decode_error 8',
    protocol: 'illegal_parameter 16',
    'record_size_limit type': 'unsupported_extension 16',
    'record_size_limit length': 'decode_error 16',
    // 16385 and one bit: 1 is below the least; the others are limits like any.
    record_size_limit: 'accepted 15, illegal_parameter 1',
  })
})

test('each bit of a CertificateRequest counts, but for what does not concern this client', async () => {
  const family = await Family.of(talkative)
  assert.deepEqual(await family.flips('CertificateRequest'), {
    'message type': 'unexpected_message 8',
    'message length': 'decode_error 10, internal_error 10, waits 4',
    'context length': 'decode_error 2, illegal_parameter 6',
    'extensions length': 'decode_error 16',
    'signature_algorithms type': 'illegal_parameter 1, missing_extension 15',
    'signature_algorithms length': 'decode_error 16',
    'schemes length': 'decode_error 16',
    // The client's one scheme, and two that it does not have.
    schemes: 'accepted 32, handshake_failure 16',
    // RFC 8446 §4.3.2: unknown ones are ignored; 43 and 45 are one bit away and known.
    'certificate_authorities type': 'accepted 14, illegal_parameter 2',
    'certificate_authorities length': 'decode_error 16',
    'names length': 'accepted 16',
    'name length': 'accepted 16',
    name: 'accepted 16',
    'unknown type': 'accepted 16',
    'unknown length': 'decode_error 16',
    unknown: 'accepted 40',
  })
})

/** Certificates are long: each 7th bit of them meets each bit of a byte, and each byte. */
const sparing = (field: string): number => (/^certificate \d$/.test(field) ? 7 : 1)

const certificateMessage = {
  'message type': 'unexpected_message 8',
  'message length': 'decode_error 9, internal_error 9, waits 6',
  'context length': 'illegal_parameter 8',
  'list length': 'decode_error 24',
  'certificate 0 length': 'decode_error 24',
  // The bits of its issuer's name lead to nobody; all others are signed.
  'certificate 0': 'bad_certificate 394, unknown_ca 11',
  'extensions 0 length': 'decode_error 16',
  'certificate 1 length': 'decode_error 24',
  'extensions 1 length': 'decode_error 16',
}

test('each bit of a Certificate counts; below a known anchor, the chain must only be readable', async () => {
  const family = await Family.of({ options: { trust: knownAnchor } })
  assert.deepEqual(await family.flips('Certificate', sparing), {
    ...certificateMessage,
    // The anchor is at hand; this copy of it is a certificate that leads nowhere.
    'certificate 1': 'accepted 210, bad_certificate 160',
  })
})

test('each bit of a Certificate counts; of a pinned CA, what makes it the one that was meant', async () => {
  const family = await Family.of({ options: { trust: pinnedAnchor } })
  assert.deepEqual(await family.flips('Certificate', sparing), {
    ...certificateMessage,
    // Its key was pinned: who signed it, and for how long, is nobody's to say.
    'certificate 1':
      'accepted 145, bad_certificate 171, certificate_expired 1, unknown_ca 50, unsupported_certificate 3',
  })
})

test('no bit of the key of a pinned CA can be another', async () => {
  const family = await Family.of({ options: { trust: pinnedAnchor } })
  const { bytes } = await family.messageOf('Certificate')
  const { spki } = issuingCa.certificate
  const start = bytes.indexOf(spki.der)
  assert.ok(start > 0)
  for (let bit = start * 8; bit < (start + spki.der.length) * 8; bit++) {
    const how = await family.endingWith('Certificate', [flipBit(bytes, bit)], `bit ${bit}`)
    assert.ok(how === 'unknown_ca' || how === 'bad_certificate', how)
  }
})

const certificateVerify = {
  'message type': 'unexpected_message 8',
  scheme: 'illegal_parameter 16',
  'signature length': 'decode_error 16',
}

test('each bit of a CertificateVerify counts', async () => {
  const family = await Family.of(full)
  assert.deepEqual(await family.flips('CertificateVerify'), {
    ...certificateVerify,
    'message length': 'decode_error 7, internal_error 13, waits 4',
    signature: 'decrypt_error 512',
  })
})

test('each bit of a CertificateVerify by ECDSA counts, also those of its DER', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const identity = { ...(await identityOf({}, privateKey)), scheme: 0x0403 }
  const family = await Family.of({ puppet: { identity } })
  // A new signature each time, of 70 to 72 bytes: only the length of this one is known.
  const { signature, 'message length': lengths, ...rest } = await family.flips('CertificateVerify')
  assert.deepEqual(rest, certificateVerify)
  assert.match(signature ?? '', /^decrypt_error \d+$/)
  assert.match(lengths ?? '', /^decode_error \d+, internal_error 13, waits \d+$/)
})

/** Of no use: the MAC is over what comes before it, so that this cannot be made to fit. */
const finished = {
  'message type': 'unexpected_message 8',
  // Shorter by all its bytes; longer, up to the longest hash; longer than any.
  'message length': 'decode_error 19, waits 5',
  verify_data: 'decrypt_error 256',
}

test('each bit of a Finished counts', async () => {
  const family = await Family.of(full)
  assert.deepEqual(await family.flips('Finished'), finished)
})

test('each bit of a Finished that resumes counts', async () => {
  const family = await Family.of(await resumed())
  assert.deepEqual(await family.flips('Finished'), finished)
})

test('each bit of a NewSessionTicket counts, but for what the server alone knows', async () => {
  const family = await Family.of({ afterwards: [ticket(), keyUpdate()] })
  assert.deepEqual(await family.flips('NewSessionTicket'), {
    'message type': 'unexpected_message 8',
    // Longer: the KeyUpdate behind it is taken for a part of it, and the keys are not changed.
    'message length': 'bad_record_mac 10, decode_error 5, internal_error 9',
    lifetime: 'accepted 32',
    age_add: 'accepted 32',
    'nonce length': 'decode_error 8',
    nonce: 'accepted 16',
    'ticket length': 'decode_error 16',
    ticket: 'accepted 128',
    'extensions length': 'decode_error 16',
  })
})

test('each bit of a KeyUpdate counts', async () => {
  const family = await Family.of({ afterwards: [ticket(), keyUpdate()] })
  assert.deepEqual(await family.flips('KeyUpdate'), {
    'message type': 'unexpected_message 8',
    'message length': 'decode_error 24',
    // The lowest bit asks for new keys in our direction too.
    request_update: 'accepted 1, illegal_parameter 7',
  })
})
