/**
 * Headers of COSE messages (RFC 9052 §3): two maps, one of them under the signature, tag or AEAD.
 * Only deterministic CBOR is taken, in the protected map too. No label stands in both maps; the
 * algorithm is protected (§3.1); critical headers are protected and understood. Leaves out:
 * content types and countersignatures, which are carried unread.
 */
import { CborReader, cbor } from '../codec/index.ts'
import type { AlgorithmId } from './algorithms.ts'
import { coseError, coseLimits } from './errors.ts'
import { noBytes } from './structures.ts'

export type HeaderLabel = number | string

/** A header and its value, encoded. */
export type HeaderEntry = readonly [label: HeaderLabel, value: Uint8Array]

/** Common ones (RFC 9052 §3.1). */
export const headerLabel = {
  algorithm: 1,
  critical: 2,
  contentType: 3,
  kid: 4,
  iv: 5,
  partialIv: 6,
} as const

export interface Headers {
  /** The protected map as it travels and as it is signed: no bytes when it is empty. */
  readonly protectedMap: Uint8Array
  readonly protected: ReadonlyMap<HeaderLabel, Uint8Array>
  readonly unprotected: ReadonlyMap<HeaderLabel, Uint8Array>
  readonly algorithm: AlgorithmId | undefined
  readonly kid: Uint8Array | undefined
  readonly iv: Uint8Array | undefined
  readonly partialIv: Uint8Array | undefined
}

export interface HeaderOptions {
  /** Headers that the caller acts upon and that may be critical, beside the common ones. */
  readonly understood?: readonly HeaderLabel[]
}

/** What a writer of a message puts into its maps, beside the algorithm. */
export interface HeaderFields {
  readonly protected?: readonly HeaderEntry[]
  readonly unprotected?: readonly HeaderEntry[]
}

/** Both maps, as every message begins. `where` is the name of the message. */
export function readHeaders(
  reader: CborReader,
  where: string,
  { understood = [] }: HeaderOptions = {},
): Headers {
  const path = `${where}.protected`
  const encoded = reader.byteString('protected')
  const protectedOnes = parseProtected(encoded, path)
  const unprotected = readMap(reader, 'unprotected', where)
  checkPlaces(protectedOnes, unprotected, where)
  checkCritical(protectedOnes, new Set([...common, ...understood]), path)
  const either = (label: number): Uint8Array | undefined =>
    bytesValue(protectedOnes.get(label) ?? unprotected.get(label), `${where}.${label}`)
  return {
    // RFC 9052 §3, §4.4: a map without entries is taken, and signed as no bytes.
    protectedMap: protectedOnes.size === 0 ? noBytes : encoded,
    protected: protectedOnes,
    unprotected,
    algorithm: algorithmValue(protectedOnes.get(headerLabel.algorithm), `${path}.alg`),
    kid: either(headerLabel.kid),
    iv: either(headerLabel.iv),
    partialIv: either(headerLabel.partialIv),
  }
}

/** One map of headers whose values the caller reads; `field` is its place in the input. */
export function readMap(
  reader: CborReader,
  field: string,
  where: string,
): Map<HeaderLabel, Uint8Array> {
  const entries = new Map<HeaderLabel, Uint8Array>()
  reader.map(field, readLabel, (values, label) => {
    if (entries.size >= coseLimits.headersMax) {
      const most = `more than ${coseLimits.headersMax} headers`
      throw coseError('ERR_COSE_HEADER', most, `${where}.${field}`)
    }
    entries.set(label, values.raw(`${field}.${label}`))
  })
  return entries
}

export function encodeLabel(label: HeaderLabel): Uint8Array {
  return typeof label === 'number' ? cbor.int(label) : cbor.textString(label)
}

export function encodeMap(entries: readonly HeaderEntry[]): Uint8Array {
  return cbor.map(...entries.map(([label, value]) => [encodeLabel(label), value] as const))
}

/** The protected map with its algorithm, as it travels; no bytes when there is nothing in it. */
export function encodeProtected(
  algorithm: number | undefined,
  entries: readonly HeaderEntry[] = [],
): Uint8Array {
  const alg: readonly HeaderEntry[] =
    algorithm === undefined ? [] : [[headerLabel.algorithm, cbor.int(algorithm)]]
  const all = [...alg, ...entries]
  return all.length === 0 ? noBytes : encodeMap(all)
}

/** Labels that may be critical anyway: everyone has to understand them (RFC 9052 §3.1). */
const common: readonly HeaderLabel[] = Object.values(headerLabel)

function readLabel(reader: CborReader): HeaderLabel {
  if (reader.peek() === 'text') {
    return reader.textString('label', coseLimits.identifierBytesMax)
  }
  return reader.int('label')
}

function parseProtected(encoded: Uint8Array, path: string): Map<HeaderLabel, Uint8Array> {
  if (encoded.length === 0) return new Map()
  const reader = new CborReader(encoded, path, coseLimits.messageBytesMax)
  const entries = readMap(reader, 'map', path)
  reader.end()
  return entries
}

function checkPlaces(
  protectedOnes: ReadonlyMap<HeaderLabel, Uint8Array>,
  unprotected: ReadonlyMap<HeaderLabel, Uint8Array>,
  where: string,
): void {
  const refuse = (what: string): never => {
    throw coseError('ERR_COSE_HEADER', what, where)
  }
  for (const label of unprotected.keys()) {
    if (protectedOnes.has(label)) refuse(`header ${label} is in both maps`)
  }
  // RFC 9052 §3.1: what decides how a message is checked is under its protection.
  if (unprotected.has(headerLabel.algorithm)) refuse('the algorithm is not protected')
  if (unprotected.has(headerLabel.critical)) refuse('crit is not protected')
  const has = (label: number): boolean => protectedOnes.has(label) || unprotected.has(label)
  if (has(headerLabel.iv) && has(headerLabel.partialIv)) refuse('an IV and a Partial IV')
}

/** RFC 9052 §3.1: at least one label, each of a header that is there, protected and understood. */
function checkCritical(
  protectedOnes: ReadonlyMap<HeaderLabel, Uint8Array>,
  understood: ReadonlySet<HeaderLabel>,
  path: string,
): void {
  const value = protectedOnes.get(headerLabel.critical)
  if (value === undefined) return
  const reader = new CborReader(value, `${path}.crit`)
  const count = reader.array('labels')
  if (count === 0) throw coseError('ERR_COSE_HEADER', 'crit names nothing', path)
  for (let left = count; left > 0; left--) {
    const label = readLabel(reader)
    const name = JSON.stringify(label)
    if (!protectedOnes.has(label)) {
      throw coseError('ERR_COSE_HEADER', `crit names ${name}, which is not protected`, path)
    }
    if (!understood.has(label)) {
      throw coseError('ERR_COSE_CRITICAL', `${name} is critical and not understood`, path)
    }
  }
}

function algorithmValue(value: Uint8Array | undefined, where: string): AlgorithmId | undefined {
  return value === undefined ? undefined : readLabel(new CborReader(value, where))
}

function bytesValue(value: Uint8Array | undefined, where: string): Uint8Array | undefined {
  if (value === undefined) return undefined
  return new CborReader(value, where).byteString('value', coseLimits.identifierBytesMax)
}
