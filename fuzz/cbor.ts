/**
 * Fuzzes the CBOR reader: what it takes is the only encoding of its value (RFC 8949 §4.2.1), so the
 * writer makes the same bytes of it. `node fuzz/cbor.ts --seconds N --seed S`
 */
import { CborReader, cbor, concat, equalBytes } from '@countersign/core/codec'
import { fuzz } from './fuzz.ts'

/** RFC 8949 Appendix A, as far as it is taken, and what EDHOC and COSE send. */
const corpus = [
  '00',
  '1818',
  '1903e8',
  '1a000f4240',
  '1b000000e8d4a51000',
  '3903e7',
  '4401020304',
  '6449455446',
  '63e6b0b4',
  'f5',
  '8301820203820405',
  'a26161016162820203',
  'a56161614161626142616361436164614461656145',
  'c11a514b67b0',
  'd82076687474703a2f2f7777772e6578616d706c652e636f6d',
  'a201020304a0f6',
  '0382060258208af6f430ebe18d34184017a9a11bf511c8dff8f834730b96c1b7c8dbca2fc3b637',
  'a11822822e4879f2a41b510c1f9b',
  'd18443a10105a054546869732069732074686520636f6e74656e742e4811f9e357975fb849',
].map((text) => new Uint8Array(Buffer.from(text, 'hex')))

fuzz('cbor', corpus, (input) => {
  const whole = new CborReader(input, 'input')
  const items: Uint8Array[] = []
  while (!whole.done) items.push(whole.raw('item'))
  const reader = new CborReader(input, 'input')
  const again = items.map(() => copy(reader))
  reader.end()
  if (!equalBytes(concat(...again), input)) throw new Error('two encodings of one value')
})

/** The next item, read as its kind and written. */
function copy(reader: CborReader): Uint8Array {
  switch (reader.peek()) {
    case 'bytes':
      return cbor.byteString(reader.byteString('item'))
    case 'text':
      return cbor.textString(reader.textString('item'))
    case 'array':
      return cbor.array(...Array.from({ length: reader.array('item') }, () => copy(reader)))
    case 'map':
      return copyMap(reader)
    case 'tag':
      // Nothing here writes tags.
      return reader.raw('item')
    case 'simple':
      return copySimple(reader)
    default:
      return cbor.int(reader.int('item'))
  }
}

function copyMap(reader: CborReader): Uint8Array {
  const entries: (readonly [Uint8Array, Uint8Array])[] = []
  reader.map('item', copy, (values, key) => entries.push([key, copy(values)]))
  return cbor.map(...entries)
}

function copySimple(reader: CborReader): Uint8Array {
  if (reader.bytes[reader.offset] !== cbor.nullValue[0]) return cbor.boolean(reader.boolean('item'))
  reader.null('item')
  return cbor.nullValue
}
