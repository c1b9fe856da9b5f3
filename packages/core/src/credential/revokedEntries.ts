/**
 * revokedCertificates of a CRL (RFC 5280 §5.1.2.6, §5.3). Each entry is read once, strictly, and
 * remembered as its offset: a list of 100,000 costs 400 kB beside its own bytes. The first look-up
 * sorts the offsets by serial number, unless the issuer already did; sorting, unlike hashing,
 * leaves nobody a way to choose serial numbers that make it slow.
 */
import { DerReader, tag } from '../codec/index.ts'
import { extensionOid } from './oids.ts'
import { readExtensionList } from './parseExtensions.ts'
import { readGeneralNames } from './parseGeneralName.ts'
import type { Oid, RevocationReason, RevokedEntry } from './types.ts'
import { syntaxError, x509Limits } from './x509Error.ts'

/** CRLReason by its number (§5.3.1). 7 is not used. */
const reasons: readonly (RevocationReason | undefined)[] = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  undefined,
  'removeFromCRL',
  'privilegeWithdrawn',
  'aACompromise',
]

export class RevokedEntries {
  readonly count: number
  private readonly bytes: Uint8Array
  /** Offset of each entry, in the order of the list. */
  private readonly offsets: Uint32Array
  private sorted: Uint32Array | undefined

  constructor(bytes: Uint8Array, offsets: Uint32Array) {
    this.bytes = bytes
    this.offsets = offsets
    this.count = offsets.length
  }

  /**
   * The entry of this serial number (content octets of the INTEGER). Of two entries the one that
   * revokes counts.
   */
  find(serial: Uint8Array): RevokedEntry | undefined {
    const offsets = (this.sorted ??= this.bySerial())
    let low = 0
    let high = offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compareTo(offsets[middle] ?? 0, serial) < 0) low = middle + 1
      else high = middle
    }
    let found: RevokedEntry | undefined
    for (; low < offsets.length && this.compareTo(offsets[low] ?? 0, serial) === 0; low++) {
      const entry = this.entryAt(offsets[low] ?? 0)
      if (found === undefined || found.reason === 'removeFromCRL') found = entry
    }
    return found
  }

  private bySerial(): Uint32Array {
    const order = (a: number, b: number): number => this.compare(a, b)
    for (let index = 1; index < this.offsets.length; index++) {
      if (this.compare(this.offsets[index - 1] ?? 0, this.offsets[index] ?? 0) > 0) {
        return this.offsets.toSorted(order)
      }
    }
    return this.offsets
  }

  private entryAt(offset: number): RevokedEntry {
    const reader = new DerReader(this.bytes.subarray(offset), 'crl', x509Limits.listBytesMax)
    const entry = reader.sequence('revokedCertificate')
    const serial = entry.integer('userCertificate', x509Limits.serialOctetsMax)
    const revokedAt = entry.time('revocationDate')
    const reason = entry.done ? undefined : readEntryExtensions(entry, new Set())
    return { serial, revokedAt, reason }
  }

  /**
   * Order of the serial numbers at two entries: by length, then by octets. Any total order does.
   */
  private compare(a: number, b: number): number {
    const { bytes } = this
    const startA = serialAt(bytes, a)
    const startB = serialAt(bytes, b)
    const length = bytes[startA] ?? 0
    const difference = length - (bytes[startB] ?? 0)
    if (difference !== 0) return difference
    for (let index = 1; index <= length; index++) {
      const byte = (bytes[startA + index] ?? 0) - (bytes[startB + index] ?? 0)
      if (byte !== 0) return byte
    }
    return 0
  }

  private compareTo(offset: number, serial: Uint8Array): number {
    const start = serialAt(this.bytes, offset)
    const difference = (this.bytes[start] ?? 0) - serial.length
    if (difference !== 0) return difference
    for (let index = 0; index < serial.length; index++) {
      const byte = (this.bytes[start + 1 + index] ?? 0) - (serial[index] ?? 0)
      if (byte !== 0) return byte
    }
    return 0
  }
}

/**
 * Offset of the length octet of the serial number in the entry at `offset`. The entry was checked
 * when the list was read: its serial has at most 64 octets, so that length is one octet.
 */
function serialAt(bytes: Uint8Array, offset: number): number {
  const first = bytes[offset + 1] ?? 0
  return offset + (first < 0x80 ? 3 : 3 + (first & 0x7f))
}

/**
 * Reads the whole list. Critical entry extensions that we do not understand are added to
 * `unknownCritical`.
 */
export function readRevokedEntries(list: DerReader, unknownCritical: Set<Oid>): RevokedEntries {
  // §5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be
  // absent."
  if (list.done) throw syntaxError(list, 'an empty list of revoked certificates')
  let offsets = new Uint32Array(64)
  let count = 0
  let entry: DerReader | undefined
  while (!list.done) {
    list.expect(tag.sequence, 'entry')
    if (entry === undefined) entry = list.inside('entry')
    else list.aim(entry)
    if (count === offsets.length) offsets = grown(offsets)
    offsets[count++] = list.elementStart
    entry.skipInteger('userCertificate', x509Limits.serialOctetsMax)
    entry.time('revocationDate')
    if (!entry.done) readEntryExtensions(entry, unknownCritical)
  }
  return new RevokedEntries(list.bytes, offsets.slice(0, count))
}

function grown(offsets: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(offsets.length * 2)
  larger.set(offsets)
  return larger
}

function readEntryExtensions(
  entry: DerReader,
  unknownCritical: Set<Oid>,
): RevocationReason | undefined {
  const list = entry.sequence('crlEntryExtensions')
  entry.end()
  let reason: RevocationReason | undefined
  readExtensionList(list, ({ oid, critical, inside }) => {
    if (oid === extensionOid.reasonCode) reason = readReason(inside)
    else if (oid === extensionOid.invalidityDate) inside.generalizedTime('date')
    else {
      // §5.3.3: an indirect CRL. Its entries belong to other issuers, which we do not follow.
      if (oid === extensionOid.certificateIssuer) readGeneralNames(inside.sequence('names'))
      if (critical) unknownCritical.add(oid)
      return
    }
    inside.end()
  })
  return reason
}

/** CRLReason, the next element. */
export function readReason(inside: DerReader): RevocationReason {
  const reason = reasons[inside.smallInteger('reason', reasons.length - 1, tag.enumerated)]
  if (reason === undefined) throw syntaxError(inside, 'reason 7 is not used')
  return reason
}
