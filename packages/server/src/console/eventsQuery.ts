/**
 * What a reader of `GET /api/v1/events` asks for: `?type=&device=` and Last-Event-ID. An unknown
 * parameter is a mistake, and is said so.
 */
import type { ApplicationRow, EventsQuery } from '../ports.ts'

const known: ReadonlySet<string> = new Set(['type', 'device'])
const typePattern = /^[a-z][a-z0-9.]{0,63}$/
const devicePattern = /^(?:urn:dev:mac:)?([0-9a-f]{16})$/
/** The store numbers messages from 1; 15 digits stay exact in a double. */
const idPattern = /^[0-9]{1,15}$/

export function parseEventsQuery(
  application: ApplicationRow,
  query: Readonly<Record<string, string>>,
  lastEventId: string | undefined,
): EventsQuery | { readonly fault: string } {
  const stranger = Object.keys(query).find((name) => !known.has(name))
  if (stranger !== undefined) return { fault: 'the parameters are type and device' }
  const { type, device } = query
  if (type !== undefined && !typePattern.test(type))
    return { fault: 'type is an event type, for instance countersign.message' }
  const id = device === undefined ? undefined : deviceIdOf(device)
  if (device !== undefined && id === undefined)
    return { fault: 'device is an EUI-64 of 16 lower-case hex digits, or urn:dev:mac: and that' }
  // WHATWG HTML §9.2.5: an empty id means that there is none.
  if (lastEventId !== undefined && lastEventId !== '' && !idPattern.test(lastEventId))
    return { fault: 'Last-Event-ID is the id of an event of this door' }
  return {
    application: application.id,
    movesCursor: application.webhook === null,
    lastEventId: lastEventId === undefined || lastEventId === '' ? undefined : Number(lastEventId),
    type,
    device: id,
  }
}

/** A device by its URN or its bare EUI-64; undefined: this is neither. */
export function deviceIdOf(text: string): string | undefined {
  const eui64 = devicePattern.exec(text)?.[1]
  return eui64 === undefined ? undefined : `urn:dev:mac:${eui64}`
}
