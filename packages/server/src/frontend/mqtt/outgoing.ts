/** A stored event as the topics and payloads under which applications may read it. */
import { isJsonType, readStored, storedPayload } from '../../cloudEvent.ts'
import type { MessageRow } from '../../ports.ts'
import type { MqttVersion, UserProperty } from './packets.ts'
import type { PublishProperties } from './writeProperties.ts'

export interface Topics {
  /** Where the data go as they were sent; undefined for events that are no device's message. */
  readonly data: string | undefined
  /** Where the whole event goes. */
  readonly event: string
}

export interface Load {
  readonly payload: Buffer
  readonly properties?: PublishProperties
}

const urn = 'urn:dev:mac:'
const subjectMark = ',"subject":"'
const nothing: Buffer = Buffer.alloc(0)

/** Many readers ask for the same row, and a string whose hash is known is found faster. */
const known = new WeakMap<MessageRow, Topics>()

export function topicsOf(row: MessageRow): Topics {
  let topics = known.get(row)
  if (topics === undefined) {
    topics = findTopics(row)
    known.set(row, topics)
  }
  return topics
}

function findTopics({ source, type, body }: MessageRow): Topics {
  const place = source.startsWith(urn) ? source.slice(urn.length) : 'house'
  const subject = type === 'countersign.message' ? subjectOf(body) : undefined
  // No device can publish to a topic with `$`: what it says is never taken for the house's word.
  if (subject === undefined) return { data: undefined, event: `events/${place}/$${type}` }
  return { data: `devices/${place}/${subject}`, event: `events/${place}/${subject}` }
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

export function wholeEvent({ body }: MessageRow): Load {
  const properties = { contentType: 'application/cloudevents+json', payloadFormat: 1 } as const
  return { payload: Buffer.from(body), properties }
}

/** CloudEvents MQTT binding §3.1: attributes as user properties, the type as Content Type. */
export function dataAlone({ body }: MessageRow, version: MqttVersion): Load {
  if (version === 4) return { payload: storedPayload(body) ?? nothing }
  const { attributes, payload = nothing } = readStored(body)
  const { datacontenttype, ...others } = attributes
  const user = Object.entries(others).map(([name, value]): UserProperty => [name, String(value)])
  const type = datacontenttype === undefined ? {} : typeProperties(String(datacontenttype))
  return { payload, properties: { ...type, user } }
}

/** MQTT 5 §3.3.2.3.2: the format says UTF-8, and a receiver may reject what is not. JSON always is. */
function typeProperties(contentType: string): PublishProperties {
  return isJsonType(contentType) ? { contentType, payloadFormat: 1 } : { contentType }
}
