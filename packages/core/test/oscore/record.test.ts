/** The form in which a context is written down: both ways, and what was changed or cut of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { parseMessage } from '../../src/coap/index.ts'
import { concat, fromHex, hex } from '../../src/codec/index.ts'
import { PeerError } from '../../src/errors.ts'
import {
  type ContextRecord,
  decodeContext,
  deriveContext,
  encodeContext,
  idContextBytesMax,
  parametersOf,
  protectRequest,
  recordLimits,
  sequenceNumberMax,
  stateOf,
  unprotectRequest,
  type WindowState,
} from '../../src/oscore/index.ts'
import { flips } from '../cose/examples.ts'
import { node, providers } from '../providers.ts'

const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const secretHex = '0102030405060708090a0b0c0d0e0f10'
const saltHex = '9e7ca92223786340'

/** The parameters of RFC 8613 C.3, and a state. */
function recordWith(changes: Partial<ContextRecord> = {}, crypto = node.crypto): ContextRecord {
  return {
    masterSecret: crypto.importSecret(fromHex(secretHex)),
    masterSalt: crypto.importSecret(fromHex(saltHex)),
    senderId: fromHex('01'),
    recipientId: new Uint8Array(),
    idContext: fromHex('37cbf3210017a2d3'),
    algorithm: 10,
    hash: 'sha256',
    state: {
      senderReserved: 64,
      window: { highest: 20, accepted: 0x8000_0001 },
      usage: { sealed: 3, failed: 300 },
    },
    ...changes,
  }
}

/**
 * Written by hand: an array of 12; version 1; secret, salt; ids; ID Context; 10; "sha256"; 64; the
 * window; the usage; a MAC. That one was computed with Python: HKDF-Extract and -Expand of SHA-256
 * without a salt, the info 'countersign OSCORE context record', then HMAC over what is in front.
 */
const written =
  '8c' +
  '01' +
  `50${secretHex}` +
  `48${saltHex}` +
  '4101' +
  '40' +
  '4837cbf3210017a2d3' +
  '0a' +
  '66736861323536' +
  '1840' +
  '82141a80000001' +
  '820319012c' +
  '50519a92cf4f9268857fbdbe24b3e95c9e'

/** What a record says, without its handles. */
function faceOf(record: ContextRecord, crypto = node.crypto): unknown {
  const { masterSecret, masterSalt, ...rest } = record
  const secrets = [masterSecret, ...(masterSalt ? [masterSalt] : [])]
  return { ...rest, secrets: secrets.map((key) => hex(crypto.exportSecret(key))) }
}

for (const { name, crypto } of providers) {
  test(`a record has the bytes that it should have, and is read from them, ${name}`, () => {
    const record = recordWith({}, crypto)
    const bytes = encodeContext(crypto, record)
    assert.equal(hex(bytes), written)
    assert.deepEqual(faceOf(decodeContext(crypto, bytes), crypto), faceOf(record, crypto))
  })
}

test('every part that a record may have or lack comes back', () => {
  const longest = {
    masterSecret: node.crypto.importSecret(new Uint8Array(64).fill(1)),
    masterSalt: node.crypto.importSecret(new Uint8Array(64).fill(2)),
    senderId: new Uint8Array(7).fill(3),
    recipientId: new Uint8Array(7).fill(4),
    idContext: new Uint8Array(idContextBytesMax),
    algorithm: 30,
    hash: 'sha512',
    state: {
      senderReserved: sequenceNumberMax + 1,
      window: { highest: sequenceNumberMax, accepted: 0xffff_ffff },
      usage: { sealed: 2 ** 40, failed: 2 ** 40 },
    },
  } as const
  const { masterSalt: _, idContext: __, ...shortest } = recordWith()
  const windows: readonly WindowState[] = ['lost', { highest: -1, accepted: 0 }]
  const records: readonly ContextRecord[] = [
    longest,
    shortest,
    recordWith({ senderId: new Uint8Array(), recipientId: fromHex('2d') }),
    ...windows.map((window) => recordWith({ state: { ...recordWith().state, window } })),
  ]
  for (const record of records) {
    const bytes = encodeContext(node.crypto, record)
    assert.ok(bytes.length <= recordLimits.bytesMax)
    assert.deepEqual(faceOf(decodeContext(node.crypto, bytes)), faceOf(record))
  }
})

test('a record stays what it is when the bytes are wiped that it was read from', () => {
  // A Buffer as the store gives it: its `slice` shares memory.
  const bytes = Buffer.from(written, 'hex')
  const record = decodeContext(node.crypto, bytes)
  bytes.fill(0)
  assert.deepEqual(faceOf(record), faceOf(recordWith()))
})

test('no bit of a record can be changed', () => {
  for (const flipped of flips(fromHex(written))) {
    assert.throws(
      () => decodeContext(node.crypto, flipped),
      (error) => error instanceof PeerError && error.code.startsWith('ERR_CBOR_'),
      hex(flipped),
    )
  }
})

