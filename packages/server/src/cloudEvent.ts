/**
 * CloudEvents 1.0 in the JSON event format (CloudEvents spec §3, JSON format §2 and §3.1): what
 * every application receives, whatever the road. The one place that knows the attribute names.
 * Leaves out dataschema and batches.
 *
 * JSON data is embedded as the sender wrote it: parsing and printing it again would change long
 * numbers.
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { Assurance, MessageDraft, Road } from './ports.ts'

/** `source` of events that no device caused. A URI-reference, as CloudEvents §source.id asks. */
export const houseSource = '/countersign'

export type EventType =
  | 'countersign.message'
  | 'countersign.device.enrolled'
  | 'countersign.device.changed'
  | 'countersign.session.opened'
  | 'countersign.command.delivered'
  | 'countersign.command.answered'
  | 'countersign.command.refused'
  | 'countersign.command.expired'
  | 'countersign.refused'
  | 'countersign.test'

export interface EventAttributes {
  readonly id: string
  /** Device id, or `houseSource`. */
  readonly source: string
  readonly type: EventType
  readonly time: Milliseconds
  /** The topic of a message. */
  readonly subject?: string | undefined
  readonly road?: Road | undefined
  readonly assurance?: Assurance | undefined
  /** x5t (SHA-256/64), lower-case hex. */
  readonly credential?: string | undefined
  readonly gateway?: string | undefined
}

export type EventData =
  /** `text` is valid JSON: the caller has parsed it. */
  | { readonly kind: 'json'; readonly contentType: string; readonly text: string }
  | { readonly kind: 'text'; readonly contentType: string; readonly text: string }
  | { readonly kind: 'binary'; readonly contentType: string; readonly bytes: Uint8Array }

export function cloudEvent(attributes: EventAttributes, data?: EventData): MessageDraft {
  const { id, source, type, time } = attributes
  let body = `{"specversion":"1.0","id":${JSON.stringify(id)},"source":${JSON.stringify(source)}`
  body += `,"type":"${type}","time":"${new Date(time).toISOString()}"`
  body += optional('subject', attributes.subject)
  body += optional('road', attributes.road)
  if (attributes.assurance !== undefined) body += `,"assurance":${attributes.assurance}`
  body += optional('credential', attributes.credential)
  body += optional('gateway', attributes.gateway)
  if (data !== undefined) body += dataMembers(data)
  return { id, source, type, time, body: `${body}}` }
}

/**
 * What stands before the data. An attribute's value cannot hold it: in a JSON string the quotation
 * mark is escaped.
 */
const dataMark = ',"data":'
const base64Mark = ',"data_base64":'
/** Directly before the data: `dataMembers` writes both. */
const typeMark = ',"datacontenttype":'

/** An event as it was stored, taken apart again for roads that carry data and attributes apart. */
export interface StoredEvent {
  /** Every attribute, with datacontenttype. */
  readonly attributes: Readonly<Record<string, string | number>>
  /** The data as the device sent it; undefined: there is none. */
  readonly payload: Buffer | undefined
}

export function readStored(body: string): StoredEvent {
  const mark = findData(body)
  const head = mark === undefined ? body : `${body.slice(0, mark.at)}}`
  // Written by cloudEvent above.
  const attributes: StoredEvent['attributes'] = JSON.parse(head)
  return { attributes, payload: payloadAt(body, mark) }
}

/** The data alone, without parsing what is not needed for it. */
export function storedPayload(body: string): Buffer | undefined {
  return payloadAt(body, findData(body))
}

interface Mark {
  readonly at: number
  readonly isBase64: boolean
}

/** Data may hold the other's mark: the first one counts. */
function findData(body: string): Mark | undefined {
  const json = body.indexOf(dataMark)
  const base64 = body.indexOf(base64Mark)
  if (json < 0 && base64 < 0) return undefined
  const isBase64 = json < 0 || (base64 >= 0 && base64 < json)
  return { at: isBase64 ? base64 : json, isBase64 }
}

function payloadAt(body: string, mark: Mark | undefined): Buffer | undefined {
  if (mark === undefined) return undefined
  const { at, isBase64 } = mark
  if (isBase64) return Buffer.from(body.slice(at + base64Mark.length + 1, -2), 'base64')
  const data = body.slice(at + dataMark.length, -1)
  // JSON is embedded as it was sent; everything else that stands in `data` is one JSON string.
  const type = body.slice(body.lastIndexOf(typeMark, at) + typeMark.length + 1, at - 1)
  return Buffer.from(isJsonType(type) ? data : String(JSON.parse(data)))
}

/** RFC 8259 and RFC 6839 §3.1; parameters do not matter. */
export function isJsonType(mediaType: string): boolean {
  const [essence = ''] = mediaType.split(';')
  const type = essence.trim().toLowerCase()
  return type === 'application/json' || type.endsWith('+json')
}

/** Event data made by the house itself. */
export function jsonData(value: unknown): EventData {
  return { kind: 'json', contentType: 'application/json', text: JSON.stringify(value) }
}

function optional(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`
}

function dataMembers(data: EventData): string {
  const type = `${typeMark}${JSON.stringify(data.contentType)}`
  switch (data.kind) {
    case 'json':
      return `${type}${dataMark}${data.text}`
    case 'text':
      return `${type}${dataMark}${JSON.stringify(data.text)}`
    case 'binary': {
      const { buffer, byteOffset, byteLength } = data.bytes
      const base64 = Buffer.from(buffer, byteOffset, byteLength).toString('base64')
      return `${type}${base64Mark}"${base64}"`
    }
  }
}
