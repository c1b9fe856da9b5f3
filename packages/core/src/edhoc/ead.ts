/**
 * External authorization data (RFC 9528 §3.8): items of a label and perhaps a value, at the end of
 * each message. A negative label is critical: a side that does not know it ends the session. Label
 * 0 is padding.
 */
import { type CborReader, cbor, concat } from '../codec/index.ts'
import { edhocError } from './edhocError.ts'
import { edhocLimits } from './limits.ts'

export interface EadItem {
  /** Without its sign. */
  readonly label: number
  readonly isCritical: boolean
  readonly value: Uint8Array | undefined
}

/** The sequence, as it travels and as MACs and signatures cover it. */
export function encodeEad(items: readonly EadItem[]): Uint8Array {
  return concat(
    ...items.flatMap(({ label, isCritical, value }) => {
      const encoded = cbor.int(isCritical ? -label : label)
      return value === undefined ? [encoded] : [encoded, cbor.byteString(value)]
    }),
  )
}

/** All items up to the end of the input. Throws PeerError: ERR_EDHOC_MESSAGE, ERR_CBOR_*. */
export function parseEad(reader: CborReader, field: string): readonly EadItem[] {
  const items: EadItem[] = []
  while (!reader.done) {
    if (items.length === edhocLimits.eadItemsMax) {
      throw edhocError('ERR_EDHOC_MESSAGE', `${field} has more than ${items.length} items`)
    }
    items.push(parseItem(reader, field))
  }
  return items
}

function parseItem(reader: CborReader, field: string): EadItem {
  const signed = reader.int(field)
  const label = Math.abs(signed)
  if (label > edhocLimits.eadLabelMax) {
    throw edhocError('ERR_EDHOC_MESSAGE', `${field} has a label that no item can have`, { label })
  }
  const value = reader.peek() === 'bytes' ? reader.byteString(field) : undefined
  return { label, isCritical: signed < 0, value }
}

/**
 * The items that the application knows, padding and unknown ones left out. Throws PeerError
 * ERR_EDHOC_EAD when an unknown one is critical.
 */
export function knownEad(
  items: readonly EadItem[],
  labels: ReadonlySet<number>,
): readonly EadItem[] {
  const unknown = items.find(({ label, isCritical }) => isCritical && !labels.has(label))
  if (unknown !== undefined) {
    throw edhocError('ERR_EDHOC_EAD', 'a critical item of authorization data is not known here', {
      label: unknown.label,
    })
  }
  return items.filter(({ label }) => label !== padding && labels.has(label))
}

const padding = 0
