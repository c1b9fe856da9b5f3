/** What the page may ask, parsed strictly; undefined for anything else. */
import type { DeviceState } from '../ports.ts'
import { deviceStates } from '../recordValues.ts'
import type { DevicesQuery } from './overview.ts'

/** The longest name by which a device is found: its serial number. */
const nameLengthMax = 128
const idPattern = /^urn:dev:mac:[0-9a-f]{16}$/
/** The store numbers messages from 1; 15 digits stay exact in a double. */
const seqPattern = /^[0-9]{1,15}$/
const known: ReadonlySet<string> = new Set(['state', 'find', 'after'])

export function parseDevicesQuery(
  query: Readonly<Record<string, string>>,
): DevicesQuery | undefined {
  if (Object.keys(query).some((name) => !known.has(name))) return undefined
  const { state, find, after } = query
  if (state !== undefined && !isState(state)) return undefined
  if (find !== undefined && (find.trim() === '' || find.length > nameLengthMax)) return undefined
  if (after !== undefined && parseId(after) === undefined) return undefined
  return { state, find, after }
}

export function parseId(text: string | undefined): string | undefined {
  return text !== undefined && idPattern.test(text) ? text : undefined
}

export function parseSeq(text: string | undefined): number | undefined {
  return text !== undefined && seqPattern.test(text) ? Number(text) : undefined
}

function isState(text: string): text is DeviceState {
  return deviceStates.some((state) => state === text)
}
