/**
 * What the page shows of an event, and how much of it: a line in the feed, a cell of a device's
 * row, an entry among the refusals. Lengths are bounded here, whatever a device sends.
 */
import { isUtf8 } from 'node:buffer'
import { readStored, type StoredEvent } from '../cloudEvent.ts'
import { parseMediaType } from '../payload.ts'
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

/** The newest of one device, or of one address, with one code; and how many there were. */
export interface RefusalGroup extends RefusalGlance {
  readonly count: number
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

/** undefined: nothing for the page. A row that cannot be read is one that is not shown. */
export function glanceAt(row: MessageRow, remedyOf: RemedyOf): Glance | undefined {
  try {
    return glanceOf(row, remedyOf)
  } catch {
    return undefined
  }
}

function glanceOf(row: MessageRow, remedyOf: RemedyOf): Glance | undefined {
  const time = new Date(row.time).toISOString()
  const { source: device } = row
  switch (row.type) {
    case 'countersign.message':
      return messageGlance(device, time, readStored(row.body))
    case 'countersign.refused': {
      const { attributes, payload } = readStored(row.body)
      const facts = new Map([...factsOf(payload), ['road', attributes['road']] as const])
      return refusalGlance(device, time, facts, remedyOf)
    }
    case 'countersign.device.enrolled':
    case 'countersign.device.changed': {
      const facts = factsOf(readStored(row.body).payload)
      const reason = text(facts.get('reason'))
      const state = text(facts.get('state'))
      return { event: 'device', device, time, state, reason: reason === '' ? null : reason }
    }
    case 'countersign.session.opened': {
      const road = text(readStored(row.body).attributes['road'])
      return { event: 'seen', device, time, road }
    }
    default:
      return undefined
  }
}

/** The same of an entry of the audit log, which remembers longer; undefined for any other entry. */
export function refusalOf(row: EventRow, remedyOf: RemedyOf): RefusalGlance | undefined {
  if (row.type !== 'refused') return undefined
  const time = new Date(row.time).toISOString()
  return refusalGlance(row.subject, time, factsOf(row.data), remedyOf)
}

/** Whoever tries again and again is one group, and the newest comes first. */
export function grouped(
  groups: readonly RefusalGroup[],
  refusal: RefusalGlance,
): readonly RefusalGroup[] {
  const before = groups.find((group) => isSameGroup(group, refusal))
  const others = groups.filter((group) => group !== before)
  return [{ ...refusal, count: (before?.count ?? 0) + 1 }, ...others]
}

function isSameGroup(a: RefusalGlance, b: RefusalGlance): boolean {
  if (a.code !== b.code || a.device !== b.device) return false
  return a.device !== null || a.address === b.address
}

function messageGlance(device: string, time: string, event: StoredEvent): MessageGlance {
  const [topic, road] = [text(event.attributes['subject']), text(event.attributes['road'])]
  return { event: 'message', device, time, topic, road, data: shortData(event) }
}

type Facts = ReadonlyMap<string, unknown>

function refusalGlance(
  subject: string,
  time: string,
  facts: Facts,
  remedyOf: RemedyOf,
): RefusalGlance {
  const code = text(facts.get('code'))
  const where = text(facts.get('where'))
  return {
    event: 'refusal',
    device: subject.startsWith(deviceIdPrefix) ? subject : null,
    time,
    code,
    message: text(facts.get('message')),
    where: where === '' ? null : where,
    road: text(facts.get('road')),
    address: text(facts.get('address')),
    remedy: remedyOf(code),
  }
}

function factsOf(json: string | Buffer | undefined): Facts {
  const parsed: unknown = JSON.parse(String(json ?? '{}'))
  return new Map<string, unknown>(Object.entries(parsed ?? {}))
}

/** As the device wrote it: parsing and printing JSON again would change long numbers. */
function shortData({ attributes, payload }: StoredEvent): string {
  if (payload === undefined) return ''
  const { form } = parseMediaType(String(attributes['datacontenttype'] ?? ''))
  if (form === 'binary' || !isUtf8(payload)) return `${payload.length} bytes`
  // White space collapses to one space; what is left of so much fills the line.
  const begin = payload.subarray(0, 8 * dataLengthMax).toString('utf8')
  return clip(begin.replace(/\s+/g, ' ').trim(), dataLengthMax)
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