test('a record cannot be cut, and nothing can follow it', () => {
  const bytes = fromHex(written)
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeContext(node.crypto, bytes.subarray(0, length)), PeerError)
  }
  assert.throws(() => decodeContext(node.crypto, concat(bytes, Uint8Array.of(0))), {
    code: 'ERR_CBOR_TRAILING',
  })
  assert.throws(() => decodeContext(node.crypto, new Uint8Array(recordLimits.bytesMax + 1)), {
    code: 'ERR_CBOR_SIZE',
  })
})

const malformed: readonly (readonly [what: string, from: string, to: string])[] = [
  ['another version', '8c01', '8c02'],
  ['a field less', '8c01', '8b01'],
  ['a hash that is not known', '66736861323536', '66736861333536'],
  ['a window of one', '82141a80000001', '8114'],
  ['a window that none can be', '82141a80000001', '82141a80000002'],
  ['a window below its beginning', '82141a80000001', '82211a80000001'],
  ['a window of 33 bits', '82141a80000001', '82141b0000000180000001'],
  ['true where a window is', '82141a80000001', 'f5'],
  ['a bound below 0', '1840', '20'],
  ['a bound behind the last number', '1840', '1b0000010000000001'],
  ['a head that is too long', '1840', '190040'],
  ['a count below 0', '820319012c', '82032a'],
  ['an identifier of 8 bytes', '4101', '480101010101010101'],
  ['a secret of 65 bytes', `50${secretHex}`, `5841${'01'.repeat(65)}`],
  ['a text where a secret is', `50${secretHex}`, `70${secretHex}`],
]

for (const [what, from, to] of malformed) {
  test(`a record with ${what} is refused before its MAC is looked at`, () => {
    assert.ok(written.includes(from), from)
    const bytes = fromHex(written.replace(from, to))
    const noMac = { ...node.crypto, hmac: () => assert.fail('the MAC was computed') }
    assert.throws(() => decodeContext(noMac, bytes), PeerError)
  })
}

test('a record whose secret was exchanged has another MAC', () => {
  const changed = written.replace(secretHex, secretHex.replace('01', '02'))
  assert.throws(() => decodeContext(node.crypto, fromHex(changed)), { code: 'ERR_CBOR_VALUE' })
})

test('no error has a byte of a secret in it', () => {
  const bytes = fromHex(written)
  const wrong = [...flips(bytes), ...bytes.keys()].map((one) =>
    typeof one === 'number' ? bytes.subarray(0, one) : one,
  )
  for (const input of wrong) {
    try {
      decodeContext(node.crypto, input)
      assert.fail('it was taken')
    } catch (error) {
      assert.ok(error instanceof PeerError, String(error))
      const { message, where, hint, details, cause } = error
      const text = inspect({ message, where, hint, details, cause }, { depth: 9 })
      for (const secret of ['0102030405', '1, 2, 3, 4, 5', '9e7ca9', '158, 124']) {
        assert.ok(!text.toLowerCase().includes(secret), text)
      }
    }
  }
})

test('a context that was written down goes on: its numbers, its window, its counts', () => {
  const pair = ['Client', 'Server'].map((side) => {
    const ids = [new Uint8Array(), fromHex('01')] as const
    const [senderId, recipientId] = side === 'Client' ? ids : [ids[1], ids[0]]
    const state = {
      senderReserved: 0,
      window: { highest: -1, accepted: 0 },
      usage: { sealed: 0, failed: 0 },
    }
    return recordWith({ senderId, recipientId, state })
  })
  const [clientRecord, serverRecord] = pair
  assert.ok(clientRecord && serverRecord)
  let client = deriveContext(node.crypto, parametersOf(clientRecord))
  let server = deriveContext(node.crypto, parametersOf(serverRecord))
  const messages = []
  for (let life = 0; life < 3; life++) {
    assert.throws(() => protectRequest(client, request), { code: 'ERR_OSCORE_UNRESERVED' })
    const bound = client.sender.sequence.boundAfter(2)
    const state = stateOf(client, bound)
    assert.equal(state.senderReserved, 2 * (life + 1))
    const bytes = encodeContext(node.crypto, { ...clientRecord, state })
    client.sender.sequence.reserve(bound)
    const { message } = protectRequest(client, request)
    messages.push(message)
    unprotectRequest(server, message)
    const row = encodeContext(node.crypto, { ...serverRecord, state: stateOf(server) })
    client = deriveContext(node.crypto, parametersOf(decodeContext(node.crypto, bytes)))
    server = deriveContext(node.crypto, parametersOf(decodeContext(node.crypto, row)))
  }
  for (const message of messages) {
    assert.throws(() => unprotectRequest(server, message), { code: 'ERR_OSCORE_REPLAY' })
  }
  assert.deepEqual(server.recipient.window.snapshot(), { highest: 4, accepted: 0b10101 })
  // Each life had reserved two numbers: they count, although it sent one message.
  assert.equal(client.usage.sealed, 6)
})
