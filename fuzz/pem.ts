/** Fuzzes PEM, Base64 and UTF-8. `node fuzz/pem.ts --seconds N --seed S` */
import { fromBase64, fromUtf8, parsePem, pem, utf8 } from '@countersign/core/codec'
import { certificates } from './corpus.ts'
import { fuzz } from './fuzz.ts'

const texts = certificates()
  .slice(0, 20)
  .map((bytes) => utf8(`name=ü\r\n${pem('CERTIFICATE', bytes)}`))

fuzz('pem', texts, (input) => {
  const latin = Buffer.from(input).toString('latin1')
  parsePem(latin)
  fromUtf8(input)
  fromBase64(latin.trim())
})
