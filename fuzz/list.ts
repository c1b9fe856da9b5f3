/** Fuzzes the CRL parser and its look-up. `node fuzz/list.ts --seconds N --seed S` */
import { parseCertificateList } from '@countersign/core/credential'
import { lists } from './corpus.ts'
import { fuzz } from './fuzz.ts'

fuzz('list', await lists(), (input) => {
  const list = parseCertificateList(input)
  list.findRevoked(input.subarray(0, 2))
  list.findRevoked(Uint8Array.of(1, 0))
})
