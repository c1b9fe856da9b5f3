/**
 * Fuzzes PEM, Base64 and UTF-8; what Base64 and UTF-8 take must be the only text of its value (RFC
 * 4648 §3.5, RFC 3629 §3). `node fuzz/pem.ts --seconds N --seed S`
 */
import { base64, fromBase64, fromUtf8, parsePem, pem, utf8 } from '@countersign/core/codec'
import { certificates } from './corpus.ts'
import { each, fuzz } from './fuzz.ts'

const some = certificates().slice(0, 20)
const texts = [
  ...some.map((bytes) => utf8(`name=ü\r\n${pem('CERTIFICATE', bytes)}`)),
  // Short ones: a mutation must not always meet what stands before it.
  ...some.map((bytes) => utf8(base64(bytes.subarray(0, 40)))),
  ...['ü', '€uro', '😀', 'a\u0000b'].map(utf8),
]

fuzz('pem', texts, (input) => {
  const latin = Buffer.from(input).toString('latin1')
  each([
    () => parsePem(latin),
    () => {
      if (base64(fromBase64(latin)) !== latin) throw new Error('two texts of one Base64 value')
    },
    () => {
      const same = Buffer.from(utf8(fromUtf8(input))).equals(input)
      if (!same) throw new Error('two encodings of one UTF-8 text')
    },
  ])
})
