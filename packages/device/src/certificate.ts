/** What a certificate says, for people and for the renewal's calendar. */
import { createHash } from 'node:crypto'
import { hex, parsePem } from '@countersign/core/codec'
import {
  type Certificate,
  euiFromCertificate,
  formatName,
  parseCertificate,
  serialNumberOf,
} from '@countersign/core/credential'
import { InvariantError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'

export interface CertificateReport {
  /** `urn:dev:mac:<eui64>`. */
  readonly id: string
  readonly eui64: string
  readonly serial: string
  readonly certificate: {
    readonly serial: string
    readonly fingerprint: string
    readonly issuer: string
    readonly notBefore: string
    readonly notAfter: string
  }
}

export function describe(certificatesPem: string): CertificateReport {
  const leaf = leafOf(certificatesPem)
  const eui64 = euiFromCertificate(leaf) ?? ''
  return {
    id: eui64 === '' ? '' : `urn:dev:mac:${eui64}`,
    eui64,
    serial: serialNumberOf(leaf.subject) ?? '',
    certificate: {
      serial: hex(leaf.serial),
      fingerprint: createHash('sha256').update(leaf.der).digest('hex'),
      issuer: formatName(leaf.issuer),
      notBefore: new Date(leaf.notBefore).toISOString(),
      notAfter: new Date(leaf.notAfter).toISOString(),
    },
  }
}

export function leafOf(certificatesPem: string): Certificate {
  const [leaf] = parsePem(certificatesPem)
  if (leaf !== undefined) return parseCertificate(leaf.der)
  throw new InvariantError('ERR_STATE_EMPTY', 'a stored credential holds no certificate')
}

/**
 * The last third of a certificate's life is for its renewal: a device that is off for a while still
 * comes in time.
 */
export function renewalDue(certificatesPem: string): Milliseconds {
  const { notBefore, notAfter } = leafOf(certificatesPem)
  return notAfter - (notAfter - notBefore) / 3
}
