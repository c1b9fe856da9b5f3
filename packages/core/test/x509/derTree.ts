/** DER as a tree: read, and written again with something added in one place. */
import { DerReader, der, tag } from '@countersign/core/codec'

export interface Element {
  readonly tag: number
  readonly content: Uint8Array
  readonly inside: readonly Element[]
}

/** The one element that these bytes are, and what is in it; also in the OCTET STRING of a response. */
export function elementAt(bytes: Uint8Array): Element {
  const reader = new DerReader(bytes, 'element')
  const identifier = reader.next('')
  const content = bytes.slice(reader.contentStart, reader.contentEnd)
  const holdsResponse = identifier === tag.octetString && content.length > 64
  const opens = holdsResponse || (identifier & 0x20) !== 0
  const inside: Element[] = []
  if (opens) {
    const list = new DerReader(content, 'content')
    while (!list.done) inside.push(elementAt(list.tlv('')))
  }
  return { tag: identifier, content, inside }
}

/** The element and those in it that hold others. */
export function constructed(element: Element): readonly Element[] {
  if (element.inside.length === 0) return []
  return [element, ...element.inside.flatMap(constructed)]
}

/** The bytes of an element, with a NULL behind all that is in `grown`. */
export function written(element: Element, grown: Element | undefined): Uint8Array {
  if (element.inside.length === 0) return der.element(element.tag, element.content)
  const more = element === grown ? [der.nullValue()] : []
  const parts = element.inside.map((one) => written(one, grown))
  return der.element(element.tag, ...parts, ...more)
}
