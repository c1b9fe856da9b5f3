/**
 * CertificateList (RFC 5280 §5.1, §5.2), version 2: DER to typed value. Scope, freshness and
 * signature are the judge's.
 */
import { contextPrimitive, DerReader, tag } from '../codec/index.ts'
import { extensionOid as id } from './oids.ts'
import { expectSameAlgorithm, readSignatureAlgorithm } from './parseAlgorithm.ts'
import { readExtensionList } from './parseExtensions.ts'
import {
  readAltName,
  readAuthorityKeyId,
  readDistributionPointName,
  readDistributionPoints,
  readInfoAccess,
} from './parseExtensionValues.ts'
import { readName } from './parseName.ts'
import { RevokedEntries, readRevokedEntries } from './revokedEntries.ts'
import type { CertificateList, Oid, RawExtension } from './types.ts'
import { syntaxError, x509Limits } from './x509Error.ts'

type Scope = NonNullable<CertificateList['issuingDistributionPoint']>

interface ListExtensions {
  extensions: readonly RawExtension[]
  crlNumber: bigint | undefined
  authorityKeyId: Uint8Array | undefined
  issuingDistributionPoint: Scope | undefined
  isDelta: boolean
}

/**
 * One CRL and nothing behind it; throws PeerError (X509ErrorCode) with the path of the field.
 *
 * @example const revoked = parseCertificateList(der).findRevoked(leaf.serial)
 */
export function parseCertificateList(der: Uint8Array): CertificateList {
  const whole = new DerReader(der, 'crl', x509Limits.listBytesMax)
  const outer = whole.sequence('')
  whole.end()
  const tbs = outer.sequence('')
  const tbsDer = der.subarray(outer.elementStart, outer.contentEnd)
  const algorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm')
  const signature = outer.bitStringOctets('signatureValue')
  outer.end()

  // §5.1.2.1: v2 is the integer 1. Version 1 has no field, and no CRL number to tell an old list
  // from a new one.
  if (tbs.smallInteger('version', 1) !== 1) throw syntaxError(tbs, 'not version 2', 'version')
  expectSameAlgorithm(tbs, algorithm)
  const issuer = readName(tbs, 'issuer')
  const thisUpdate = tbs.time('thisUpdate')
  const nextUpdate = tbs.done || !isTime(tbs.peek()) ? undefined : tbs.time('nextUpdate')
  const unknownCritical = new Set<Oid>()
  const revoked = tbs.enterOptional(tag.sequence, 'revokedCertificates')
  const entries =
    revoked === undefined
      ? new RevokedEntries(der, new Uint32Array(0))
      : readRevokedEntries(revoked, unknownCritical)
  const extensions = readListExtensions(tbs, unknownCritical)
  tbs.end()
  return {
    der,
    tbs: tbsDer,
    scheme: algorithm.scheme,
    signatureOid: algorithm.oid,
    signature,
    issuer,
    thisUpdate,
    nextUpdate,
    ...extensions,
    unknownCritical: [...unknownCritical],
    entryCount: entries.count,
    findRevoked: (serial) => entries.find(serial),
  }
}

function isTime(identifier: number): boolean {
  return identifier === tag.utcTime || identifier === tag.generalizedTime
}

function readListExtensions(tbs: DerReader, unknownCritical: Set<Oid>): ListExtensions {
  const parsed: ListExtensions = {
    extensions: [],
    crlNumber: undefined,
    authorityKeyId: undefined,
    issuingDistributionPoint: undefined,
    isDelta: false,
  }
  const field = tbs.explicit(0, 'crlExtensions')
  if (field === undefined) return parsed
  const list = field.sequence('')
  field.end()
  parsed.extensions = readListOf(list, parsed, unknownCritical)
  return parsed
}

function readListOf(
  list: DerReader,
  parsed: ListExtensions,
  unknownCritical: Set<Oid>,
): readonly RawExtension[] {
  return readExtensionList(list, ({ oid, critical, inside }) => {
    switch (oid) {
      case id.cRLNumber:
        parsed.crlNumber = readNumber(inside)
        break
      case id.deltaCRLIndicator:
        readNumber(inside)
        parsed.isDelta = true
        break
      case id.authorityKeyIdentifier:
        parsed.authorityKeyId = readAuthorityKeyId(inside)
        break
      case id.issuingDistributionPoint:
        parsed.issuingDistributionPoint = readScope(inside, unknownCritical)
        break
      case id.issuerAltName:
        readAltName(inside)
        break
      case id.freshestCRL:
        readDistributionPoints(inside)
        break
      case id.authorityInfoAccess:
        readInfoAccess(inside)
        break
      default:
        if (critical) unknownCritical.add(oid)
        return
    }
    inside.end()
  })
}

/** §5.2.3: up to 20 octets. */
function readNumber(inside: DerReader): bigint {
  return inside.unsignedBig('number', 20)
}

/** §5.2.5 */
function readScope(inside: DerReader, unknownCritical: Set<Oid>): Scope {
  const scope = inside.sequence('')
  if (scope.done) throw syntaxError(inside, 'an empty issuingDistributionPoint')
  const name = readDistributionPointName(scope)
  // A scope that we cannot compare must not read as "everything".
  if (name?.relative === true) unknownCritical.add(id.issuingDistributionPoint)
  const onlyUserCerts = scope.booleanDefaultFalse('onlyContainsUserCerts', contextPrimitive(1))
  const onlyCaCerts = scope.booleanDefaultFalse('onlyContainsCACerts', contextPrimitive(2))
  const onlySomeReasons = scope.peek() === contextPrimitive(3)
  if (onlySomeReasons) scope.namedBits('onlySomeReasons', 9, contextPrimitive(3))
  const indirect = scope.booleanDefaultFalse('indirectCRL', contextPrimitive(4))
  const onlyAttributeCerts = scope.booleanDefaultFalse('onlyAttributeCerts', contextPrimitive(5))
  scope.end()
  if (Number(onlyUserCerts) + Number(onlyCaCerts) + Number(onlyAttributeCerts) > 1) {
    throw syntaxError(inside, 'more than one kind of certificate as the only one')
  }
  return {
    fullName: name?.fullName,
    onlyUserCerts,
    onlyCaCerts,
    onlySomeReasons,
    indirect,
    onlyAttributeCerts,
  }
}
