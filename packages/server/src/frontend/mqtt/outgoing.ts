/** A stored event as the topics and payloads under which applications may read it. */
import { isJsonType, readStored, type StoredEvent } from '../../cloudEvent.ts'
import type { MessageRow } from '../../ports.ts'
import type { UserProperty } from './packets.ts'
import type { PublishProperties } from './writeProperties.ts'

export interface Outgoing {
  readonly topic: string
  /** Made when somebody wants it. */
  readonly load: () => { readonly payload: Buffer; readonly properties: PublishProperties }
}

const urn = 'urn:dev:mac:'
const subjectMark = ',"subject":"'

export function outgoingOf({ source, type, body }: MessageRow): readonly Outgoing[] {
  const place = source.startsWith(urn) ? source.slice(urn.length) : 'house'
  const subject = type === 'countersign.message' ? subjectOf(body) : undefined
  // No device can publish to a topic with `$`: what it says is never taken for the house's word.
  const event = { topic: `events/${place}/${subject ?? `$${type}`}`, load: () => asEvent(body) }
  if (subject === undefined) return [event]
  return [{ topic: `devices/${place}/${subject}`, load: () => asData(body) }, event]
}

/**
 * The topic without parsing the whole: attributes come before the data, and a topic has no
 * character that JSON would escape.
 */
function subjectOf(body: string): string | undefined {
  const at = body.indexOf(subjectMark)
  if (at < 0) return undefined
  const begin = at + subjectMark.length
  return body.slice(begin, body.indexOf('"', begin))
}

function asEvent(body: string): ReturnType<Outgoing['load']> {
  const properties = { contentType: 'application/cloudevents+json', payloadFormat: 1 } as const
  return { payload: Buffer.from(body), properties }
}

/** CloudEvents MQTT binding §3.1: attributes as user properties, the type as Content Type. */
function asData(body: string): ReturnType<Outgoing['load']> {
  const { attributes, payload } = readStored(body)
  const { datacontenttype, ...others } = attributes
  const contentType = datacontenttype === undefined ? {} : { contentType: String(datacontenttype) }
  const user = Object.entries(others).map(([name, value]): UserProperty => [name, String(value)])
  return {
    payload: payload ?? Buffer.alloc(0),
    properties: { ...contentType, ...formatOf(attributes), user },
  }
}

/** MQTT 5 §3.3.2.3.2: says that the payload is UTF-8; the receiver may reject it if it is not. */
function formatOf({ datacontenttype }: StoredEvent['attributes']): { payloadFormat?: 1 } {
  const type = String(datacontenttype)
  return isJsonType(type) ? { payloadFormat: 1 } : {}
}
