/**
 * Fuzzes records of security contexts. One that is read is written with the same bytes, and makes a
 * context or is refused. Each input is also read with its MAC taken for the right one, so that what
 * stands in front of it is reached. `node fuzz/oscoreRecord.ts --seconds N --seed S`
 */
import { equalBytes, fromHex } from '@countersign/core/codec'
import { CallerError, PeerError } from '@countersign/core/errors'
import {
  type ContextRecord,
  decodeContext,
  deriveContext,
  encodeContext,
  parametersOf,
} from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { each, fuzz } from './fuzz.ts'

const crypto = nodeCrypto
const record: ContextRecord = {
  masterSecret: crypto.importSecret(fromHex('0102030405060708090a0b0c0d0e0f10')),
  masterSalt: crypto.importSecret(fromHex('9e7ca92223786340')),
  senderId: Uint8Array.of(1),
  recipientId: new Uint8Array(),
  idContext: fromHex('37cbf3210017a2d3'),
  algorithm: 10,
  hash: 'sha256',
  state: {
    senderReserved: 64,
    window: { highest: 20, accepted: 0x8000_0001 },
    usage: { sealed: 3, failed: 300 },
  },
}
const { masterSalt: _, idContext: __, ...bare } = record
const corpus = [
  record,
  bare,
  { ...record, state: { ...record.state, window: 'lost' as const } },
].map((one) => encodeContext(crypto, one))

/** With any MAC taken for the right one: its bytes are copied from the record. */
function anyMac(input: Uint8Array): typeof crypto {
  const mac = input.slice(-16)
  return { ...crypto, hmac: () => mac }
}

fuzz('oscoreRecord', corpus, (input) =>
  each([
    () => {
      const read = decodeContext(crypto, input)
      if (!equalBytes(encodeContext(crypto, read), input)) {
        throw new Error('two forms of one record')
      }
    },
    () => {
      const trusting = anyMac(input)
      const read = decodeContext(trusting, input)
      if (!equalBytes(encodeContext(trusting, read), input)) {
        throw new Error('two forms of one record')
      }
      derive(read)
    },
  ]),
)

/** A record of parameters that no context can have is refused by whoever derives it. */
function derive(read: ContextRecord): void {
  try {
    deriveContext(crypto, parametersOf(read))
  } catch (error) {
    if (error instanceof CallerError || error instanceof PeerError) return
    throw error
  }
}
