/** Fuzzes the parser of certification requests. `node fuzz/request.ts --seconds N --seed S` */
import { macAddressesOf, parseCertificateRequest } from '@countersign/core/credential'
import { requests } from './corpus.ts'
import { fuzz } from './fuzz.ts'

fuzz('request', await requests(), (input) => {
  const request = parseCertificateRequest(input)
  macAddressesOf(request.requested.subjectAltName ?? [])
})
