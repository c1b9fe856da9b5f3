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

/** Event data made by the house itself. */
export function jsonData(value: unknown): EventData {
  return { kind: 'json', contentType: 'application/json', text: JSON.stringify(value) }
}

/** An event as `cloudEvent` made it, its data as they stand there. */
export interface ReadEvent {
  readonly attributes: ReadonlyMap<string, unknown>
  /** JSON text. */
  readonly data: string | undefined
  /** Length of binary data. */
  readonly bytes: number | undefined
}

/** A quotation mark inside a JSON string is escaped: the first match is the member itself. */
const dataMember = /,"data(_base64)?":/

/**
 * Reads an event without parsing its data, which may be long, and would not be the same afterwards.
 * undefined for what is not one of ours.
 */
export function readEvent(body: string): ReadEvent | undefined {
  const member = dataMember.exec(body)
  const head = member === null ? body : `${body.slice(0, member.index)}}`
  let parsed: unknown
  try {
    parsed = JSON.parse(head)
  } catch {
    return undefined
  }
  const attributes = new Map<string, unknown>(Object.entries(parsed ?? {}))
  if (member === null) return { attributes, data: undefined, bytes: undefined }
  const data = body.slice(member.index + member[0].length, -1)
  if (member[1] === undefined) return { attributes, data, bytes: undefined }
  return { attributes, data: undefined, bytes: Buffer.byteLength(data.slice(1, -1), 'base64') }
}

function optional(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`
}

function dataMembers(data: EventData): string {
  const type = `,"datacontenttype":${JSON.stringify(data.contentType)}`
  switch (data.kind) {
    case 'json':
      // Line breaks between tokens would end a line of an event stream; inside strings JSON does
      // not allow them.
      return `${type},"data":${data.text.replace(/[\r\n]+/g, ' ')}`
    case 'text':
      return `${type},"data":${JSON.stringify(data.text)}`
    case 'binary': {
      const { buffer, byteOffset, byteLength } = data.bytes
      const base64 = Buffer.from(buffer, byteOffset, byteLength).toString('base64')
      return `${type},"data_base64":"${base64}"`
    }
  }
}
