/**
 * Properties of MQTT 5 that a server sends (§3.2.2.3 in CONNACK, §3.3.2.3 in PUBLISH). Leaves out
 * those that say what we do not do: Topic Alias, Subscription Identifier, Server Reference,
 * extended authentication; and Maximum QoS, which is 2 when it is absent.
 */
import type { UserProperty } from './packets.ts'
import { type ByteWriter, dataBytes, textBytes, unencodable } from './writeBytes.ts'

export interface ConnackProperties {
  /** Seconds; when it is another than the client asked for. */
  readonly sessionExpiry?: number
  readonly receiveMaximum?: number
  readonly retainAvailable?: boolean
  readonly maximumPacketSize?: number
  readonly assignedClientId?: string
  readonly topicAliasMaximum?: number
  readonly reasonString?: string
  readonly wildcardAvailable?: boolean
  readonly subscriptionIdentifiersAvailable?: boolean
  readonly sharedAvailable?: boolean
  /** Seconds; when it is another than the client asked for. */
  readonly serverKeepAlive?: number
}

export interface PublishProperties {
  readonly payloadFormat?: 0 | 1
  /** Seconds that are left. */
  readonly messageExpiry?: number
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: Uint8Array
  readonly user?: readonly UserProperty[]
}

type Value = number | boolean | string | Uint8Array | readonly UserProperty[]
type ValuesOf<Name extends string> = { readonly [Key in Name]?: Value }
/** `octets` of those that are integers; the others say their length themselves. */
interface Row<Name extends string> {
  readonly id: number
  readonly name: Name
  readonly octets?: 1 | 2 | 4
}

export const connackRows: readonly Row<keyof ConnackProperties>[] = [
  { id: 0x11, name: 'sessionExpiry', octets: 4 },
  { id: 0x12, name: 'assignedClientId' },
  { id: 0x13, name: 'serverKeepAlive', octets: 2 },
  { id: 0x1f, name: 'reasonString' },
  { id: 0x21, name: 'receiveMaximum', octets: 2 },
  { id: 0x22, name: 'topicAliasMaximum', octets: 2 },
  { id: 0x25, name: 'retainAvailable', octets: 1 },
  { id: 0x27, name: 'maximumPacketSize', octets: 4 },
  { id: 0x28, name: 'wildcardAvailable', octets: 1 },
  { id: 0x29, name: 'subscriptionIdentifiersAvailable', octets: 1 },
  { id: 0x2a, name: 'sharedAvailable', octets: 1 },
]

export const publishRows: readonly Row<keyof PublishProperties>[] = [
  { id: 0x01, name: 'payloadFormat', octets: 1 },
  { id: 0x02, name: 'messageExpiry', octets: 4 },
  { id: 0x03, name: 'contentType' },
  { id: 0x08, name: 'responseTopic' },
  { id: 0x09, name: 'correlationData' },
  { id: 0x26, name: 'user' },
]

/** Without the property length in front of them. */
export function propertiesBytes<Name extends string>(
  rows: readonly Row<Name>[],
  properties: ValuesOf<Name>,
): number {
  let bytes = 0
  for (const row of rows) {
    const value = properties[row.name]
    if (value !== undefined) bytes += propertyBytes(row, value)
  }
  return bytes
}

/** `length` is what `propertiesBytes` has found. */
export function writeProperties<Name extends string>(
  writer: ByteWriter,
  rows: readonly Row<Name>[],
  properties: ValuesOf<Name>,
  length: number,
): void {
  writer.varint(length)
  if (length === 0) return
  for (const row of rows) {
    const value = properties[row.name]
    if (value !== undefined) writeProperty(writer, row, value)
  }
}

function propertyBytes({ name, octets = 1 }: Row<string>, value: Value): number {
  if (typeof value === 'string') return 1 + textBytes(value, name)
  if (value instanceof Uint8Array) return 1 + dataBytes(value, name)
  if (typeof value === 'object') {
    return value.reduce(
      (sum, [key, text]) => sum + 1 + textBytes(key, name) + textBytes(text, name),
      0,
    )
  }
  const number = Number(value)
  if (Number.isInteger(number) && number >= 0 && number < 256 ** octets) return 1 + octets
  throw unencodable(name, `it is not an integer of ${octets} octets`)
}

function writeProperty(writer: ByteWriter, { id, octets }: Row<string>, value: Value): void {
  if (typeof value === 'object' && !(value instanceof Uint8Array)) {
    // [MQTT-3.3.2-18]: in their order, each with the identifier in front.
    for (const [key, text] of value) {
      writer.u8(id)
      writer.text(key)
      writer.text(text)
    }
    return
  }
  writer.u8(id)
  if (typeof value === 'string') writer.text(value)
  else if (typeof value === 'object') writer.data(value)
  else if (octets === 4) writer.u32(Number(value))
  else if (octets === 2) writer.u16(Number(value))
  else writer.u8(Number(value))
}
