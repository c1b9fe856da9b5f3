/**
 * Fuzzes the certificate parser, and what is done with a certificate before anyone trusts it. `node
 * fuzz/certificate.ts --seconds N --seed S`
 */
import {
  euiFromCertificate,
  formatName,
  parseCertificate,
  serialNumberOf,
} from '@countersign/core/credential'
import { certificates } from './corpus.ts'
import { fuzz } from './fuzz.ts'

fuzz('certificate', certificates(), (input) => {
  const certificate = parseCertificate(input)
  formatName(certificate.subject)
  serialNumberOf(certificate.subject)
  euiFromCertificate(certificate)
})
