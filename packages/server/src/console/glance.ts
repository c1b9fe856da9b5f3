/**
 * What the page shows of an event, and how much of it: a line in the feed, a cell of a device's
 * row, an entry among the refusals. Lengths are bounded here, whatever a device sends.
 */
import { readEvent, type ReadEvent } from '../cloudEvent.ts'
import type { EventRow, MessageRow } from '../ports.ts'

export interface MessageGlance {
  readonly event: 'message'
  readonly device: string
  /** RFC 3339, here and below. */
  readonly time: string
  readonly topic: string
  readonly road: string
  readonly data: string
}

export interface RefusalGlance {
  readonly event: 'refusal'
  /** null: it is not known who it was. */
  readonly device: string | null
  readonly time: string
  readonly code: string
  readonly message: string
  readonly where: string | null
  readonly road: string
  readonly address: string
  readonly remedy: string
}

/** A device came, or its state changed. */
export interface DeviceGlance {
  readonly event: 'device' | 'seen'
  readonly device: string
  readonly time: string
  readonly road?: string
  readonly state?: string
  readonly reason?: string | null
}

export type Glance = MessageGlance | RefusalGlance | DeviceGlance

export type RemedyOf = (code: string) => string

/** One line of a wide screen. */
const dataLengthMax = 160
/** Topics, addresses, codes, sentences of refusals: longer ones are nobody's honest own. */
const textLengthMax = 320
const deviceIdPrefix = 'urn:dev:mac:'

/** undefined: nothing for the page. */
export function glanceAt(row: MessageRow, remedyOf: RemedyOf): Glance | undefined {
  const time = new Date(row.time).toISOString()
  const { source: device } = row
  switch (row.type) {
    case 'countersign.message': {
      const event = readEvent(row.body)
      return event && messageGlance(device, time, event)
    }
    case 'countersign.refused': {
      const event = readEvent(row.body)
      return event && refusalGlance({ device, time, facts: factsOf(event.data) }, event, remedyOf)
    }
    case 'countersign.device.enrolled':
    case 'countersign.device.changed': {
      const facts = factsOf(readEvent(row.body)?.data)
      const reason = facts.get('reason')
      const state = text(facts.get('state'))
      return { event: 'device', device, time, state, reason: reason ? text(reason) : null }
    }
    case 'countersign.session.opened': {
      const road = text(readEvent(row.body)?.attributes.get('road'))
      return { event: 'seen', device, time, road }
    }
    default:
      return undefined
  }
}

/** The same of an entry of the audit log, which remembers longer; undefined for any other entry. */
export function refusalOf(row: EventRow, remedyOf: RemedyOf): RefusalGlance | undefined {
  if (row.type !== 'refused') return undefined
  const facts = factsOf(row.data)
  const time = new Date(row.time).toISOString()
  return refusalGlance({ device: row.subject, time, facts }, undefined, remedyOf)
}

function messageGlance(device: string, time: string, event: ReadEvent): MessageGlance {
  const { attributes } = event
  const [topic, road] = [text(attributes.get('subject')), text(attributes.get('road'))]
  return { event: 'message', device, time, topic, road, data: shortData(event) }
}

interface Refused {
  readonly device: string
  readonly time: string
  readonly facts: ReadonlyMap<string, unknown>
}

function refusalGlance(
  { device, time, facts }: Refused,
  event: ReadEvent | undefined,
  remedyOf: RemedyOf,
): RefusalGlance {
  const code = text(facts.get('code'))
  const where = facts.get('where')
  return {
    event: 'refusal',
    device: device.startsWith(deviceIdPrefix) ? device : null,
    time,
    code,
    message: text(facts.get('message')),
    where: where === undefined ? null : text(where),
    road: text(event === undefined ? facts.get('road') : event.attributes.get('road')),
    address: text(facts.get('address')),
    remedy: remedyOf(code),
  }
}

function factsOf(data: string | undefined): ReadonlyMap<string, unknown> {
  const parsed: unknown = data === undefined ? {} : JSON.parse(data)
  return new Map<string, unknown>(Object.entries(parsed ?? {}))
}

/** Numbers stay as the device wrote them: JSON is shown as it stands. */
function shortData({ attributes, data, bytes }: ReadEvent): string {
  if (bytes !== undefined) return `${bytes} bytes`
  if (data === undefined) return ''
  const isText = String(attributes.get('datacontenttype')).startsWith('text/')
  const words: unknown = isText && data.startsWith('"') ? JSON.parse(data) : data
  return clip(
    String(words)
      .slice(0, 4 * dataLengthMax)
      .replace(/\s+/g, ' ')
      .trim(),
    dataLengthMax,
  )
}

function text(value: unknown): string {
  return clip(typeof value === 'string' ? value : '', textLengthMax)
}

/**
 * A copy of its own: a slice of a string keeps the whole of it alive, and what is remembered here
 * for thousands of devices would hold every body that they sent.
 */
function clip(value: string, lengthMax: number): string {
  const short = value.length <= lengthMax ? value : `${value.slice(0, lengthMax - 1)}…`
  return Buffer.from(short.toWellFormed(), 'utf8').toString('utf8')
}
