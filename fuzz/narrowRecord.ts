/**
 * Fuzzes the record of the narrow channel: what is read is written with the same bytes.
 * `node fuzz/narrowRecord.ts --seconds N --seed S`
 */
import { cbor, equalBytes } from '@countersign/core/codec'
import { AdapterError, PeerError } from '@countersign/core/errors'
import { encodeContext } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  decodeRecord,
  emptyRecord,
  encodeRecord,
} from '../packages/device/src/portable/narrow/record.ts'
import { fuzz } from './fuzz.ts'
import { met } from './narrowHouse.ts'

const leaf = Uint8Array.of(0x30, 0)
const kid = Uint8Array.of(5)
const corpus = [
  emptyRecord,
  met,
  {
    ...met,
    issuer: leaf,
    servers: [
      { kind: 'signature', kid: undefined, leaf },
      { kind: 'static key', kid, leaf },
    ] as const,
  },
].map((one) => encodeRecord(nodeCrypto, one))
corpus.push(ofVersion1())

fuzz('narrowRecord', corpus, (input) => {
  try {
    const read = decodeRecord(nodeCrypto, input)
    // Of the version before it the context is left out.
    const isOld = input[1] === 1
    if (!isOld && !equalBytes(encodeRecord(nodeCrypto, read), input)) {
      throw new Error('two forms of one record')
    }
  } catch (error) {
    // The loop knows what comes from outside by PeerError; this comes from the storage.
    if (error instanceof AdapterError && error.cause instanceof PeerError) throw error.cause
    throw error
  }
})

/** Its contexts did not say when they end. */
function ofVersion1(): Uint8Array {
  const { current } = met
  if (current === undefined) throw new Error('it has met nobody')
  const context = cbor.array(
    cbor.byteString(current.deviceX5t),
    cbor.int(current.since),
    cbor.byteString(encodeContext(nodeCrypto, current.context)),
  )
  const day = cbor.array(...[0, 0, 0, 0].map(cbor.int))
  return cbor.array(cbor.int(1), cbor.int(0), day, cbor.nullValue, cbor.array(), context)
}
