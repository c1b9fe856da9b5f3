/** Fuzzes the reader of certs-only messages. `node fuzz/certsOnly.ts --seconds N --seed S` */
import { parseCertificate, parseCertsOnly } from '@countersign/core/credential'
import { certsOnlyMessages } from './corpus.ts'
import { fuzz } from './fuzz.ts'

fuzz('certsOnly', certsOnlyMessages(), (input) => {
  for (const certificate of parseCertsOnly(input)) parseCertificate(certificate)
})
