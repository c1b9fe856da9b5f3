/**
 * The messages of a server cut at each length and followed by surplus bytes, with a length in the
 * header that says so and with one that does not. In the second case bytes of the next message, or
 * none, take the place of what is missing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyUpdate, ticket } from '../puppetSteps.ts'
import { Counter, Family, type Setting, type Tally } from './families.ts'
import { full, resumed, retried, talkative } from './settings.ts'

const headerLength = 4

/** The message with a length that is that of its body. */
function adjusted(bytes: Uint8Array): Buffer {
  const message = Buffer.from(bytes)
  message.writeUIntBE(message.length - headerLength, 1, 3)
  return message
}

async function lengths(setting: Setting, name: string): Promise<Tally> {
  const family = await Family.of(setting)
  const { bytes } = await family.messageOf(name)
  const counter = new Counter()
  const count = async (how: string, message: Uint8Array): Promise<void> => {
    const what = `${how} to ${message.length}`
    counter.count(how, await family.endingWith(name, [message], what))
  }
  for (let length = headerLength; length < bytes.length; length++) {
    await count('cut and said', adjusted(bytes.subarray(0, length)))
  }
  for (let length = 1; length < bytes.length; length++) {
    await count('cut', bytes.subarray(0, length))
  }
  for (const surplus of [1, 2, 3, 4, 40]) {
    const longer = Buffer.concat([bytes, Buffer.alloc(surplus)])
    await count('longer and said', adjusted(longer))
    await count('longer', longer)
  }
  return counter.tally
}

const late: Setting = { afterwards: [ticket(), keyUpdate()] }

/** What cuts come to. Surplus bytes are the same in all of them. */
const cases: readonly (readonly [
  name: string,
  which: string,
  setting: Setting,
  expected: { readonly said: string; readonly cut: string },
])[] = [
  // Before its extensions a ServerHello may end: in TLS 1.2. Cut, it waits for more, and gets records that are encrypted.
  [
    'ServerHello',
    'a full flight',
    full,
    { said: 'decode_error 117, protocol_version 1', cut: 'unexpected_message 121' },
  ],
  [
    'ServerHello',
    'a flight that resumes',
    await resumed(),
    { said: 'decode_error 123, protocol_version 1', cut: 'unexpected_message 127' },
  ],
  [
    'HelloRetryRequest',
    'a server that asks again',
    retried,
    { said: 'decode_error 95, protocol_version 1', cut: 'waits 99' },
  ],
  [
    'EncryptedExtensions',
    'a full flight',
    talkative,
    {
      said: 'decode_error 29',
      cut: 'decode_error 22, illegal_parameter 4, internal_error 1, unexpected_message 2, unsupported_extension 2, waits 1',
    },
  ],
  [
    'CertificateRequest',
    'a full flight',
    talkative,
    {
      said: 'decode_error 34',
      cut: 'decode_error 28, illegal_parameter 1, internal_error 2, unexpected_message 5, waits 1',
    },
  ],
  [
    'Certificate',
    'a full flight',
    full,
    {
      said: 'decode_error 691',
      cut: 'decode_error 106, internal_error 1, unexpected_message 2, waits 585',
    },
  ],
  // A signature with bytes of the Finished in it.
  [
    'CertificateVerify',
    'a full flight',
    full,
    {
      said: 'decode_error 68',
      cut: 'decode_error 1, decrypt_error 36, internal_error 2, waits 32',
    },
  ],
  ['Finished', 'a full flight', full, { said: 'decode_error 32', cut: 'waits 35' }],
  // The KeyUpdate behind it is taken for a part of it, and the keys are not changed.
  [
    'NewSessionTicket',
    'an open connection',
    late,
    {
      said: 'decode_error 31',
      cut: 'bad_record_mac 28, decode_error 4, internal_error 1, unexpected_message 1',
    },
  ],
  ['KeyUpdate', 'an open connection', late, { said: 'decode_error 1', cut: 'bad_record_mac 4' }],
]

for (const [name, which, setting, { said, cut }] of cases) {
  test(`${name} of ${which} cut at any length or with surplus bytes behind it is refused`, async () => {
    assert.deepEqual(await lengths(setting, name), {
      'cut and said': said,
      cut,
      'longer and said': 'decode_error 5',
      // No message begins with a zero, and none goes on where the keys change.
      longer: 'unexpected_message 5',
    })
  })
}
